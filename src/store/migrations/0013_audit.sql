-- The audit log: one chain of rows over all replicas. A row's hash covers its other columns in a canonical form; moments
-- and documents as in 0001. A program of the version before writes none, and leaves the chain as it is.

create table audit (
    sequence       bigint primary key,
    at             bigint not null,
    actor_issuer   text,
    actor_subject  text,
    actor_token_id text,
    actor_address  text,
    action         text   not null,
    target         text,
    tenant_id      text,
    tenant_name    text,
    operation_id   text,
    request_id     text,
    outcome        text   not null,
    status         bigint,
    details        text   not null,
    previous_hash  text   not null check (length(previous_hash) = 64),
    hash           text   not null check (length(hash) = 64)
);

-- The filters of the list, each in the order of the list.
create index audit_at on audit (at);
create index audit_actor on audit (actor_subject, sequence) where actor_subject is not null;
create index audit_action on audit (action, sequence);
create index audit_operation on audit (operation_id, sequence) where operation_id is not null;
create index audit_tenant_id on audit (tenant_id, sequence) where tenant_id is not null;
create index audit_tenant_name on audit (tenant_name, sequence) where tenant_name is not null;

-- The last row, also when it was pruned: whoever appends locks this one, and the chain has no end but this.
create table audit_head (
    id       bigint primary key check (id = 1),
    sequence bigint not null,
    hash     text   not null check (length(hash) = 64)
);
insert into audit_head (id, sequence, hash)
    values (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

-- The last row that retention removed, signed, so that the rest can be verified.
create table audit_anchor (
    id         bigint primary key check (id = 1),
    sequence   bigint not null,
    hash       text   not null check (length(hash) = 64),
    at         bigint not null,
    public_key text   not null,
    signature  text   not null
);
