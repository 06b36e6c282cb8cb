-- When a replica last had an answer from EM, in the database server's time: who observes and has none leaves that to one
-- that had.

alter table replicas add column greeted_at bigint;
