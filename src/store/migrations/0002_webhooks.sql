-- Webhook endpoints, deliveries and attempts. Moments, flags and documents as in 0001; URLs, header values and secrets sealed.

create table webhook_endpoints (
    id               text   primary key,
    url              text   not null,
    shown_url        text   not null,
    secret           text   not null,
    description      text,
    -- A JSON array of types; null means every type that is not opt-in, later ones included.
    event_types      text,
    filter           text   not null,
    format           text   not null,
    headers          text   not null,
    max_concurrency  bigint not null check (max_concurrency >= 1),
    enabled          bigint not null check (enabled in (0, 1)),
    disabled_reason  text,
    created_at       bigint not null,
    updated_at       bigint not null,
    -- How it has done since its last success.
    failures         bigint not null default 0,
    first_failure_at bigint,
    last_success_at  bigint,
    last_error       text,
    down_since       bigint,
    told_failing     bigint not null default 0 check (told_failing in (0, 1)),
    paused_until     bigint,
    next_probe_at    bigint,
    check (disabled_reason is null or enabled = 0),
    check ((failures = 0) = (first_failure_at is null)),
    check (down_since is null or failures > 0)
);

-- One-off callbacks: each gets exactly one delivery, whatever happens to its operation later.
create table webhook_callbacks (
    operation_id text   primary key,
    url          text   not null,
    origin       text   not null,
    secret       text   not null,
    created_at   bigint not null,
    delivery_id  text   unique
);

create table webhook_deliveries (
    id              text   primary key,
    -- What shares a bound on concurrency: an endpoint, or the origin of callbacks.
    lane            text   not null,
    endpoint_id     text,
    operation_id    text,
    event_id        text   not null references events (id),
    event_type      text   not null,
    -- The event's place in the log: what waits goes out in this order.
    place           bigint not null,
    -- The failover session, within which order is kept.
    order_key       text,
    state           text   not null
                    check (state in ('pending', 'sending', 'delivered', 'held', 'exhausted', 'cancelled', 'quarantined')),
    due_at          bigint,
    -- 1 while an earlier delivery of the session to the endpoint has to go first.
    blocked         bigint not null default 0 check (blocked in (0, 1)),
    -- 1 once a later delivery of the session may go before it.
    passed          bigint not null default 0 check (passed in (0, 1)),
    -- 1 while somebody waits for its first attempt, which then ignores the endpoint's pauses.
    urgent          bigint not null default 0 check (urgent in (0, 1)),
    -- 1 while the attempt under way is a probe.
    probe           bigint not null default 0 check (probe in (0, 1)),
    attempts        bigint not null default 0,
    last_attempt_at bigint,
    step            bigint not null default 0,
    failures        bigint not null default 0,
    first_failed_at bigint,
    crashes         bigint not null default 0,
    -- From when its lifetime counts: its first attempt, or its creation until then.
    since           bigint not null,
    -- The process that sends it; together with the number of attempts this fences off whoever lost it.
    owner           text,
    created_at      bigint not null,
    ended_at        bigint,
    unique (lane, event_id),
    check ((endpoint_id is null) <> (operation_id is null)),
    check ((state = 'pending') = (due_at is not null)),
    check ((state = 'sending') = (owner is not null)),
    check ((state in ('pending', 'sending', 'held')) = (ended_at is null)),
    check (blocked = 0 or order_key is not null)
);

create index webhook_deliveries_due on webhook_deliveries (lane, due_at, place) where state = 'pending' and blocked = 0;
create index webhook_deliveries_urgent on webhook_deliveries (lane, due_at) where state = 'pending' and urgent = 1;
create index webhook_deliveries_session on webhook_deliveries (lane, order_key, place)
    where order_key is not null and state in ('pending', 'sending', 'held');
create index webhook_deliveries_sending on webhook_deliveries (lane, order_key) where state = 'sending';
create index webhook_deliveries_held on webhook_deliveries (lane) where state = 'held';
create index webhook_deliveries_callbacks on webhook_deliveries (lane, due_at) where endpoint_id is null and state = 'pending';
create index webhook_deliveries_endpoint on webhook_deliveries (endpoint_id, id);
create index webhook_deliveries_event on webhook_deliveries (event_id);
create index webhook_deliveries_ended on webhook_deliveries (ended_at) where ended_at is not null;

create table webhook_attempts (
    delivery_id text   not null references webhook_deliveries (id) on delete cascade,
    number      bigint not null,
    -- Written before the request is sent; what follows when it ended.
    at          bigint not null,
    ended       bigint not null default 0 check (ended in (0, 1)),
    duration_us bigint,
    status      bigint,
    error       text,
    location    text,
    response    text,
    primary key (delivery_id, number)
);
