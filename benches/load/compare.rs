//! What a change did: the program as it is built beside that of another revision, and that one beside itself, in rounds that are
//! interleaved (`make bench-compare BASE=revision`). Everything is measured from outside, so that any revision can be the base.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::reads::Rounds;
use super::reads::allocations::Counted;
use super::reads::asked::{self, Read};
use super::reads::subject::{Found, Subject};
use super::world::{gateway_by, megabytes, ready};
use crate::documents;
use crate::figures::comparison::{Better, Compared};
use crate::figures::text;
use crate::process::{self, Running};

/// The base, the base once more, the program as it is built: what is found of each, a value for each round.
type Three = [Vec<f64>; 3];

const CONVERTED: usize = 20_000_000;

pub async fn measure(base: &str) {
    assert!(Path::new(base).is_file(), "no program: {base}");
    let instead = process::instead(base);
    let starters: [&[&str]; 3] = [&instead, &instead, &[]];
    let rounds = Rounds::wanted();
    let mut compared = Vec::new();
    starts(&mut compared, starters, rounds.count).await;
    conversions(&mut compared, base, rounds.count);
    reads(&mut compared, starters, rounds).await;
    allocations(&mut compared, starters, rounds.count).await;
    println!(
        "{} rounds of each; better or worse is what all rounds say, and by more than the base differs from itself",
        rounds.count
    );
    println!("{}", text::comparison(&compared));
    let of = |verdict: &str| {
        compared
            .iter()
            .filter(|row| row.verdict().word() == verdict)
            .count()
    };
    println!(
        "{} better, {} worse, {} the same",
        of("better"),
        of("worse"),
        of("same")
    );
}

fn row(name: impl Into<String>, unit: &'static str, better: Better, found: Three) -> Compared {
    let [base, again, now] = found;
    Compared {
        name: name.into(),
        unit,
        better,
        base,
        again,
        now,
    }
}

/// The order within a round: another one each time, since who comes after whom makes a difference.
fn turns(round: usize) -> [usize; 3] {
    [0, 1, 2].map(|place| (place + round) % 3)
}

/// From the start to readiness, and the memory then.
async fn starts(compared: &mut Vec<Compared>, starters: [&[&str]; 3], rounds: usize) {
    let simulator = process::simulator(&[]);
    let (mut times, mut memory) = (Three::default(), Three::default());
    for round in 0..rounds {
        for place in turns(round) {
            let directory = tempfile::tempdir().expect("a directory");
            let begun = Instant::now();
            let gateway = gateway_by(starters[place], &simulator, directory.path(), &[]);
            ready(&gateway).await;
            times[place].push(begun.elapsed().as_secs_f64() * 1e3);
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            memory[place].push(megabytes(&gateway));
        }
    }
    compared.push(row("start to ready", "ms", Better::Less, times));
    compared.push(row("memory when idle", "MB", Better::Less, memory));
}

/// `emgate convert` of a large document.
fn conversions(compared: &mut Vec<Compared>, base: &str, rounds: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("sessions.xml");
    std::fs::write(&file, documents::sessions_of(CONVERTED)).expect("written");
    let mut times = Three::default();
    let programs = [base, base, env!("CARGO_BIN_EXE_emgate")];
    for round in 0..rounds {
        for place in turns(round) {
            let program = programs[place];
            let begun = Instant::now();
            let mut command = Command::new(program);
            command
                .args(["convert", "--compact"])
                .arg(&file)
                .stdout(Stdio::null());
            assert!(command.status().expect("it runs").success(), "{program} converts");
            times[place].push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    compared.push(row(
        format!("convert {} MB of XML", CONVERTED / 1_000_000),
        "ms",
        Better::Less,
        times,
    ));
}

/// Answers a second, and the processor time of each.
async fn reads(compared: &mut Vec<Compared>, starters: [&[&str]; 3], rounds: Rounds) {
    let simulator = asked::simulator();
    let directory = tempfile::tempdir().expect("a directory");
    let mut gateways: Vec<(Running, Vec<Read>)> = Vec::new();
    for (number, starter) in starters.into_iter().enumerate() {
        let folder = number.to_string();
        let gateway = asked::gateway(&simulator, (directory.path(), &folder), starter, &[]).await;
        asked::prepare(gateway.addr).await;
        // Entity tags are of the program that gave them.
        let reads = asked::reads(gateway.addr).await;
        gateways.push((gateway, reads));
    }
    for place in 0..gateways[0].1.len() {
        let mut found: [Found; 3] = Default::default();
        for round in 0..rounds.count {
            for which in turns(round) {
                let (gateway, reads) = &gateways[which];
                let asked = reads[place].asked(&format!("caller {place} of round {round}"));
                let subject = Subject::new(gateway.addr, vec![gateway.id()]);
                subject.measure(&mut found[which], &asked, rounds.time);
            }
        }
        let name = gateways[0].1[place].name;
        let rates = found.clone().map(|found| found.rates);
        compared.push(row(name, "/s", Better::More, rates));
        let micros = found.map(|found| found.micros);
        compared.push(row(format!("{name}, processor"), "us", Better::Less, micros));
    }
}

/// Allocations for each answer; counts hardly differ from round to round.
async fn allocations(compared: &mut Vec<Compared>, starters: [&[&str]; 3], rounds: usize) {
    let simulator = asked::simulator();
    let mut counted = Vec::new();
    for starter in starters {
        let directory = tempfile::tempdir().expect("a directory");
        let Some(one) = Counted::start(&simulator, directory.path(), starter).await else {
            return println!("there is no C compiler here: allocations are not counted");
        };
        let reads = asked::reads(one.gateway.addr).await;
        counted.push((one, reads, directory));
    }
    for place in 0..counted[0].1.len() {
        let (mut times, mut bytes) = (Three::default(), Three::default());
        for round in 0..rounds {
            for which in turns(round) {
                let (one, reads, _) = &counted[which];
                let [number, size] = one.measure(&reads[place], round);
                times[which].push(number);
                bytes[which].push(size);
            }
        }
        let name = counted[0].1[place].name;
        compared.push(row(format!("{name}, allocations"), "", Better::Less, times));
        compared.push(row(format!("{name}, allocated"), "bytes", Better::Less, bytes));
    }
}
