//! Something that answers over HTTP, and the processor time that it uses for it.

use std::net::SocketAddr;
use std::time::Duration;

use super::callers::{self, Asked};

/// Requests before each measurement, so that what is remembered is.
const WARM: Duration = Duration::from_millis(200);

/// A server and its processes.
pub struct Subject {
    pub addr: SocketAddr,
    processes: Vec<u32>,
}

/// What was found of one kind of request, a value for each round.
#[derive(Default, Clone)]
pub struct Found {
    /// Answers a second.
    pub rates: Vec<f64>,
    /// Microseconds of processor time for each.
    pub micros: Vec<f64>,
}

impl Subject {
    pub fn new(addr: SocketAddr, processes: Vec<u32>) -> Self {
        Self { addr, processes }
    }

    /// One round: all connections ask for so long.
    pub fn measure(&self, found: &mut Found, asked: &Asked, time: Duration) {
        callers::ask(self.addr, asked, WARM);
        let before = self.processor_micros();
        let answered = callers::ask(self.addr, asked, time);
        let used = self.processor_micros() - before;
        found
            .rates
            .push(answered.count as f64 / answered.took.as_secs_f64());
        found.micros.push(used / answered.all as f64);
    }

    /// What all its threads have used.
    pub fn processor_micros(&self) -> f64 {
        self.processes.iter().map(|id| processor_micros(*id)).sum()
    }
}

/// The processor time that a process has used, in microseconds.
pub fn processor_micros(id: u32) -> f64 {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{id}/task")) else {
        return 0.0;
    };
    let nanos = tasks.flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanos.sum::<f64>() / 1e3
}
