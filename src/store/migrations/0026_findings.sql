-- How many of the gateway's own findings of the last revision want something to be done: the programme counts those of the last
-- test of a plan as open. And the target of the recovery time at the request, which messages about the end show beside the
-- duration. A program of the version before leaves them at 0 and null.

alter table recovery_runs add column findings bigint not null default 0;
alter table recovery_runs add column rto_seconds bigint;
