-- Idempotency keys, as digests: which operation a caller's key stands for.

create table idempotency_keys (
    scope        text   primary key,
    request      text   not null,
    operation_id text   not null references operations (id) on delete cascade,
    created_at   bigint not null
);

create index idempotency_keys_operation on idempotency_keys (operation_id);
create index idempotency_keys_age on idempotency_keys (created_at);
