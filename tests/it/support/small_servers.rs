//! Real NATS, memcached and nginx: servers that need little more than a port.

use std::fs;
use std::net::SocketAddr;

use tempfile::TempDir;

use super::pod::Pod;
use super::server::{NOBODY, Server, Start, folder_of};
use super::wire::own_address;

/// A server under way.
pub struct Small {
    server: Server,
    address: SocketAddr,
    folder: TempDir,
}

impl Small {
    /// `nats-server` with further arguments.
    pub fn nats(args: &[&str]) -> Self {
        let address = own_address();
        let start = Start::new(["nats-server", "-a"])
            .for_nobody()
            .args([address.ip().to_string()])
            .args(["-p", &address.port().to_string()])
            .args(args);
        let small = Self::up(start, address);
        small
            .server
            .wait_until(|| small.log().contains("Server is ready"));
        small
    }

    /// `memcached`, which logs every command.
    pub fn memcached() -> Self {
        let address = own_address();
        let start = Start::new(["memcached", "-U", "0", "-v", "-l"])
            .for_nobody()
            .args([address.ip().to_string()])
            .args(["-p", &address.port().to_string()]);
        let small = Self::up(start, address);
        small.server.wait_for_port(address);
        small
    }

    /// `nginx` with these directives inside `http { … }`; `LISTEN` stands for its address.
    pub fn nginx(http: &str) -> Self {
        let address = own_address();
        let small = Self::launch_nginx(address, http, None);
        small.server.wait_for_port(address);
        small
    }

    /// The same in a pod, at this address of the pod's.
    pub fn nginx_inside(pod: &Pod, address: SocketAddr, http: &str) -> Self {
        let small = Self::launch_nginx(address, http, Some(pod));
        let up = small.folder.path().join("nginx.pid");
        small
            .server
            .wait_until(|| fs::read_to_string(&up).is_ok_and(|pid| !pid.is_empty()));
        small
    }

    fn launch_nginx(address: SocketAddr, http: &str, pod: Option<&Pod>) -> Self {
        let folder = folder_of(NOBODY);
        let own = folder.path().display();
        let config = format!(
            "daemon off;\nmaster_process off;\npid {own}/nginx.pid;\nerror_log {own}/error.log;\n\
             events {{ worker_connections 1024; }}\nhttp {{\naccess_log {own}/access.log;\n\
             client_body_temp_path {own}/body;\nproxy_temp_path {own}/proxy;\n\
             fastcgi_temp_path {own}/fastcgi;\nuwsgi_temp_path {own}/uwsgi;\n\
             scgi_temp_path {own}/scgi;\n{}\n}}\n",
            http.replace("LISTEN", &address.to_string())
        );
        let path = folder.path().join("nginx.conf");
        fs::write(&path, config).expect("the configuration");
        let mut start = Start::new(["nginx", "-e"])
            .for_nobody()
            .args([folder.path().join("error.log")])
            .args(["-c"])
            .args([&path]);
        if let Some(pod) = pod {
            start = start.inside(pod);
        }
        let server = start.log_to(&folder.path().join("log"));
        Self {
            server,
            address,
            folder,
        }
    }

    fn up(start: Start, address: SocketAddr) -> Self {
        let folder = folder_of(NOBODY);
        let server = start.log_to(&folder.path().join("log"));
        Self {
            server,
            address,
            folder,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// What nginx has logged of requests.
    pub fn requests(&self) -> String {
        fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default()
    }
}
