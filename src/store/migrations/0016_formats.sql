-- What formats take beside the URL (a sealed document), what an owner should look at after an attempt, and the bodies that
-- a first attempt drew, sealed, so that the next ones send the same. Programs of earlier versions write none of these.

alter table webhook_endpoints add column format_options text;
alter table webhook_attempts add column warning text;

create table webhook_bodies (
    delivery_id  text primary key references webhook_deliveries (id) on delete cascade,
    content_type text not null,
    body         text not null
);

-- The one message of a bot per endpoint and failover: where it is, as a document, and the event that it shows.
create table webhook_messages (
    endpoint_id text   not null references webhook_endpoints (id) on delete cascade,
    failover    text   not null,
    state       text   not null,
    updated_at  bigint not null,
    primary key (endpoint_id, failover)
);
create index webhook_messages_age on webhook_messages (updated_at);
