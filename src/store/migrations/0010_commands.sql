-- What an operation sends to Enterprise Manager, sealed, since it may hold passwords. Rows of older programs have none. That
-- of a write through the mirror goes when the operation ends.

alter table operations add column command text;
