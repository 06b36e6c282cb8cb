//! How long an answer takes at a fixed pace: requests leave at moments that were set beforehand, and each is timed from its moment, so
//! that an answer that is late makes those that wait behind it late as well, as it would for callers who do not know of each
//! other.

use std::net::SocketAddr;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use super::asked;
use super::callers::{Asked, Blocking, CONNECTIONS};
use super::nginx::Nginx;
use super::{Rounds, number};
use crate::figures::statistics::percentile;
use crate::figures::{Figures, Row};

/// Requests a second, of all connections.
const PACE: f64 = 5_000.0;
const READS: [&str; 3] = ["plan", "list of 20 plans", "plan through the mirror"];
const SHARES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

pub async fn measure(figures: &mut Figures) {
    let rounds = Rounds::wanted();
    let (pace, time) = (number("PACE", PACE), 2 * rounds.time);
    let simulator = asked::simulator();
    let directory = tempfile::tempdir().expect("a directory");
    let gateway = asked::gateway(&simulator, (directory.path(), "emgate"), &[], &[]).await;
    asked::prepare(gateway.addr).await;
    let mut reads = asked::reads(gateway.addr).await;
    reads.retain(|read| READS.contains(&read.name));
    let nginx = Nginx::with_files(directory.path());
    figures.begin(
        "pace",
        format!("milliseconds from the moment at which a request is due to its whole answer, {pace} a second over {CONNECTIONS} connections"),
    );
    for (place, read) in reads.iter().enumerate() {
        nginx.serve(place, &read.body);
        let file = Asked::new(&format!("/{place}.json"), "", 200);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..rounds.count {
            let asked = read.asked(&format!("caller {place} of round {round}"));
            ours.push(delays(gateway.addr, &asked, pace, time));
            theirs.push(delays(nginx.addr, &file, pace, time));
        }
        for (name, share) in SHARES {
            let at = |all: &[Vec<f64>]| all.iter().map(|delays| percentile(delays, share)).collect();
            let row = Row::new(format!("{}, {name}", read.name), "ms", at(&ours));
            figures.add(row.beside("nginx", at(&theirs)));
        }
    }
}

/// The delays of so long, in milliseconds, sorted. A thread for each connection: its sleep is exact to some microseconds, which
/// that of a timer wheel is not.
fn delays(addr: SocketAddr, asked: &Asked, pace: f64, time: Duration) -> Vec<f64> {
    let each = (pace * time.as_secs_f64()) as usize / CONNECTIONS;
    let start = Arc::new(Barrier::new(CONNECTIONS));
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|place| {
            let (asked, start) = (asked.clone(), start.clone());
            std::thread::spawn(move || {
                let mut connection = Blocking::open(addr);
                connection.ask(&asked);
                start.wait();
                let begun = Instant::now() + Duration::from_millis(20);
                let one = |number: usize| {
                    let due = begun + Duration::from_secs_f64((number * CONNECTIONS + place) as f64 / pace);
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    connection.ask(&asked);
                    due.elapsed().as_secs_f64() * 1e3
                };
                (0..each).map(one).collect::<Vec<f64>>()
            })
        })
        .collect();
    let mut delays: Vec<f64> = (threads.into_iter())
        .flat_map(|thread| thread.join().expect("no panic"))
        .collect();
    delays.sort_by(f64::total_cmp);
    delays
}
