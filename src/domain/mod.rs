//! The rules of failover, without I/O, without waiting, without reading a clock.
//!
//! Values here are parsed at the edge and trusted afterwards. The few serde derives are the form in which the
//! store keeps a value as a document; the JSON that callers see is made in `api_types` alone.

pub mod access;
pub mod command;
pub mod event;
pub mod field_error;
pub mod id;
pub mod links;
pub mod logon;
pub mod operation;
pub mod plan;
pub mod session;
pub mod upstream_id;
pub mod webhook;
pub mod words;
