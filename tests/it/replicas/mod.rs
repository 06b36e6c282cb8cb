//! Several replicas on one PostgreSQL database: real processes, killed, frozen, and with the database gone.

mod commits;
mod database;
mod guards;
mod joining;
mod kept;
mod lease;
mod settings;
mod shares;
mod streams;
mod takeover;
mod together;
mod turns;
mod waiters;
mod wire;
pub mod world;
