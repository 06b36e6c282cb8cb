//! The only place in which tests let time pass: polling with a deadline, and doubles that are slow on purpose.

use std::fmt::Debug;
use std::io::Read;
use std::process::{Child, Output};
use std::thread::JoinHandle;
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
pub fn output_of(child: Child) -> Output {
    output_within(child, PATIENCE)
}

/// The same with another limit. What the child tells is read meanwhile: one that tells much would wait for that.
pub fn output_within(mut child: Child, patience: Duration) -> Output {
    let (stdout, stderr) = (told(child.stdout.take()), told(child.stderr.take()));
    let deadline = Instant::now() + patience;
    let status = loop {
        if let Some(status) = child.try_wait().expect("it can be asked") {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().expect("killed");
        }
        std::thread::sleep(PAUSE);
    };
    Output {
        status,
        stdout: stdout.join().expect("its output"),
        stderr: stderr.join().expect("its errors"),
    }
}

/// Reads a pipe to its end, in a thread of its own.
fn told(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes).expect("the pipe can be read");
        }
        bytes
    })
}

/// The pause of a double that is slow on purpose, for tests of slowness.
pub async fn slowly(pause: Duration) {
    tokio::time::sleep(pause).await;
}

/// The same in a thread.
pub fn slowly_blocking(pause: Duration) {
    std::thread::sleep(pause);
}
