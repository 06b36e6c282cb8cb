//! The only place in which tests let time pass: polling with a deadline, and doubles that are slow on purpose.

use std::fmt::Debug;
use std::process::{Child, Output};
use std::time::{Duration, Instant};

/// How long a condition may take to become true.
pub const PATIENCE: Duration = Duration::from_mins(1);

const PAUSE: Duration = Duration::from_millis(10);

/// Polls until the answer is as wished, and returns it.
///
/// # Panics
/// When it is not within [`PATIENCE`]; the message says `what` was awaited, and the last answer.
pub async fn eventually<T: Debug>(
    what: &str,
    mut ask: impl AsyncFnMut() -> T,
    wished: impl Fn(&T) -> bool,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = ask().await;
        if wished(&answer) {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "waited in vain: {what}; last: {answer:#?}"
        );
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until a condition holds.
pub async fn holds(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// The same where nothing is asynchronous.
pub fn holds_blocking(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(PAUSE);
    }
}

/// Waits for a child's end, and kills one that does not end.
pub fn output_of(mut child: Child) -> Output {
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().expect("it can be asked").is_none() {
        if Instant::now() > deadline {
            child.kill().expect("killed");
        }
        std::thread::sleep(PAUSE);
    }
    child.wait_with_output().expect("its output")
}

/// The pause of a double that is slow on purpose, for tests of slowness.
pub async fn slowly(pause: Duration) {
    tokio::time::sleep(pause).await;
}

/// The same in a thread.
pub fn slowly_blocking(pause: Duration) {
    std::thread::sleep(pause);
}
