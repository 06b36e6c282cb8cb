-- Recovery evidence: objectives of plans, what is kept of each failover, the restore points that failovers used, and the
-- signed reports. Moments and documents as in 0001. A program of the version before writes none of these.

create table plan_objectives (
    upstream_id text   not null,
    plan_key    text   not null,
    objectives  text   not null,
    updated_at  bigint not null,
    primary key (upstream_id, plan_key)
);

-- One row for each failover that has a report, or will have: of an operation, or of a session that was started elsewhere.
create table recovery_runs (
    id            text   primary key,
    upstream_id   text   not null,
    operation_id  text   unique,
    session_key   text   unique,
    action        text   not null check (action in ('test', 'start', 'unknown')),
    plan_key      text,
    tenant_id     text,
    tenant_name   text,
    started_at    bigint not null,
    asked         text   not null,
    -- When Enterprise Manager's task was first seen done, and the newest restore points at the request; on-premises plans only.
    work_ended_at bigint,
    newest        text,
    -- open: not reported yet; due: to be reported anew; reported.
    state         text   not null check (state in ('open', 'due', 'reported')),
    revision      bigint not null default 0,
    -- Of the last revision.
    outcome       text,
    result        text,
    rta_ms        bigint,
    rpa_ms        bigint,
    machines      bigint,
    ended_at      bigint,
    -- Whether Enterprise Manager acted on it; what was refused, rejected or never sent is no test.
    executed      bigint not null default 1 check (executed in (0, 1)),
    -- Whether the undo that followed is in the report.
    returned      bigint not null default 0 check (returned in (0, 1)),
    check (operation_id is not null or session_key is not null),
    check ((state = 'open') = (revision = 0))
);

create index recovery_runs_waiting on recovery_runs (upstream_id, started_at) where state <> 'reported';
create index recovery_runs_plan on recovery_runs (upstream_id, plan_key, started_at) where plan_key is not null;
create index recovery_runs_out on recovery_runs (upstream_id, plan_key) where action = 'start' and returned = 0;
create index recovery_runs_started on recovery_runs (started_at);

create table recovery_reports (
    run_id   text   not null references recovery_runs (id) on delete cascade,
    revision bigint not null,
    made_at  bigint not null,
    digest   text   not null,
    body     text   not null,
    primary key (run_id, revision)
);

-- Restore points as they were read; Enterprise Manager may have removed them since. Without a time in it, one was gone before.
create table recovery_points (
    upstream_id text   not null,
    point_key   text   not null,
    facts       text   not null,
    read_at     bigint not null,
    primary key (upstream_id, point_key)
);
create index recovery_points_age on recovery_points (read_at);

-- The keys that sign reports, sealed. One is in use; the others verify what they signed.
create table report_keys (
    id         text   primary key,
    public_key text   not null,
    seed       text   not null,
    not_before bigint not null,
    not_after  bigint,
    in_use     bigint unique check (in_use = 1)
);

-- Whether a session that ended is in a report or needs none. What ended before has none unless somebody asks for it.
alter table failover_sessions add column reported bigint not null default 0 check (reported in (0, 1));
update failover_sessions set reported = 1 where phase <> 'open';
create index failover_sessions_unreported on failover_sessions (upstream_id, first_seen_at)
    where reported = 0 and phase <> 'open' and sequence > 0;
