-- Processes that share a PostgreSQL store, in that server's time; a store in a file has one process and no rows here.
-- Whoever removes a row gives back, in the same transaction, what it had claimed.

create table replicas (
    id         text   primary key,
    started_at bigint not null,
    beat_at    bigint not null
);

-- What one replica does for all. The token grows with every change of hands, so that whoever lost it is recognised.
create table leases (
    name  text   primary key,
    owner text   not null,
    token bigint not null
);

-- The replica that logs the session off when nobody needs it any more.
alter table upstream_logons add column owner text;
