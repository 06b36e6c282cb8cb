-- The task of an operation that a cancellation ended was left as it had been read before; Enterprise Manager removed it. No other
-- end is a cancellation by the task's word. A program of the version before reads the new word as one of Enterprise Manager's.
update operations set task_state = 'removed'
where result = 'cancelled' and result_source = 'task' and task_state in ('running', 'operationFinished');
