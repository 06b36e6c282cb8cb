-- What people and programs record about failovers: added, never changed. Moments and documents as in 0001.

create table recovery_entries (
    run_id   text   not null references recovery_runs (id) on delete cascade,
    position bigint not null,
    at       bigint not null,
    by_name  text,
    content  text   not null,
    primary key (run_id, position)
);
