-- A place that is kept: statements of another part of the program.
create index if not exists webhook_attempts_open on webhook_attempts (delivery_id, number) where ended = 0;
