-- Which Enterprise Manager a thing lives in, so that a gateway can serve several later; every row of today is the one
-- called 'main'. Rows that a program of an earlier version writes get the default.
--
-- What stays for the version that serves several, since it needs tables to be rebuilt or keys to be renamed: the primary
-- key of failover_sessions and the numbers of events within a session (both by EM's own id alone), order_key of
-- webhook_deliveries, the rows of meta about observations and outages, the lease 'watch', the claims of replicas.

alter table operations add column upstream_id text not null default 'main';
alter table failover_sessions add column upstream_id text not null default 'main';
alter table upstream_logons add column upstream_id text not null default 'main';
-- Of events that are not about Enterprise Manager it says nothing.
alter table events add column upstream_id text not null default 'main';

drop index operations_busy_plan;
create unique index operations_busy_plan on operations (upstream_id, plan_key)
    where kind = 'failover' and state in ('submitting', 'running');
drop index operations_open;
create index operations_open on operations (upstream_id, requested_at)
    where state in ('submitting', 'running', 'unknown');
drop index operations_session;
create index operations_session on operations (upstream_id, session_key) where session_key is not null;
drop index operations_plan;
create index operations_plan on operations (upstream_id, plan_key, id);
drop index failover_sessions_open;
create index failover_sessions_open on failover_sessions (upstream_id, first_seen_at) where phase <> 'ended';
drop index failover_sessions_started;
create index failover_sessions_started on failover_sessions (upstream_id, started_at, key);

-- Errors of attempts that have another word now.
update webhook_attempts set error = 'headersTooLarge' where error = 'headTooLarge';
update webhook_attempts set error = 'interrupted' where error = 'unknownEnd';
update webhook_attempts set error = 'blockedAddress' where error = 'refusedAddress';
