//! A service manager's socket, as systemd has it: what a process says of itself.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::process::PATIENCE;

/// The socket, and its name for `NOTIFY_SOCKET`.
pub struct ServiceManager {
    socket: UnixDatagram,
    variable: String,
    _folder: tempfile::TempDir,
}

impl ServiceManager {
    /// At a path.
    pub fn at_path() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("bound");
        Self::of(socket, &path.display().to_string(), folder)
    }

    /// At an abstract name.
    pub fn at_abstract_name() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let name = folder.path().display().to_string();
        let address = SocketAddr::from_abstract_name(&name).expect("an address");
        let socket = UnixDatagram::bind_addr(&address).expect("bound");
        Self::of(socket, &format!("@{name}"), folder)
    }

    fn of(socket: UnixDatagram, name: &str, folder: tempfile::TempDir) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).expect("set");
        Self {
            socket,
            variable: format!("NOTIFY_SOCKET={name}"),
            _folder: folder,
        }
    }

    /// The variable, for `env`.
    pub fn variable(&self) -> &str {
        &self.variable
    }

    /// The next message.
    pub fn next(&self) -> String {
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).expect("a message in time");
        String::from_utf8(bytes[..length].to_vec()).expect("text")
    }

    /// The messages up to one that begins so, that one included.
    pub fn until(&self, begin: &str) -> Vec<String> {
        let mut messages = Vec::new();
        loop {
            let message = self.next();
            let found = message.starts_with(begin);
            messages.push(message);
            if found {
                return messages;
            }
        }
    }

    /// What is left of a process that has ended.
    pub fn rest(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).expect("set");
        let mut bytes = [0; 4096];
        let mut messages = Vec::new();
        while let Ok(length) = self.socket.recv(&mut bytes) {
            messages.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
        }
        messages
    }
}
