-- The attempts of deliveries that have not ended, for a look at all of them.
create index webhook_attempts_open on webhook_attempts (delivery_id, number) where ended = 0;
