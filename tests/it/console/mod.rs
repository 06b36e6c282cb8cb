//! The operators' console as a browser meets it (docs/behaviour.md#console): its files, its logins, and the API by its cookie.

mod board;
mod login;
mod serving;
mod sessions;
