-- Where what comes of an operation points to: the trace context (W3C, `traceparent`) of its request. A program of the version before
-- writes none.
alter table operations add column traceparent text;
