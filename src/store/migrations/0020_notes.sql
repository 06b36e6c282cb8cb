-- Why an attempt that was accepted sent nothing, and events by their type. Moments, flags and documents as in 0001. A program of
-- the version before writes no notes.

-- For people; null where something was sent.
alter table webhook_attempts add column note text;

create index events_type on events (type, seq);
