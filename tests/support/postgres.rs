//! A PostgreSQL server for the tests, made from the system's binaries on a free port of loopback.
//!
//! One server serves a whole test binary ([`database`]); a test that stops, freezes or kills it starts another
//! ([`Server::start`]). It ends with the test process, however that ends.

use std::hash::{BuildHasher as _, RandomState};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::waiting::holds_blocking;
use base64::Engine as _;
use sqlx::Connection as _;

/// How long the server may take to start, and a database to be made.
const PATIENCE: Duration = Duration::from_secs(60);
const BINARIES: &str = "/usr/lib/postgresql";
const HINT: &str = "these tests need PostgreSQL's server binaries below /usr/lib/postgresql: run \
     `scripts/tools.sh postgres` (make test does), or apt-get install postgresql";

/// A server; it is killed when dropped.
pub struct Server {
    bin: PathBuf,
    home: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
    /// Whether commits reach the disk; tests need not wait for that.
    fsync: &'static str,
    /// Ends the server and removes its files once this process, and with it the pipe, is gone.
    _reaper: Child,
    databases: AtomicU32,
}

/// A fresh database and the key that seals secrets in it.
#[derive(Debug, Clone)]
pub struct Database {
    /// What goes into `store.url`.
    pub url: String,
    /// What goes into `store.encryption_key_file`.
    pub key_file: PathBuf,
}

/// A fresh database on the server that all tests share.
pub async fn database() -> Database {
    static SHARED: OnceLock<Server> = OnceLock::new();
    tokio::task::spawn_blocking(|| SHARED.get_or_init(Server::start))
        .await
        .expect("a server")
        .database()
        .await
}

impl Server {
    /// A dedicated server whose commits reach the disk.
    #[allow(dead_code, reason = "for measurements alone")]
    pub fn start_durable() -> Self {
        Self::start_with("fsync=on")
    }

    /// A dedicated server. Blocks until it answers; within tests on a runtime that is a second or two.
    pub fn start() -> Self {
        Self::start_with("fsync=off")
    }

    fn start_with(fsync: &'static str) -> Self {
        let bin = newest_binaries();
        let home = tempfile::Builder::new()
            .prefix("emgate-pg")
            .tempdir_in("/tmp")
            .expect("a directory");
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(home.path()));
        }
        let data = home.path().join("data");
        run(as_owner(&bin.join("initdb"))
            .args([
                "--no-sync",
                "--no-instructions",
                "-A",
                "trust",
                "-U",
                "postgres",
                "-D",
            ])
            .arg(&data)
            .current_dir(home.path()));
        let port = free_port();
        let reaper = reaper(home.path());
        let mut server = Self {
            bin,
            _reaper: reaper,
            home,
            port,
            process: None,
            fsync,
            databases: AtomicU32::new(0),
        };
        server.restart();
        server
    }

    /// Starts it again on the same data and port, after [`Server::kill`], [`Server::crash`] or [`Server::stop`].
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let log = self.home.path().join("log");
        let output = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .expect("a log");
        // The postmaster itself, not pg_ctl: so its end can be waited for.
        let mut command = as_owner(&self.bin.join("postgres"));
        command
            .arg("-D")
            .arg(self.home.path().join("data"))
            .arg("-k")
            .arg(self.home.path())
            .args(["-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=400"])
            .args(["-c", self.fsync, "-c", "shared_buffers=32MB"])
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a log"))
            .stderr(output);
        self.process = Some(command.spawn().expect("the server starts"));
        self.wait_until_ready();
    }

    /// Ends it at once, as a crash would: all connections break, what was not committed is gone.
    pub fn kill(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        // SIGQUIT lets the postmaster take its children along; SIGKILL would leave them holding the shared memory.
        signal_all("-QUIT", &[process.id()]);
        process.wait().expect("gone");
    }

    /// Kills it and all that it started without warning, as the kernel does when memory runs out.
    pub fn crash(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        let mut ids = children(process.id());
        ids.push(process.id());
        signal_all("-KILL", &ids);
        process.wait().expect("gone");
        // Whoever is still there holds the shared memory, and the next start would refuse.
        holds_blocking("the server's processes are gone", || {
            !ids.iter().any(|id| is_alive(*id))
        });
    }

    /// Ends it in order.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        signal("-INT", process.id());
        process.wait().expect("gone");
    }

    /// Stops it and all that serve connections in the middle of whatever they do; connections stay open, nothing answers.
    pub fn freeze(&self) {
        self.signal_all("-STOP");
    }

    /// Lets it continue after [`Server::freeze`].
    pub fn thaw(&self) {
        self.signal_all("-CONT");
    }

    /// A fresh database.
    pub async fn database(&self) -> Database {
        let name = self.fresh().await;
        let key_file = self.home.path().join(format!("key-{name}"));
        let key = base64::engine::general_purpose::STANDARD.encode([7u8; 32]);
        std::fs::write(&key_file, key).expect("a key");
        Database {
            url: self.url(&name),
            key_file,
        }
    }

    /// The name of a fresh database.
    pub async fn fresh(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("emgate_{number}");
        self.execute("postgres", &format!("create database {name}")).await;
        name
    }

    /// A program that comes with the server and connects to it as its owner.
    #[allow(dead_code, reason = "for measurements alone")]
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres"]);
        command
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        self.url_of("postgres", database)
    }

    /// The URL of a database for a user.
    pub fn url_of(&self, user: &str, database: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// Where it listens.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Starts it again as the read-only replica of a server that is away.
    pub fn follow_nobody(&mut self) {
        self.stop();
        let signal = self.home.path().join("data/standby.signal");
        run(as_owner(Path::new("touch")).arg(signal).current_dir("/"));
        self.restart();
    }

    /// Runs SQL in a database of the server, as its owner.
    pub async fn execute(&self, database: &str, sql: &str) {
        let url = self.url(database);
        let work = async {
            let mut connection = sqlx::PgConnection::connect(&url).await.expect("connected");
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
                .execute(&mut connection)
                .await
                .expect("executed");
            let _ = connection.close().await;
        };
        tokio::time::timeout(PATIENCE, work)
            .await
            .expect("the server answers");
    }

    fn wait_until_ready(&mut self) {
        holds_blocking("PostgreSQL starts", || {
            let ready = Command::new(self.bin.join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status()
                .expect("pg_isready runs");
            let ended = self
                .process
                .as_mut()
                .and_then(|process| process.try_wait().expect("the process can be asked"));
            assert!(
                ended.is_none(),
                "PostgreSQL did not start ({ended:?}):\n{}",
                std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
            );
            ready.success()
        });
    }

    fn signal_all(&self, name: &str) {
        let Some(process) = &self.process else { return };
        let mut ids = vec![process.id()];
        ids.extend(children(process.id()));
        signal_all(name, &ids);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.thaw();
        self.kill();
    }
}

fn newest_binaries() -> PathBuf {
    let versions = std::fs::read_dir(BINARIES).unwrap_or_else(|error| panic!("{HINT} ({error})"));
    let newest = versions
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version: u32 = path.file_name()?.to_str()?.parse().ok()?;
            let bin = path.join("bin");
            bin.join("initdb").exists().then_some((version, bin))
        })
        .max();
    newest.unwrap_or_else(|| panic!("{HINT}")).1
}

