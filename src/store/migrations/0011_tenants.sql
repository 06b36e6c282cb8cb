-- Whose things are whose: the tenant of operations, sessions and events, and the tenants that the owners of endpoints are
-- confined to. Ids in lower case. Rows that a program of an earlier version wrote have tenant_read = 0 until their documents
-- were read (store/tenants); until then they are nobody's. Its endpoints are those of callers who are not confined.

alter table operations add column tenant_id text;
alter table operations add column tenant_name text;
alter table operations add column tenant_read bigint not null default 0;
alter table failover_sessions add column tenant_id text;
alter table failover_sessions add column tenant_name text;
alter table failover_sessions add column tenant_read bigint not null default 0;
-- What a list of sessions is filtered and sorted by; the name in lower case.
alter table failover_sessions add column plan_name text;
alter table failover_sessions add column state text;
alter table failover_sessions add column result text;
alter table failover_sessions add column ended_at bigint;
alter table events add column tenant_id text;
alter table events add column tenant_name text;
alter table events add column tenant_read bigint not null default 0;
-- Of an event about an endpoint: what owner_tenants of that endpoint is.
alter table events add column owner_tenants text;

-- A JSON array in order; null when the owner is not confined.
alter table webhook_endpoints add column owner_tenants text;
alter table webhook_endpoints add column owner_issuer text;
alter table webhook_endpoints add column owner_subject text;
-- Its members, so that the statement that finds the endpoints of an event can compare them: names as they are, ids in lower
-- case.
create table webhook_endpoint_tenants (
    endpoint_id text not null references webhook_endpoints (id) on delete cascade,
    tenant      text not null,
    primary key (endpoint_id, tenant)
);
-- What owner_tenants of the endpoint is; it outlives the endpoint.
alter table webhook_deliveries add column owner_tenants text;

create index operations_tenant_id on operations (tenant_id, id) where tenant_id is not null;
create index operations_tenant_name on operations (tenant_name, id) where tenant_name is not null;
create index operations_tenant_unread on operations (id) where tenant_read = 0;
create index failover_sessions_tenant_id on failover_sessions (tenant_id, started_at) where tenant_id is not null;
create index failover_sessions_tenant_name on failover_sessions (tenant_name, started_at) where tenant_name is not null;
create index failover_sessions_tenant_unread on failover_sessions (key) where tenant_read = 0;
create index events_tenant_id on events (tenant_id, seq) where tenant_id is not null;
create index events_tenant_name on events (tenant_name, seq) where tenant_name is not null;
create index events_owner on events (owner_tenants, seq) where owner_tenants is not null;
create index events_tenant_unread on events (id) where tenant_read = 0;
create index webhook_endpoints_owner on webhook_endpoints (owner_tenants, id) where owner_tenants is not null;
create index webhook_deliveries_operation on webhook_deliveries (operation_id, id) where operation_id is not null;
create index webhook_deliveries_owner on webhook_deliveries (owner_tenants, id) where owner_tenants is not null;
