-- When plans are tested by themselves, what was told of a day, and reports that are held. Moments, flags and documents as in
-- 0001. A program of the version before runs no schedule, and removes reports that are held.

create table plan_schedules (
    upstream_id text   not null,
    plan_key    text   not null,
    plan        text   not null,
    tenant_id   text,
    tenant_name text,
    schedule    text   not null,
    set_by      text   not null,
    set_at      bigint not null,
    -- The next time; null when there is none.
    due_at      bigint,
    -- Why it could not be run so far.
    waiting     text,
    -- What became of the last one.
    last_run    text,
    primary key (upstream_id, plan_key)
);
create index plan_schedules_due on plan_schedules (upstream_id, due_at) where due_at is not null;

-- What is told once a day at the most, and when it was.
create table daily_notices (
    upstream_id text   not null,
    name        text   not null,
    told_at     bigint not null,
    primary key (upstream_id, name)
);

-- Who set the schedule that an operation comes from.
alter table operations add column on_behalf_of text;

-- Whether a start was an exercise, which counts as a test.
alter table recovery_runs add column practice bigint not null default 0 check (practice in (0, 1));
update recovery_runs set practice = 1 where action = 'start'
    and (asked like '%"kind":"test"%' or asked like '%"kind":"exercise"%');

-- Who holds the report, and why: it is not removed for its age.
alter table recovery_runs add column hold text;

-- Whether the operation was unknown in the last revision: its end makes another.
alter table recovery_runs add column unsettled bigint not null default 0 check (unsettled in (0, 1));
create index recovery_runs_unsettled on recovery_runs (upstream_id, started_at) where unsettled = 1;