/// A port for a server that ends and comes back: below those that the system gives to connections and to whoever asks for any, so
/// that none of them has it meanwhile.
fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| 20_000 + u16::try_from(RandomState::new().hash_one(0) % 12_000).expect("small"))
        .take(100)
        .find(is_free)
        .expect("a free port")
}

/// A signal at the parent's death will not do: it fires when the *thread* that started the server ends, and tests end
/// theirs long before the others are through. A pipe is closed by whatever ends the process.
fn reaper(home: &Path) -> Child {
    let script = "trap '' INT TERM; cat >/dev/null; \
         id=$(head -n 1 \"$1/data/postmaster.pid\" 2>/dev/null) && kill -QUIT \"$id\" && kill -CONT \"$id\"; \
         for turn in $(seq 100); do kill -0 \"${id:-none}\" 2>/dev/null || break; sleep 0.1; done; rm -rf \"$1\"";
    Command::new("sh")
        .args(["-c", script, "reaper"])
        .arg(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh runs")
}

/// PostgreSQL refuses to run as root.
pub fn as_owner(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"])
        .arg(program);
    command
}

/// Whether modes of files do not count for this process.
pub fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("id runs");
    output.stdout.starts_with(b"0")
}

fn children(parent: u32) -> Vec<u32> {
    let output = Command::new("ps")
        .args(["-o", "pid=", "--ppid", &parent.to_string()])
        .output()
        .expect("ps runs");
    String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .filter_map(|id| id.parse().ok())
        .collect()
}

fn signal(name: &str, id: u32) {
    let status = Command::new("kill")
        .args([name, &id.to_string()])
        .status()
        .expect("kill runs");
    assert!(status.success(), "{name} {id}");
}

fn signal_all(name: &str, ids: &[u32]) {
    // One that ended in between is no fault.
    let _ = Command::new("kill")
        .arg(name)
        .args(ids.iter().map(ToString::to_string))
        .stderr(Stdio::null())
        .status();
}

/// Whether a process runs; one that only waits to be collected does not.
fn is_alive(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
    !state.is_empty() && !state.starts_with(['Z', 'X'])
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{HINT} ({error})"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
