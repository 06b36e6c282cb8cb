-- Reading the event log by what its events are about, in the order of the log, and the tickets that stand for a token where a
-- request cannot carry one. Of a ticket only the SHA-256 is kept. A program of the version before makes and takes none.

create index events_operation on events (operation_id, seq) where operation_id is not null;
create index events_plan on events (plan_key, seq) where plan_key is not null;

-- For one stream each; whose rights it has is a document.
create table stream_tickets (
    hash       text   primary key check (length(hash) = 64),
    caller     text   not null,
    expires_at bigint not null
);
create index stream_tickets_expiry on stream_tickets (expires_at);

-- For reading one operation and nothing else.
create table operation_tickets (
    hash         text   primary key check (length(hash) = 64),
    operation_id text   not null,
    caller       text   not null,
    expires_at   bigint not null
);
create index operation_tickets_expiry on operation_tickets (expires_at);
