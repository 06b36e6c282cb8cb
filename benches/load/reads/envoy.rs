//! A yardstick: Envoy, as many workers as the machine has processors, that passes on what a server answers.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::nginx::{free_address, wait_for};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/bin/envoy");

pub struct Envoy {
    child: Child,
    pub addr: SocketAddr,
}

impl Envoy {
    /// Before a server, whose connections are kept.
    pub fn before(server: SocketAddr, directory: &Path) -> Self {
        let addr = free_address();
        let file = directory.join("envoy.json");
        std::fs::write(&file, configuration(addr, server).to_string()).expect("written");
        let workers = std::thread::available_parallelism().expect("a number");
        let mut command = Command::new(PROGRAM);
        command
            .args(["--concurrency", &workers.to_string(), "--log-level", "off"])
            .arg("--disable-hot-restart")
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command
            .spawn()
            .expect("Envoy: scripts/tools.sh envoy installs it");
        let envoy = Self { child, addr };
        wait_for(addr, "Envoy");
        envoy
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One listener, one route, one cluster: nothing that is not needed to pass a request on.
fn configuration(addr: SocketAddr, server: SocketAddr) -> Value {
    let at = |addr: SocketAddr| json!({ "socket_address": { "address": addr.ip().to_string(), "port_value": addr.port() } });
    let typed = |name: &str| format!("type.googleapis.com/envoy.extensions.filters.{name}");
    let routes = json!([{ "match": { "prefix": "/" }, "route": { "cluster": "em" } }]);
    let router = json!({ "@type": typed("http.router.v3.Router") });
    let manager = json!({
        "@type": typed("network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "bench",
        "route_config": { "virtual_hosts": [{ "name": "em", "domains": ["*"], "routes": routes }] },
        "http_filters": [{ "name": "envoy.filters.http.router", "typed_config": router }],
    });
    let filter = json!({ "name": "envoy.filters.network.http_connection_manager", "typed_config": manager });
    let endpoint = json!({ "endpoint": { "address": at(server) } });
    json!({ "static_resources": {
        "listeners": [{ "name": "bench", "address": at(addr), "filter_chains": [{ "filters": [filter] }] }],
        "clusters": [{
            "name": "em", "type": "STATIC", "connect_timeout": "5s",
            "load_assignment": { "cluster_name": "em", "endpoints": [{ "lb_endpoints": [endpoint] }] },
        }],
    } })
}
