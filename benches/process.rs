//! The binary as a process, for the benchmarks that measure it from outside.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

#[path = "../tests/support/process.rs"]
#[expect(dead_code, reason = "tests signal processes and read their logs as well")]
mod shared;

pub use shared::Process as Running;

/// Signs the tokens of the gateways that are measured.
pub const SECRET: &str = "a secret of the benchmark, 32 bytes long";

/// Starts `emgate` and waits for the address in its log.
pub fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Running {
    Running::start(arguments, environment)
}

/// A starter ([`Running::start_by`]) that lets another program take the place of the one that is built.
pub fn instead(program: &str) -> [&str; 4] {
    ["sh", "-c", "shift; exec \"$0\" \"$@\"", program]
}

/// Whether the gateway at `addr` is ready.
pub fn is_ready(addr: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(addr) else {
        return false;
    };
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

/// Its resident memory in KiB.
pub fn resident_kib(process: &Running) -> Option<u64> {
    figure(process, "status", "VmRSS:")
}

/// The number behind a name in one of the system's files about a process.
pub fn figure(process: &Running, file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{}/{file}", process.id())).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().split(' ').next()?.parse().ok()
}

/// What a gateway before the simulator at `upstream` needs, with its store at `store`.
pub fn settings<'a>(upstream: &'a str, store: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("EMGATE_SERVER__LISTEN", "127.0.0.1:0"),
        ("EMGATE_UPSTREAM__URL", upstream),
        ("EMGATE_UPSTREAM__ACCOUNTS__0__NAME", "operators"),
        ("EMGATE_UPSTREAM__ACCOUNTS__0__USERNAME", "u"),
        ("EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD", "p"),
        ("EMGATE_AUTH__KEYS__0__KIND", "hs256"),
        ("EMGATE_AUTH__KEYS__0__SECRET", SECRET),
        ("EMGATE_STORE__URL", store),
    ]
}

/// The simulator, with these options beside its credentials.
pub fn simulator(options: &[&str]) -> Running {
    let own = [
        "simulate",
        "--listen",
        "127.0.0.1:0",
        "--user",
        "u",
        "--password",
        "p",
    ];
    start(&[&own[..], options].concat(), &[])
}
