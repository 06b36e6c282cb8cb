-- Operations that wait for approval: what they wait for (a document), until when (by the store's trusted time), who asked and
-- why. `unsent` is 1 from the commit of the last approval until the sending begins: what is found so, with its process gone,
-- was not sent. Programs of earlier versions neither write these rows nor follow them.

alter table operations add column approval text;
alter table operations add column approval_until bigint;
alter table operations add column reason text;
alter table operations add column requester_issuer text;
alter table operations add column unsent bigint not null default 0 check (unsent in (0, 1));

-- Two more words in the checks of the table. SQLite keeps checks in the text of its schema alone and changes none by a
-- statement; that text is changed as its manual says ("Making Other Kinds Of Table Schema Changes"), and read again at once.
--postgres alter table operations drop constraint operations_state_check;
--postgres alter table operations add constraint operations_state_check
--postgres     check (state in ('awaitingApproval', 'submitting', 'running', 'finished', 'unknown'));
--postgres alter table operations drop constraint operations_failure_source_check;
--postgres alter table operations add constraint operations_failure_source_check
--postgres     check (failure_source in ('task', 'session', 'gateway', 'policy'));
--sqlite pragma writable_schema = on;
--sqlite update sqlite_master set sql = replace(replace(sql,
--sqlite     '(''submitting'', ''running'', ''finished'', ''unknown'')',
--sqlite     '(''awaitingApproval'', ''submitting'', ''running'', ''finished'', ''unknown'')'),
--sqlite     '(''task'', ''session'', ''gateway'')', '(''task'', ''session'', ''gateway'', ''policy'')')
--sqlite     where type = 'table' and name = 'operations';
--sqlite pragma writable_schema = reset;

create index operations_awaiting on operations (upstream_id, approval_until) where state = 'awaitingApproval';
create index operations_unsent on operations (upstream_id, requested_at) where unsent = 1;
