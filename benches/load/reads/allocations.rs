//! How often an answer allocates, and how much: a gateway of its own below a library that counts (`allocations.c`), which knows nothing
//! of the caller. Counts, unlike times, are the same on a busy machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::asked::{self, Read};
use super::callers::Blocking;
use crate::figures::{self, Figures, Row};
use crate::process::Running;

/// Requests that are counted, one after the other, and before them.
const COUNTED: usize = 1_000;
const WARM: usize = 100;
const ROUNDS: usize = 5;

/// A gateway whose allocations are counted.
pub struct Counted {
    pub gateway: Running,
    counts: PathBuf,
}

impl Counted {
    /// None where no C compiler can make the library.
    pub async fn start(simulator: &Running, directory: &Path, starter: &[&str]) -> Option<Self> {
        let library = library()?;
        let counts = directory.join("allocations");
        std::fs::write(&counts, [0; 16]).expect("written");
        let preload = [
            ("LD_PRELOAD", library.display().to_string()),
            ("ALLOCATIONS", counts.display().to_string()),
        ];
        let preload: Vec<(&str, &str)> = (preload.iter())
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let gateway = asked::gateway(simulator, (directory, "counted"), starter, &preload).await;
        asked::prepare(gateway.addr).await;
        Some(Self { gateway, counts })
    }

    /// Allocations and their bytes so far.
    fn so_far(&self) -> [f64; 2] {
        let bytes = std::fs::read(&self.counts).expect("the counts");
        let number = |place: usize| {
            let eight = bytes[place..place + 8].try_into().expect("eight bytes");
            u64::from_ne_bytes(eight) as f64
        };
        [number(0), number(8)]
    }

    /// Allocations and bytes for each answer, of one round.
    pub fn measure(&self, read: &Read, round: usize) -> [f64; 2] {
        let asked = read.asked(&format!("counted in round {round}"));
        let mut connection = Blocking::open(self.gateway.addr);
        for _ in 0..WARM {
            connection.ask(&asked);
        }
        let before = self.so_far();
        for _ in 0..COUNTED {
            connection.ask(&asked);
        }
        let after = self.so_far();
        [0, 1].map(|which| (after[which] - before[which]) / COUNTED as f64)
    }
}

/// The library that counts, made anew.
fn library() -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/load/reads/allocations.c");
    let library = figures::folder().join("liballocations.so");
    std::fs::create_dir_all(figures::folder()).expect("a folder");
    let mut command = Command::new("cc");
    command
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(source);
    command
        .status()
        .is_ok_and(|status| status.success())
        .then_some(library)
}

pub async fn measure(figures: &mut Figures) {
    let simulator = asked::simulator();
    let directory = tempfile::tempdir().expect("a directory");
    figures.begin(
        "allocations",
        "allocations and bytes for each answer, of all that the gateway does meanwhile",
    );
    let Some(counted) = Counted::start(&simulator, directory.path(), &[]).await else {
        println!("  there is no C compiler here that makes the library that counts");
        return;
    };
    for read in asked::reads(counted.gateway.addr).await {
        let found: Vec<[f64; 2]> = (0..ROUNDS).map(|round| counted.measure(&read, round)).collect();
        let [times, bytes] = [0, 1].map(|which| found.iter().map(|found| found[which]).collect());
        figures.add(Row::new(read.name, "allocations", times));
        figures.add(Row::new(format!("{}, bytes", read.name), "bytes", bytes));
    }
}
