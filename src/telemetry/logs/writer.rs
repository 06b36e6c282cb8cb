//! Where log lines go: each to stderr at once, but for the lines of requests, which a thread writes in batches.
//!
//! A request never waits for whoever reads the log. So of its lines those are dropped, and counted, for which the queue has no
//! place; no other line is. A batch is collected for a moment, so that the thread is woken once for many lines.

use std::io::{self, Stderr, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// The target of the lines of requests.
const ACCESS: &str = "emgate::access";
/// Bytes that wait at the most.
const MOST: usize = 4 * 1024 * 1024;
/// How long a batch is collected.
const COLLECTED: Duration = Duration::from_millis(20);
/// How long the end of the program waits for the last batch.
const LAST: Duration = Duration::from_secs(1);

/// The lines that wait to be written; clones share them.
#[derive(Clone, Default)]
pub(in crate::telemetry) struct Queue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Given to the thread: the first line of a batch has come, or the end of the program.
    filled: Condvar,
    /// Given by the thread: all is written.
    written: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    is_over: bool,
    is_written: bool,
}

impl Queue {
    /// Starts the thread that writes to `out`.
    pub(in crate::telemetry) fn written_to(out: impl Write + Send + 'static) -> Self {
        let queue = Self::default();
        let shared = queue.0.clone();
        let thread = std::thread::Builder::new().name("access-log".to_owned());
        if thread.spawn(move || shared.write_to(out)).is_err() {
            queue.0.waiting.lock().is_written = true;
        }
        queue
    }

    /// How many lines were dropped.
    pub(in crate::telemetry) fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Writes what waits, for a moment at the most.
    pub(in crate::telemetry) fn finish(&self) {
        let mut waiting = self.0.waiting.lock();
        waiting.is_over = true;
        self.0.filled.notify_one();
        if !waiting.is_written {
            self.0.written.wait_for(&mut waiting, LAST);
        }
    }

    fn put(&self, line: &[u8]) {
        let mut waiting = self.0.waiting.lock();
        if waiting.is_over || waiting.lines.len() + line.len() > MOST {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let is_first = waiting.lines.is_empty();
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        if is_first {
            self.0.filled.notify_one();
        }
    }
}

impl Shared {
    fn write_to(&self, mut out: impl Write) {
        let mut batch = Vec::new();
        let mut waiting = self.waiting.lock();
        loop {
            while waiting.lines.is_empty() && !waiting.is_over {
                self.filled.wait(&mut waiting);
            }
            if !waiting.is_over {
                self.filled.wait_for(&mut waiting, COLLECTED);
            }
            std::mem::swap(&mut batch, &mut waiting.lines);
            let is_over = waiting.is_over;
            drop(waiting);
            // A log that cannot be written is no reason to end; the next batch is tried again.
            let _ = out.write_all(&batch).and_then(|()| out.flush());
            batch.clear();
            waiting = self.waiting.lock();
            if is_over {
                waiting.is_written = true;
                self.written.notify_all();
                return;
            }
        }
    }
}

/// Chooses the way of each line.
pub(in crate::telemetry) struct Writers(pub Queue);

impl<'w> MakeWriter<'w> for Writers {
    type Writer = Way<'w>;

    fn make_writer(&'w self) -> Way<'w> {
        Way::AtOnce(io::stderr())
    }

    fn make_writer_for(&'w self, line: &Metadata<'_>) -> Way<'w> {
        if line.target() == ACCESS {
            Way::Queued(&self.0)
        } else {
            self.make_writer()
        }
    }
}

/// The way of one line, which is written as a whole.
pub(in crate::telemetry) enum Way<'w> {
    AtOnce(Stderr),
    Queued(&'w Queue),
}

impl Write for Way<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::AtOnce(stderr) => stderr.write(bytes),
            Self::Queued(queue) => {
                queue.put(bytes);
                Ok(bytes.len())
            }
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::AtOnce(stderr) => stderr.write_all(bytes),
            Self::Queued(queue) => {
                queue.put(bytes);
                Ok(())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::AtOnce(stderr) => stderr.flush(),
            Self::Queued(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_wait_are_written_before_the_end() {
        let sink = Sink::default();
        let queue = Queue::written_to(sink.clone());
        for number in 0..1_000 {
            queue.put(format!("{number}\n").as_bytes());
        }
        queue.finish();
        let text = String::from_utf8(sink.0.lock().clone()).expect("text");
        let numbers: Vec<usize> = text.lines().map(|line| line.parse().expect("whole")).collect();
        assert_eq!(numbers, (0..1_000).collect::<Vec<_>>());
        assert_eq!(queue.dropped(), 0);
    }

    #[test]
    fn a_line_without_a_place_is_dropped_and_counted() {
        // Nobody writes.
        let queue = Queue::default();
        let line = [b'x'; 1024];
        for _ in 0..MOST / 1024 + 7 {
            queue.put(&line);
        }
        assert_eq!((queue.dropped(), queue.0.waiting.lock().lines.len()), (7, MOST));
    }
}
