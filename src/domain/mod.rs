//! The rules of failover: plans, operations, sessions, events, webhooks and scopes as values, and what follows from them.
//!
//! Pure: no I/O, no waiting, no clock (moments come in as values). Values are parsed at the edge and trusted afterwards;
//! states that must not be do not compile, or are refused by the one function that makes them. The few serde derives are
//! the form in which the store keeps a value as a document; the JSON that callers see is made in `api_types` alone.
//! Invariant: what an enumeration is called in the JSON and in the store is written once, with `words`. Tests: beside
//! each rule.

pub mod access;
pub mod approval;
pub mod audit;
pub mod command;
pub mod event;
pub mod evidence;
pub mod field_error;
pub mod glob;
pub mod id;
pub mod links;
pub mod logon;
pub mod operation;
pub mod plan;
pub mod policy;
pub mod session;
pub mod upstream_id;
pub mod webhook;
pub mod words;
