create index webhook_attempts_open on webhook_attempts (delivery_id, number) where ended = 0;
