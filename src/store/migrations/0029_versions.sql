-- The version of Enterprise Manager's REST API that a logon session was opened with: a process that takes it up logs on no more. A
-- program of the version before writes none.
alter table upstream_logons add column api_version text;
