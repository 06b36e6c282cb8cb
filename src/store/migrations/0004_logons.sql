-- Logon sessions at Enterprise Manager that tasks live in, so that the next start can go on following them.

create table upstream_logons (
    id         text   primary key,
    account    text   not null,
    -- Sealed.
    token      text   not null,
    path       text   not null,
    created_at bigint not null
);
