-- Which process would get Enterprise Manager's answer to the request of an operation: one that is gone gets none. Rows of
-- older programs name no process.

alter table operations add column submitted_by text;
