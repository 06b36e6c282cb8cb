//! A yardstick: nginx, one worker for each processor, without a log; with bytes in files, or passing on what a server answers.

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
    /// With its files below `directory`.
    pub fn with_files(directory: &Path) -> Self {
        Self::start(&directory.join("nginx-files"), |root| {
            (String::new(), format!("root {};", root.display()))
        })
    }

    /// Before a server, whose connections are kept.
    pub fn before(server: SocketAddr, directory: &Path) -> Self {
        Self::start(&directory.join("nginx-before"), |_| {
            (
                format!("upstream em {{ server {server}; keepalive 256; keepalive_requests 1000000000; }}"),
                "location / { proxy_pass http://em; proxy_http_version 1.1; proxy_set_header Connection \"\"; }".to_owned(),
            )
        })
    }

    fn start(directory: &Path, parts: impl FnOnce(&Path) -> (String, String)) -> Self {
        let root = directory.join("www");
        std::fs::create_dir_all(&root).expect("a directory");
        let addr = free_address();
        let own = directory.display();
        let (before, server) = parts(&root);
        let configuration = format!(
            "daemon off; worker_processes auto; pid {own}/nginx.pid; error_log {own}/nginx.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_timeout 600; keepalive_requests 1000000000;\n\
             types {{ application/json json; }}\n\
             client_body_temp_path {own}/b; proxy_temp_path {own}/p; fastcgi_temp_path {own}/f; uwsgi_temp_path {own}/u;\n\
             scgi_temp_path {own}/s;\n\
             {before}\n\
             server {{ listen {addr}; {server} }} }}\n"
        );
        let file = directory.join("nginx.conf");
        std::fs::write(&file, configuration).expect("written");
        // The master's directory is the workers' too, who are nobody.
        for folder in [directory, directory.parent().expect("a directory of the bench")] {
            let _ = Command::new("chmod").arg("-R").arg("a+rx").arg(folder).status();
        }
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("nginx");
        command
            .env("PATH", path)
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let master = command
            .spawn()
            .expect("nginx: scripts/tools.sh nginx installs it");
        let nginx = Self { master, root, addr };
        wait_for(addr, "nginx");
        nginx
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

/// A port of loopback that nobody has.
pub fn free_address() -> SocketAddr {
    let addr = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    addr.expect("a port")
}

/// Until somebody listens there.
pub fn wait_for(addr: SocketAddr, name: &str) {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(addr).is_err() {
        assert!(Instant::now() < deadline, "{name} does not listen");
        std::thread::sleep(Duration::from_millis(10));
    }
}
