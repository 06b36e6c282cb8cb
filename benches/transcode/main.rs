//! The transcoder against the bare event loop of quick-xml over the same bytes in the same run, and beside the
//! converters that others use.
//!
//! `cargo bench --bench transcode`; `scripts/tools.sh converters` installs the others. Runs are interleaved and medians taken, because machines are shared and clocks
//! change; the ratio is what counts, megabytes per second are those of the XML.

#[path = "documents.rs"]
mod documents;
#[path = "memory.rs"]
mod memory;
#[path = "others.rs"]
mod others;

use std::hint::black_box;
use std::time::{Duration, Instant};

use emgate::catalogue;
use emgate::transcode::{Mode, decode, decode_into, encode};
use quick_xml::Reader;
use quick_xml::events::Event;

const ROUNDS: usize = 41;

fn main() {
    let load = {
        let start = Instant::now();
        let loaded = catalogue::load(catalogue::SOURCES);
        black_box(&loaded);
        start.elapsed()
    };
    println!(
        "catalogue      read and checked in {:.1} ms",
        load.as_secs_f64() * 1e3
    );
    let _ = catalogue::catalogue();

    let documents = [
        ("query result", documents::sessions(1000, true), "QueryResult"),
        (
            "query result without blanks",
            documents::sessions(1000, false),
            "QueryResult",
        ),
        ("job", documents::job(), "Job"),
        ("task", documents::TASK.to_owned(), "Task"),
    ];
    for (name, xml, root) in &documents {
        let ours = compare(name, xml.as_bytes(), root);
        if *name != "query result without blanks" {
            others::compare(xml, ours);
        }
    }
    memory::peak();
}

/// Measures both directions and prints them; gives the seconds that one document takes from XML to JSON.
fn compare(name: &str, xml: &[u8], root: &str) -> f64 {
    let json = match decode(xml) {
        Ok(decoded) => decoded.json,
        Err(e) => {
            eprintln!("{name}: {e}");
            return f64::NAN;
        }
    };
    // Small documents several times over, so that one measurement is some milliseconds.
    let times = (2_000_000 / xml.len()).max(1);
    let mut bare = Vec::new();
    let mut forth = Vec::new();
    let mut reused = Vec::new();
    let mut back = Vec::new();
    for _ in 0..ROUNDS {
        bare.push(time(times, || events(xml)));
        forth.push(time(times, || decode(xml).map_or(0, |d| d.json.len())));
        // Fresh memory costs page faults, which say more about the machine than about the transcoder.
        let mut memory = vec![0; 2 * xml.len()];
        reused.push(time(times, || {
            match decode_into(xml, std::mem::take(&mut memory)) {
                Ok(done) => {
                    memory = done.json;
                    memory.len()
                }
                Err(_) => 0,
            }
        }));
        back.push(time(times, || {
            encode(&json, root, Mode::Document).map_or(0, |x| x.len())
        }));
    }
    let rate = |bytes: usize, t: Duration| (bytes * times) as f64 / 1e6 / t.as_secs_f64();
    let (bare, forth, reused, back) = (median(bare), median(forth), median(reused), median(back));
    println!("{name}: {} bytes of XML, {} bytes of JSON", xml.len(), json.len());
    println!("  bare events  {:8.1} MB/s", rate(xml.len(), bare));
    for (what, taken) in [("XML to JSON", reused), ("in new memory", forth)] {
        println!(
            "  {what:<13}{:8.1} MB/s   {:.2} of the bare events",
            rate(xml.len(), taken),
            bare.as_secs_f64() / taken.as_secs_f64()
        );
    }
    println!("  JSON to XML  {:8.1} MB/s of JSON", rate(json.len(), back));
    forth.as_secs_f64() / times as f64
}

fn time(times: usize, mut run: impl FnMut() -> usize) -> Duration {
    let start = Instant::now();
    for _ in 0..times {
        black_box(run());
    }
    start.elapsed()
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// Every event once, and nothing done with it.
fn events(xml: &[u8]) -> usize {
    let mut reader = Reader::from_reader(black_box(xml));
    let mut count = 0;
    loop {
        match reader.read_event() {
            Ok(Event::Eof) | Err(_) => return count,
            Ok(event) => {
                black_box(&event);
                count += 1;
            }
        }
    }
}
