//! Reads a second of what is in memory or in the store, beside nginx with the same bytes in files, in one run: 64 connections
//! that are kept, rounds in turn, medians. The processor time of an answer is what other work on the machine changes least.
//!
//! `ROUNDS` and `TIME` (seconds) change how long it takes.

pub mod allocations;
pub mod asked;
pub mod bare;
pub mod callers;
mod envoy;
pub mod layers;
mod nginx;
pub mod pace;
pub mod pollers;
pub mod subject;
pub mod uncached;

use std::time::Duration;

use self::bare::Bare;
use self::callers::{Asked, CONNECTIONS};
use self::nginx::Nginx;
use self::subject::{Found, Subject};
use crate::figures::{Figures, Row};

/// How often and for how long each is measured.
#[derive(Clone, Copy)]
pub struct Rounds {
    pub count: usize,
    pub time: Duration,
}

impl Rounds {
    /// As the environment wants it.
    pub fn wanted() -> Self {
        Self {
            count: number("ROUNDS", 5.0) as usize,
            time: Duration::from_secs_f64(number("TIME", 0.7)),
        }
    }
}

fn number(name: &str, default: f64) -> f64 {
    let given = std::env::var(name).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

pub async fn measure(figures: &mut Figures) {
    let rounds = Rounds::wanted();
    let simulator = asked::simulator();
    let directory = tempfile::tempdir().expect("a directory");
    let gateway = asked::gateway(&simulator, (directory.path(), "reads"), &[], &[]).await;
    let silent = layers::silent(&simulator, directory.path()).await;
    asked::prepare(gateway.addr).await;
    let reads = asked::reads(gateway.addr).await;
    let nginx = Nginx::with_files(directory.path());
    for (place, read) in reads.iter().enumerate() {
        nginx.serve(place, &read.body);
    }
    let bare = Bare::start();
    let [empty, ours, yardstick, unlogged] = [
        Subject::new(bare.addr, vec![bare.id()]),
        Subject::new(gateway.addr, vec![gateway.id()]),
        Subject::new(nginx.addr, nginx.processes()),
        Subject::new(silent.addr, vec![silent.id()]),
    ];
    let mut found = layers::All::default();
    let mut of_nginx = vec![Found::default(); reads.len()];
    for round in 0..rounds.count {
        for (name, path) in bare::ROWS {
            empty.measure(found.of(name), &Asked::new(path, "", 200), rounds.time);
        }
        for (place, read) in reads.iter().enumerate() {
            let asked = read.asked(&format!("caller {place} of round {round}"));
            ours.measure(found.of(read.name), &asked, rounds.time);
            let file = Asked::new(&format!("/{place}.json"), "", 200);
            yardstick.measure(&mut of_nginx[place], &file, rounds.time);
            if read.name == layers::LOGGED {
                unlogged.measure(found.of(layers::UNLOGGED), &asked, rounds.time);
            }
        }
    }
    figures.begin(
        "reads",
        format!(
            "answers a second over {CONNECTIONS} connections, beside nginx with the same bytes in a file"
        ),
    );
    for (read, beside) in reads.iter().zip(&of_nginx) {
        let row = Row::new(read.name, "/s", found.of(read.name).rates.clone());
        let row = row.beside("nginx", beside.rates.clone());
        figures.add(row.remark(format!("{} bytes", read.body.len())));
    }
    figures.begin(
        "processor",
        "microseconds of processor time for each of these answers",
    );
    for (read, beside) in reads.iter().zip(of_nginx) {
        let row = Row::new(read.name, "us", found.of(read.name).micros.clone());
        figures.add(row.beside("nginx", beside.micros));
    }
    layers::tell(figures, &mut found);
}
