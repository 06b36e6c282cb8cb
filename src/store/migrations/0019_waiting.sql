-- What waits, under a condition that a statement has to name: a server without statistics otherwise takes this index, which
-- is smaller where much was written at once, for the next due of a lane, and reads all that waits. A program of the version
-- before lives with it.
drop index webhook_deliveries_pending;
create index webhook_deliveries_pending on webhook_deliveries (lane, since, due_at) where state = 'pending' and since > 0;
