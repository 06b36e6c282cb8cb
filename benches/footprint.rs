//! What the gateway costs when nothing happens: size of the binary, time from start to ready, idle memory.
//!
//! Everything is printed and nothing asserted, because machines differ; the goals are printed beside the figures.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a measurement that meets the unexpected shall end loudly"
)]

use std::time::{Duration, Instant};

#[path = "process.rs"]
mod process;

use process::{is_ready, resident_kib, settings, simulator, start};

const ROUNDS: usize = 11;

fn main() {
    let simulator = simulator(&[]);
    let upstream = format!("http://{}", simulator.addr);
    let mut times = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..ROUNDS {
        let directory = std::env::temp_dir().join(format!("emgate-bench-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let store = format!("sqlite://{}", directory.join("emgate.db").display());
        let begun = Instant::now();
        let gateway = start(&["serve"], &settings(&upstream, &store));
        while !is_ready(gateway.addr) {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "the gateway did not become ready"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        times.push(begun.elapsed());
        std::thread::sleep(Duration::from_millis(300));
        memory.extend(resident_kib(&gateway));
        drop(gateway);
        let _ = std::fs::remove_dir_all(&directory);
    }
    times.sort_unstable();
    memory.sort_unstable();
    let size = std::fs::metadata(env!("CARGO_BIN_EXE_emgate")).map_or(0, |file| file.len());
    println!(
        "binary size            {:>8.1} MB  (simulator and demo included)",
        size as f64 / 1e6
    );
    println!(
        "start to ready         {:>8.0} ms  median of {ROUNDS}, fresh store, baseline observed; goal 150 ms or less",
        times.get(ROUNDS / 2).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    );
    println!(
        "idle memory (resident) {:>8.1} MB  median of {ROUNDS}; goal 25 MB or less",
        memory
            .get(memory.len() / 2)
            .map_or(0.0, |kib| *kib as f64 * 1024.0 / 1e6)
    );
}
