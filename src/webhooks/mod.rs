//! Webhooks: from event to signed request.
//!
//! Deliveries are rows, written with their event. `dispatch` claims what is due, a few of each lane (`fairness`) and
//! with what it remembers between turns (`in_flight`); `deliver` makes one attempt: a format renders and judges
//! (`formats`), a bot keeps one message up to date (`bots`), `client` sends to an address that `egress` and `address` allow
//! (`dial`, directly or through a proxy; `request` is what goes over the wire), and `tls` says whom it believes there. `record_outcome` writes what came of
//! it, with the endpoint's health, before anything else happens to the delivery. `signing` makes the signatures of all secrets
//! that sign now, and `jobs` makes due again what an endpoint did not get.
//!
//! Nothing here decides what an event says, nothing but `client` opens a connection, and no transaction is held while a
//! request is under way. Invariant: a delivery ends only where its row says so. Tests: beside the files,
//! `tests/it/delivery`, `tests/it/address.rs`.

pub mod address;
pub mod answer;
mod bots;
pub mod client;
pub mod config;
mod deliver;
mod dial;
pub mod dispatch;
pub mod dispatcher_health;
pub mod egress;
mod fairness;
pub mod formats;
mod head;
mod in_flight;
pub mod jobs;
mod receivers;
mod record_outcome;
mod request;
pub mod signing;
pub mod tls;

pub use client::Client;
pub use config::Config;
pub use dispatch::Dispatcher;
pub use dispatcher_health::DispatcherHealth;
pub use egress::{DeniedTarget, EgressPolicy};
pub use jobs::Jobs;
