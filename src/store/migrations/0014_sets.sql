-- Indexes for statements about what waits for many endpoints at once. A program of the version before lives with them.

-- What waits, blocked or not: held, woken, given up, counted and probed without a look at what has ended.
create index webhook_deliveries_pending on webhook_deliveries (lane, since, due_at) where state = 'pending';

-- What keeps failing and may be passed by later ones once its endpoint takes something.
create index webhook_deliveries_failing on webhook_deliveries (lane, first_failed_at)
    where order_key is not null and failures > 0 and passed = 0 and state in ('pending', 'sending', 'held');

-- The endpoints of a tenant, for the events of one transaction.
create index webhook_endpoint_tenants_tenant on webhook_endpoint_tenants (tenant, endpoint_id);
