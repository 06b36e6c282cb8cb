-- Operations, failover sessions and the event log.
-- Moments are microseconds since 1970 (UTC), flags 0 or 1, documents JSON text, ids of EM in lower case in key columns.

create table meta (
    key   text primary key,
    value text not null
);

create table operations (
    id                  text    primary key,
    kind                text    not null check (kind in ('failover', 'update', 'delete', 'em')),
    action              text    not null,
    plan_key            text,
    plan                text,
    target              text,
    state               text    not null check (state in ('submitting', 'running', 'finished', 'unknown')),
    result              text,
    result_source       text    check (result_source in ('session', 'task')),
    progress            bigint  not null default 0,
    task_id             text,
    task_logon          text,
    task_state          text,
    task_message        text,
    session_key         text,
    session_id          text,
    failure_message     text,
    failure_source      text    check (failure_source in ('task', 'session', 'gateway')),
    requested_by        text,
    requested_at        bigint  not null,
    finished_at         bigint,
    cancel_requested_at bigint,
    callback_url        text,
    metadata            text    not null default '{}',
    seen_observation    bigint  not null,
    answer_due          bigint  not null,
    evidence_deadline   bigint  not null,
    -- Finished if and only if it has an end; EM may leave the result open, but nothing unfinished has one.
    check ((state = 'finished') = (finished_at is not null)),
    check (state = 'finished' or result is null),
    check ((failure_message is null) = (failure_source is null)),
    check ((session_key is null) = (session_id is null)),
    check ((task_id is null) = (task_state is null))
);

-- A plan runs once at a time: the database itself refuses the second.
create unique index operations_busy_plan on operations (plan_key)
    where kind = 'failover' and state in ('submitting', 'running');
create index operations_open on operations (requested_at) where state in ('submitting', 'running', 'unknown');
create index operations_session on operations (session_key) where session_key is not null;
create index operations_plan on operations (plan_key, id);

create table operation_history (
    operation_id text   not null references operations (id) on delete cascade,
    position     bigint not null,
    state        text   not null,
    at           bigint not null,
    reason       text,
    primary key (operation_id, position)
);

create table failover_sessions (
    key               text   primary key,
    facts             text   not null,
    plan              text,
    plan_key          text,
    started_at        bigint,
    first_seen_at     bigint not null,
    first_observation bigint not null,
    -- When it was first seen stopped; the end is reported at once when it has a result, else a minute later.
    stopped_seen_at   bigint,
    missed            bigint not null default 0,
    sequence          bigint not null default 0,
    -- open: its end is awaited; ended: reported, or silently part of the baseline; lost: EM no longer knows it.
    phase             text   not null check (phase in ('open', 'ended', 'lost'))
);

create index failover_sessions_open on failover_sessions (first_seen_at) where phase <> 'ended';
create index failover_sessions_started on failover_sessions (started_at, key);

create table events (
    seq           integer primary key autoincrement,
    id            text    not null unique,
    type          text    not null,
    at            bigint  not null,
    body          text    not null,
    session_key   text,
    sequence      bigint,
    plan_key      text,
    tenant        text,
    result        text,
    operation_id  text,
    unique (session_key, sequence)
);

create index events_at on events (at);
