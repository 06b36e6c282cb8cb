//! Constant memory, shown: the most that `emgate convert` ever held of a document ten times the size of another.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::documents;

const SMALL: usize = 5_000_000;
const LARGE: usize = 50_000_000;

/// Prints the peak of the resident memory for both sizes.
pub fn peak() {
    println!("emgate convert, peak of the resident memory");
    for bytes in [SMALL, LARGE] {
        match convert(documents::sessions_of(bytes).as_bytes()) {
            Some((written, kib)) => println!(
                "  {:5.1} MB of XML  {:8.1} MB",
                written as f64 / 1e6,
                kib as f64 * 1024.0 / 1e6
            ),
            None => println!("  {bytes} bytes: cannot be told on this system"),
        }
    }
}

/// Converts a document in a process of its own; gives its length and the peak in KiB.
#[expect(
    clippy::disallowed_methods,
    reason = "there is no runtime here; the other process is looked at now and then"
)]
fn convert(xml: &[u8]) -> Option<(usize, u64)> {
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
    peak.map(|kib| (xml.len(), kib))
}
