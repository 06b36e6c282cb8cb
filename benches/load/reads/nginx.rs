//! The yardstick: nginx with the same bytes in files, one worker for each processor, without a log.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

pub struct Nginx {
    master: Child,
    root: PathBuf,
    pub addr: SocketAddr,
}

impl Nginx {
    /// Starts it with its files below `directory`; none where it is not installed.
    pub fn start(directory: &Path) -> Option<Self> {
        let root = directory.join("www");
        std::fs::create_dir_all(&root).expect("a directory");
        let addr = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let addr = addr.expect("a port");
        let own = directory.display();
        let configuration = format!(
            "daemon off; worker_processes auto; pid {own}/nginx.pid; error_log {own}/nginx.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_timeout 600; keepalive_requests 1000000000;\n\
             types {{ application/json json; }}\n\
             client_body_temp_path {own}/b; proxy_temp_path {own}/p; fastcgi_temp_path {own}/f; uwsgi_temp_path {own}/u;\n\
             scgi_temp_path {own}/s;\n\
             server {{ listen {addr}; root {}; }} }}\n",
            root.display()
        );
        let file = directory.join("nginx.conf");
        std::fs::write(&file, configuration).expect("written");
        // The master's directory is the workers' too, who are nobody.
        let _ = Command::new("chmod")
            .arg("-R")
            .arg("a+rx")
            .arg(directory)
            .status();
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("nginx");
        command
            .env("PATH", path)
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let master = command.spawn().ok()?;
        let nginx = Self { master, root, addr };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(addr).is_err() {
            assert!(Instant::now() < deadline, "nginx does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(nginx)
    }

    /// Puts a body where `/N.json` is.
    pub fn serve(&self, place: usize, body: &[u8]) {
        std::fs::write(self.root.join(format!("{place}.json")), body).expect("written");
    }

    /// Its workers.
    pub fn processes(&self) -> Vec<u32> {
        let children = format!("/proc/{0}/task/{0}/children", self.master.id());
        let text = std::fs::read_to_string(children).unwrap_or_default();
        text.split_whitespace().filter_map(|id| id.parse().ok()).collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Asked to end, the master ends its workers; killed, it would leave them.
        let _ = Command::new("kill").arg(self.master.id().to_string()).status();
        let _ = self.master.wait();
    }
}
