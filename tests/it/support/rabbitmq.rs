//! A real `RabbitMQ`. It takes many seconds to start, so one test asks it everything.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::server::{NOBODY, Server, Start, folder_of, own_ports};

/// Where Debian keeps it; the version is part of the path.
const LIBRARY: &str = "/usr/lib/rabbitmq/lib";

/// A server under way.
pub struct RabbitMq {
    server: Server,
    address: SocketAddr,
    _folder: TempDir,
}

impl RabbitMq {
    /// Launches it with this user; it is up when `wait` returns.
    pub fn launch(user: &str, password: &str) -> Self {
        let folder = folder_of(NOBODY);
        let path = |name: &str| folder.path().join(name);
        let ports = own_ports(3);
        let [address, distribution, mapper] = ports[..] else {
            panic!("three ports");
        };
        fs::write(path("plugins"), "[].\n").expect("no plugins");
        let config = format!("default_user = {user}\ndefault_pass = {password}\n");
        fs::write(path("rabbitmq.conf"), config).expect("the configuration");
        let server = Start::new([program()])
            .for_nobody()
            .env("HOME", folder.path())
            .env("RABBITMQ_NODENAME", "podinit@localhost")
            .env("RABBITMQ_NODE_IP_ADDRESS", address.ip().to_string())
            .env("RABBITMQ_NODE_PORT", address.port().to_string())
            .env("RABBITMQ_DIST_PORT", distribution.port().to_string())
            .env("ERL_EPMD_PORT", mapper.port().to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_MNESIA_BASE", path("mnesia"))
            .env("RABBITMQ_LOG_BASE", path("logs"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins"))
            .env("RABBITMQ_CONFIG_FILE", path("rabbitmq"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_GENERATED_CONFIG_DIR", path("generated"))
            .log_to(&path("log"));
        Self {
            server,
            address,
            _folder: folder,
        }
    }

    /// Waits until it has finished starting.
    pub fn wait(&self) {
        self.server
            .wait_until(|| self.log().contains("Server startup complete"));
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.server.log()
    }
}

fn program() -> PathBuf {
    let found = fs::read_dir(LIBRARY)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("sbin/rabbitmq-server"))
        .find(|path| Path::exists(path));
    found.unwrap_or_else(|| panic!("no RabbitMQ below {LIBRARY}: `make test` installs it"))
}
