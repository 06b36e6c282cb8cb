-- How much of what all replicas together may have only so many of (logon sessions at EM) a replica may use at the most,
-- as JSON: a number by name. Written before it is used, and lowered only after it was given back.

alter table replicas add column claims text not null default '{}';
