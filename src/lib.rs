//! emgate: a modern JSON gateway in front of Veeam Backup Enterprise Manager (EM).
//!
//! The rooms in reading order; `ARCHITECTURE.md` is the map, and `tests/it/guard_imports.rs` holds the
//! rule of who may import whom.
//!
//! | room | holds |
//! |---|---|
//! | [`domain`] | rules: plans, operations, sessions, events, webhooks; no I/O, no clock, no serde |
//! | [`api_types`] | the JSON of the API, built from domain values |
//! | [`catalogue`] | what EM is, as data |
//! | [`transcode`] | XML to JSON and back, by the catalogue |
//! | [`mirror`] | which operation of EM a request through the mirror means |
//! | [`upstream`] | the only room that speaks to EM |
//! | [`store`] | the only room that speaks SQL |
//! | [`survey`] | reads a real EM once and tells what the catalogue does not know |
//! | [`watcher`] | looks at EM, writes what changed |
//! | [`webhooks`] | from event to signed request |
//! | [`reports`] | from a recovery report to its page, its table and its proof |
//! | [`app`] | the verbs: whatever needs two rooms |
//! | [`auth`] | from token to caller |
//! | [`http`] | the interface to callers: routes, extraction, problems, OpenAPI |
//! | [`json`] | strict reading of JSON, for `auth` and `http` |

pub mod api_types;
pub mod app;
pub mod auth;
pub mod bootstrap;
pub mod catalogue;
pub mod cli;
pub mod clock;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod domain;
pub mod http;
pub mod json;
pub mod mirror;
pub mod reports;
pub mod runtime;
#[cfg(feature = "demo")]
pub mod sim;
pub mod store;
pub mod survey;
pub mod telemetry;
pub mod text;
pub mod transcode;
pub mod upstream;
pub mod watcher;
pub mod webhooks;
