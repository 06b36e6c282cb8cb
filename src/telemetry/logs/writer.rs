//! Where log lines go: through a queue to a thread that writes them to stderr in batches.
//!
//! Nothing waits for whoever reads the log: a pipe that nobody empties would hold up each thread that has a line to write, and with it
//! requests, observation and the end of the program. Lines for which the queue has no place are dropped, and counted; lines of
//! requests come to that first. A batch of those is collected for a moment, so that the thread is woken once for many lines; any
//! other line is written at once, with those before it.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// The target of the lines of requests.
const ACCESS: &str = "emgate::access";
/// Bytes that wait at the most, and how many of them may be lines of requests.
const MOST: usize = 4 * 1024 * 1024;
const MOST_OF_REQUESTS: usize = 3 * 1024 * 1024;
/// How long a batch is collected.
const COLLECTED: Duration = Duration::from_millis(20);
/// How long the end of the program waits for the last batch.
const LAST: Duration = Duration::from_secs(1);

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Request,
    Other,
}

/// The lines that wait to be written; clones share them.
#[derive(Clone, Default)]
pub(in crate::telemetry) struct Queue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Given to the thread: the first line of a batch has come, one that is written at once, or the end of the program.
    filled: Condvar,
    /// Given by the thread: all is written.
    written: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Whether one of them is to be written at once.
    is_urgent: bool,
    is_over: bool,
    /// Whether there is no thread: it has written all, or could not be started. Lines are written where they come from then.
    is_written: bool,
}

impl Queue {
    /// Starts the thread that writes to `out`.
    pub(in crate::telemetry) fn written_to(out: impl Write + Send + 'static) -> Self {
        let queue = Self::default();
        let shared = queue.0.clone();
        let thread = std::thread::Builder::new().name("log".to_owned());
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

    fn put(&self, line: &[u8], about: About) {
        let most = match about {
            About::Request => MOST_OF_REQUESTS,
            About::Other => MOST,
        };
        let mut waiting = self.0.waiting.lock();
        if waiting.is_written {
            drop(waiting);
            let _ = io::stderr().write_all(line);
            return;
        }
        if waiting.is_over || waiting.lines.len() + line.len() > most {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let is_urgent = about == About::Other && !waiting.is_urgent;
        let wakes = waiting.lines.is_empty() || is_urgent;
        waiting.is_urgent |= is_urgent;
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        if wakes {
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
            if !waiting.is_over && !waiting.is_urgent {
                self.filled.wait_for(&mut waiting, COLLECTED);
            }
            std::mem::swap(&mut batch, &mut waiting.lines);
            waiting.is_urgent = false;
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

/// Puts each line into the queue.
pub(in crate::telemetry) struct Writers(pub Queue);

impl<'w> MakeWriter<'w> for Writers {
    type Writer = Line<'w>;

    fn make_writer(&'w self) -> Line<'w> {
        Line(&self.0, About::Other)
    }

    fn make_writer_for(&'w self, line: &Metadata<'_>) -> Line<'w> {
        let is_request = line.target() == ACCESS;
        Line(&self.0, if is_request { About::Request } else { About::Other })
    }
}

/// One line, which comes as a whole.
pub(in crate::telemetry) struct Line<'w>(&'w Queue, About);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.put(bytes, self.1);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
            let about = if number % 3 == 0 {
                About::Other
            } else {
                About::Request
            };
            queue.put(format!("{number}\n").as_bytes(), about);
        }
        queue.finish();
        let text = String::from_utf8(sink.0.lock().clone()).expect("text");
        let numbers: Vec<usize> = text.lines().map(|line| line.parse().expect("whole")).collect();
        assert_eq!(numbers, (0..1_000).collect::<Vec<_>>());
        assert_eq!(queue.dropped(), 0);
    }

    #[test]
    fn without_a_thread_no_line_waits() {
        let queue = Queue::default();
        queue.0.waiting.lock().is_written = true;
        queue.put(b"{}\n", About::Other);
        assert_eq!((queue.dropped(), queue.0.waiting.lock().lines.len()), (0, 0));
    }

    #[test]
    fn a_line_without_a_place_is_dropped_and_counted_those_of_requests_first() {
        // Nobody writes.
        let queue = Queue::default();
        let line = [b'x'; 1024];
        for _ in 0..MOST_OF_REQUESTS / 1024 + 7 {
            queue.put(&line, About::Request);
        }
        let waits = || queue.0.waiting.lock().lines.len();
        assert_eq!((queue.dropped(), waits()), (7, MOST_OF_REQUESTS));
        for _ in 0..(MOST - MOST_OF_REQUESTS) / 1024 + 2 {
            queue.put(&line, About::Other);
        }
        assert_eq!((queue.dropped(), waits()), (9, MOST));
    }
}
