-- What attempts saw of the connection, what receivers' certificates and clocks show, and how an endpoint is reached. Moments,
-- flags and sealed documents as in 0001. A program of the version before writes none of these, and keeps no rate.

-- Microseconds, null for what was not reached; the address that was spoken to, as `address:port`.
alter table webhook_attempts add column dns_us bigint;
alter table webhook_attempts add column connect_us bigint;
alter table webhook_attempts add column tls_us bigint;
alter table webhook_attempts add column first_byte_us bigint;
alter table webhook_attempts add column remote text;
alter table webhook_attempts add column tls_version text;
alter table webhook_attempts add column reused bigint check (reused in (0, 1));

-- Of the last TLS handshake and the last answer: until when the certificate is valid, by how many seconds the receiver's clock
-- is ahead, and whether the log was told of either.
alter table webhook_endpoints add column certificate_not_after bigint;
alter table webhook_endpoints add column clock_skew bigint;
alter table webhook_endpoints add column told_certificate bigint not null default 0 check (told_certificate in (0, 1));
alter table webhook_endpoints add column told_skew bigint not null default 0 check (told_skew in (0, 1));

-- Deliveries a second, null for the format's own rate, and until when those that went out have used it up.
alter table webhook_endpoints add column rate bigint check (rate >= 1);
alter table webhook_endpoints add column paced_until bigint;

-- Time limit, authority, client certificate and proxy: a sealed document.
alter table webhook_endpoints add column connection text;
