//! Constant memory, shown: the most that `emgate convert` ever held of a document ten times the size of another.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::documents;
use crate::figures::{Figures, Row};

const SMALL: usize = 5_000_000;
const LARGE: usize = 50_000_000;

/// The peak of the resident memory for the large document beside that for the small one.
pub fn peak(figures: &mut Figures) {
    let megabytes = |bytes: usize| {
        let kib = convert(documents::sessions_of(bytes).as_bytes())?;
        Some(kib as f64 * 1024.0 / 1e6)
    };
    let (Some(small), Some(large)) = (megabytes(SMALL), megabytes(LARGE)) else {
        return println!("  the peak of memory cannot be told on this system");
    };
    let row = Row::new("emgate convert, memory for 50 MB", "MB", vec![large]);
    figures.add(row.beside("for 5 MB", vec![small]));
}

/// Converts a document in a process of its own; the peak in KiB.
fn convert(xml: &[u8]) -> Option<u64> {
    let path = std::env::temp_dir().join(format!("emgate-bench-{}.xml", std::process::id()));
    std::fs::File::create(&path)
        .and_then(|mut file| file.write_all(xml))
        .ok()?;
    let mut child = Command::new(env!("CARGO_BIN_EXE_emgate"))
        .args(["convert", "--compact"])
        .arg(&path)
        .stdout(Stdio::null())
        .spawn()
        .ok()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = None;
    // The system's own high-water mark, read until the process is gone.
    while child.try_wait().ok()?.is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line
            .and_then(|kib| kib.trim().split(' ').next()?.parse().ok())
            .or(peak);
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = std::fs::remove_file(&path);
    peak
}
