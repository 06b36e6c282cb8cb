-- Endpoints in full: rotation of secrets, Ed25519, jobs that send again, what attempts and answers showed. Moments, flags
-- and documents as in 0001; secrets and keys sealed. A program of the version before signs with the newest secret alone.

-- What signed before the last rotation, and when that was; all three are removed 24 hours later.
alter table webhook_endpoints add column previous_secret text;
alter table webhook_endpoints add column previous_signing_key text;
alter table webhook_endpoints add column rotated_at bigint;
-- The Ed25519 key. It stays when v1a is not asked for any more.
alter table webhook_endpoints add column signing_key text;
alter table webhook_endpoints add column signs_v1a bigint not null default 0 check (signs_v1a in (0, 1));
alter table webhook_endpoints add column body_signature text;
create index webhook_endpoints_rotated on webhook_endpoints (rotated_at) where rotated_at is not null;

-- What is sent again, batch by batch: `place` is how far into the event log it has come, `last_place` where it ends. A batch
-- and its progress are one transaction, so that whoever goes on repeats nothing.
create table webhook_jobs (
    id            text   primary key,
    endpoint_id   text   not null references webhook_endpoints (id) on delete cascade,
    kind          text   not null check (kind in ('recover', 'replay')),
    state         text   not null check (state in ('pending', 'running', 'finished')),
    since         bigint not null,
    place         bigint not null default 0,
    last_place    bigint not null,
    total         bigint not null,
    done          bigint not null default 0,
    owner_tenants text,
    created_at    bigint not null,
    touched_at    bigint not null,
    finished_at   bigint,
    check ((state = 'finished') = (finished_at is not null))
);
create index webhook_jobs_endpoint on webhook_jobs (endpoint_id, id);
create index webhook_jobs_open on webhook_jobs (touched_at) where finished_at is null;
create index webhook_jobs_finished on webhook_jobs (finished_at) where finished_at is not null;
create index webhook_deliveries_given_up on webhook_deliveries (endpoint_id, place) where state in ('exhausted', 'quarantined');
