//! Deliveries over real sockets: what the wire carries, what receivers may do, who waits for whom, what a crash leaves.
//!
//! Due times follow a clock that the test moves; sockets and time limits are real.

mod again;
mod bench;
mod bots;
mod clock;
mod endings;
mod formats;
#[cfg(feature = "demo")]
mod killed;
mod order;
mod peer;
mod peers;
mod reached;
mod receivers;
mod recovery;
mod restart;
mod secrets;
mod tls;
mod unreadable;
mod wire;
