//! The transcoder beside the bare event loop of quick-xml over the same bytes, and beside the converters that others use, in rounds
//! that are interleaved: machines are shared and clocks change, so the ratio is what counts. Megabytes are those of the XML.
//!
//! `cargo bench --bench transcode`; `scripts/tools.sh converters` installs the others.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measurement that meets the unexpected shall end loudly"
)]

#[path = "documents.rs"]
mod documents;
#[path = "../figures/mod.rs"]
#[allow(dead_code, reason = "the table and the comparison use the rest")]
mod figures;
#[path = "memory.rs"]
mod memory;
#[path = "others.rs"]
mod others;

use std::hint::black_box;
use std::time::{Duration, Instant};

use emgate::catalogue;
use emgate::transcode::{Mode, decode, decode_into, encode};
use figures::{Figures, Row};
use quick_xml::Reader;
use quick_xml::events::Event;

const ROUNDS: usize = 3;
/// How often each is done in a round, of which the median counts.
const TIMES: usize = 13;

fn main() {
    let mut figures = Figures::new("transcode");
    figures.begin(
        "transcode",
        "MB of XML a second from XML to JSON, beside the bare events of quick-xml and other converters",
    );
    let loads = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        assert!(
            black_box(catalogue::load(catalogue::SOURCES)).is_ok(),
            "it is read"
        );
        start.elapsed().as_secs_f64() * 1e3
    });
    figures.add(Row::new("the catalogue, read and checked", "ms", loads.collect()));
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
        let beside = if *name == "query result without blanks" {
            &[]
        } else {
            others::OTHERS
        };
        compare(&mut figures, name, xml, root, beside);
    }
    memory::peak(&mut figures);
}

/// Megabytes a second of one document, a value for each round.
#[derive(Default)]
struct Rates {
    bare: Vec<f64>,
    reused: Vec<f64>,
    forth: Vec<f64>,
    back: Vec<f64>,
}

/// Measures both directions and the others.
fn compare(figures: &mut Figures, name: &str, xml: &str, root: &str, others: &[others::Other]) {
    let mut rates = Rates::default();
    let mut theirs = vec![Vec::new(); others.len()];
    for _ in 0..ROUNDS {
        round(&mut rates, xml.as_bytes(), root);
        for (found, seconds) in theirs.iter_mut().zip(others::seconds_of(others, xml)) {
            found.extend(seconds.map(|seconds| xml.len() as f64 / 1e6 / seconds));
        }
    }
    let size = format!("{} bytes", xml.len());
    for (what, rate) in [
        ("XML to JSON", rates.reused.clone()),
        ("in new memory", rates.forth.clone()),
    ] {
        let row = Row::new(format!("{name}, {what}"), "MB/s", rate).remark(&size);
        figures.add(row.beside("bare events", rates.bare.clone()));
    }
    let back = Row::new(format!("{name}, JSON to XML"), "MB/s", rates.back);
    figures.add(back.beside("XML to JSON", rates.reused));
    for ((other, _), found) in others.iter().zip(theirs) {
        if found.is_empty() {
            println!("  {other} is missing: scripts/tools.sh converters");
        } else {
            let row = Row::new(format!("{name}, beside {other}"), "MB/s", rates.forth.clone());
            figures.add(row.beside(other, found));
        }
    }
}

fn round(rates: &mut Rates, xml: &[u8], root: &str) {
    let json = decode(xml).expect("JSON").json;
    // Without blanks.
    let written = encode(&json, root, Mode::Document).expect("XML").len();
    // Small documents several times over, so that one measurement is some milliseconds.
    let times = (2_000_000 / xml.len()).max(1);
    let (mut bare, mut forth, mut reused, mut back) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TIMES {
        bare.push(time(times, || events(xml)));
        forth.push(time(times, || decode(xml).map_or(0, |d| d.json.len())));
        // Fresh memory costs page faults, which say more about the machine than about the transcoder.
        let mut memory = vec![0; 2 * xml.len()];
        reused.push(time(times, || {
            memory = decode_into(xml, std::mem::take(&mut memory)).expect("JSON").json;
            memory.len()
        }));
        back.push(time(times, || {
            encode(&json, root, Mode::Document).map_or(0, |x| x.len())
        }));
    }
    let rate =
        |bytes: usize, taken: Vec<Duration>| (bytes * times) as f64 / 1e6 / median(taken).as_secs_f64();
    rates.bare.push(rate(xml.len(), bare));
    rates.reused.push(rate(xml.len(), reused));
    rates.forth.push(rate(xml.len(), forth));
    rates.back.push(rate(written, back));
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
