-- Who is logged in to the console. Of what a browser holds only the SHA-256 is kept; the token that it stands for is sealed.
-- A program of the version before knows no console.

create table console_sessions (
    hash       text   primary key check (length(hash) = 64),
    owner      text   not null,
    token      text   not null,
    created_at bigint not null,
    expires_at bigint not null
);
create index console_sessions_owner on console_sessions (owner, created_at);
create index console_sessions_expiry on console_sessions (expires_at);

-- Logins that were begun at an identity provider and have not come back; each counts once.
create table console_logins (
    hash       text   primary key check (length(hash) = 64),
    browser    text   not null,
    secrets    text   not null,
    created_at bigint not null,
    expires_at bigint not null
);
create index console_logins_expiry on console_logins (expires_at);
