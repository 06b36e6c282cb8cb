//! What the gateway costs when nothing happens: size of the binary, time from start to ready, idle memory.
//!
//! Everything is printed and nothing asserted, because machines differ; the goals are printed beside the figures.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a measurement that meets the unexpected shall end loudly"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_emgate");
const ROUNDS: usize = 11;
const SECRET: &str = "a secret of the benchmark, 32 bytes long";

struct Running {
    child: Child,
    addr: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts `emgate` and waits for the address in its log.
fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Running {
    let mut child = Command::new(BINARY)
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let addr = loop {
        let line = lines.next().expect("a log").expect("text");
        let Some((_, rest)) = line.split_once("\"listen\":\"") else {
            continue;
        };
        break rest.split('"').next().unwrap_or_default().to_owned();
    };
    std::thread::spawn(move || lines.for_each(drop));
    Running { child, addr }
}

fn is_ready(addr: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(addr) else {
        return false;
    };
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

fn resident_kib(process: &Running) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.child.id())).ok()?;
    status.lines().find_map(|line| {
        line.strip_prefix("VmRSS:")?
            .trim()
            .split(' ')
            .next()?
            .parse()
            .ok()
    })
}

fn main() {
    let simulator = start(
        &[
            "simulate",
            "--listen",
            "127.0.0.1:0",
            "--user",
            "u",
            "--password",
            "p",
        ],
        &[],
    );
    let upstream = format!("http://{}", simulator.addr);
    let mut times = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..ROUNDS {
        let directory = std::env::temp_dir().join(format!("emgate-bench-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let store = format!("sqlite://{}", directory.join("emgate.db").display());
        let begun = Instant::now();
        let gateway = start(
            &["serve"],
            &[
                ("EMGATE_SERVER__LISTEN", "127.0.0.1:0"),
                ("EMGATE_UPSTREAM__URL", &upstream),
                ("EMGATE_UPSTREAM__ACCOUNTS__0__NAME", "operators"),
                ("EMGATE_UPSTREAM__ACCOUNTS__0__USERNAME", "u"),
                ("EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD", "p"),
                ("EMGATE_AUTH__KEYS__0__KIND", "hs256"),
                ("EMGATE_AUTH__KEYS__0__SECRET", SECRET),
                ("EMGATE_STORE__URL", &store),
            ],
        );
        while !is_ready(&gateway.addr) {
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
    let size = std::fs::metadata(BINARY).map_or(0, |file| file.len());
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
