//! The real binary as a process: started, its address read from its log, ended by id. Tests and benchmarks share it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// How long a process may take to start or to end.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Limits that no test meets unless it is about them: tests ask faster than callers do.
const UNLIMITED: [(&str, &str); 5] = [
    ("EMGATE_LIMITS__REQUESTS_PER_MINUTE", "1000000"),
    ("EMGATE_LIMITS__BURST", "1000000"),
    ("EMGATE_LIMITS__ANONYMOUS_PER_MINUTE", "1000000"),
    ("EMGATE_LIMITS__ACTIONS_PER_MINUTE", "1000000"),
    ("EMGATE_LIMITS__ENDPOINTS", "500"),
];

/// A running `emgate`; it is killed when dropped.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
    /// Held while a line of its log is read.
    reading: Arc<Mutex<()>>,
    seen: Vec<String>,
    /// Its line `listening`.
    pub listening: serde_json::Value,
    /// Where it listens.
    pub addr: SocketAddr,
}

impl Process {
    /// Starts `emgate` with these arguments and this environment, and waits for its line `listening`.
    pub fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_by(&[], arguments, environment)
    }

    /// The same by another program, whose last arguments are `emgate` and these.
    pub fn start_by(starter: &[&str], arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = command(starter, arguments)
            .envs(UNLIMITED)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stderr = child.stderr.take().expect("piped");
        let (sender, lines) = channel();
        let reading = Arc::new(Mutex::new(()));
        let allowed = reading.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _allowed = allowed.blocking_lock();
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut process = Self {
            child,
            lines,
            reading,
            seen: Vec::new(),
            listening: serde_json::Value::Null,
            addr: SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        let line = process.wait_for_line("listening");
        process.addr = line["listen"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("an address in the log");
        process.listening = line;
        process
    }

    /// Waits for a log line with this message that was not waited for before; it may have come while another was.
    pub fn wait_for_line(&mut self, message: &str) -> serde_json::Value {
        let parsed = |line: &str| {
            let value: Option<serde_json::Value> = serde_json::from_str(line).ok();
            value.filter(|value| value["message"] == message)
        };
        let known = (self.seen.iter().enumerate()).find_map(|(at, line)| Some((at, parsed(line)?)));
        if let Some((at, value)) = known {
            self.seen.remove(at);
            return value;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => match parsed(&line) {
                    Some(value) => return value,
                    None => self.seen.push(line),
                },
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no line «{message}» in the log:\n{}", self.seen.join("\n"))
                }
            }
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The base URL.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// Whether it runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("the process can be asked").is_none()
    }

    /// What stops its log from being read while it is locked.
    pub fn log_reader(&self) -> Arc<Mutex<()>> {
        self.reading.clone()
    }

    /// Its log so far.
    pub fn log(&mut self) -> String {
        self.seen.extend(self.lines.try_iter());
        self.seen.join("\n")
    }

    /// Asks it to end and waits for that.
    pub fn terminate(mut self) -> ExitStatus {
        self.stop()
    }

    /// The same; its log can still be read.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("-TERM");
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("the process can be asked") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the process did not end in time");
    }

    /// Ends it at once, as a crash would.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }

    /// Sends SIGHUP: its terminal is gone, or its files have changed.
    pub fn hangup(&self) {
        self.signal("-HUP");
    }

    /// Stops it in the middle of whatever it does; its connections stay open.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it continue after [`Process::freeze`].
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()
            .expect("kill");
        assert!(status.success());
    }
}

/// `emgate` with these arguments, by itself or by another program.
pub fn command(starter: &[&str], arguments: &[&str]) -> Command {
    let emgate = env!("CARGO_BIN_EXE_emgate");
    let mut command = match starter {
        [] => Command::new(emgate),
        [program, own @ ..] => {
            let mut command = Command::new(program);
            command.args(own).arg(emgate);
            command
        }
    };
    command.args(arguments);
    command
}

/// Lines of a process' log that a test that fails shows.
const SHOWN: usize = 200;

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "the runner shows it with the failure")]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let answers = |line: &String| !line.contains("\"message\":\"request\"");
            let log: Vec<String> = self.log().lines().map(str::to_owned).filter(answers).collect();
            let last = log.split_at(log.len().saturating_sub(SHOWN)).1;
            eprintln!(
                "the last lines of the log of {}, requests aside:\n{}",
                self.addr,
                last.join("\n")
            );
        }
    }
}
