//! Webhooks: from event to signed request.
//!
//! Deliveries are rows, written with their event; what is due is claimed, signed, sent to an address that was judged,
//! and its outcome written before anything else happens to it. Nothing here decides what an event says, and nothing
//! but [`client`] opens a connection. Invariant: a delivery ends only where its row says so. Tests:
//! `tests/it/delivery`, `tests/it/address.rs`.

pub mod address;
pub mod answer;
pub mod client;
pub mod config;
mod deliver;
pub mod dispatch;
pub mod dispatcher_health;
pub mod egress;
mod fairness;
pub mod formats;
mod head;
mod in_flight;
mod record_outcome;

pub use client::Client;
pub use config::Config;
pub use dispatch::Dispatcher;
pub use dispatcher_health::DispatcherHealth;
pub use egress::{DeniedTarget, EgressPolicy};
