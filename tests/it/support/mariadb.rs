//! Real MariaDB servers, each made and run for one test, with root's socket beside the port.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use tempfile::TempDir;

use super::pod::{Pod, command};
use super::server::{AS_NOBODY, NOBODY, Server, Start, folder_of};
use super::wire::own_address;

/// A server under way.
pub struct MariaDb {
    server: Server,
    folder: TempDir,
    address: SocketAddr,
}

impl MariaDb {
    /// On an address of the test's own.
    pub fn start(settings: &[&str]) -> Self {
        Self::launch(own_address(), settings, None, None)
    }

    /// In a pod, at this address of the pod's, with a file of host names of its own: only clients
    /// whose address resolves are counted for blocking, and never those from 127.0.0.1.
    pub fn inside(pod: &Pod, address: SocketAddr, hosts: &str, settings: &[&str]) -> Self {
        Self::launch(address, settings, Some(pod), Some(hosts))
    }

    fn launch(
        address: SocketAddr,
        settings: &[&str],
        pod: Option<&Pod>,
        hosts: Option<&str>,
    ) -> Self {
        let folder = folder_of(NOBODY);
        let data = folder.path().join("data");
        let made = command(AS_NOBODY)
            .args(["mariadb-install-db", "--no-defaults", "--skip-test-db"])
            .args(["--auth-root-authentication-method=normal"])
            .args(["--innodb-log-file-size=4M", "--skip-name-resolve"])
            .arg(format!("--datadir={}", data.display()))
            .stdin(Stdio::null())
            .output()
            .expect("mariadb-install-db starts");
        let said = String::from_utf8_lossy(&made.stdout);
        assert!(made.status.success(), "mariadb-install-db: {said}");
        let mut start = match hosts {
            None => Start::new(["mariadbd"]).for_nobody(),
            Some(hosts) => {
                let file = folder.path().join("hosts");
                fs::write(&file, hosts).expect("host names");
                let script = format!(
                    "mount --bind '{}' /etc/hosts; exec {} mariadbd \"$@\"",
                    file.display(),
                    AS_NOBODY.join(" ")
                );
                Start::new(["unshare", "-m", "sh", "-euc", &script, "sh"])
            }
        };
        let socket = folder.path().join("socket");
        start = start
            .args(["--no-defaults", "--performance-schema=ON"])
            .args(["--innodb-flush-method=nosync", "--log-warnings=2"])
            .args(["--innodb-log-file-size=4M", "--innodb-buffer-pool-size=8M"])
            .args([format!("--datadir={}", data.display())])
            .args([format!("--socket={}", socket.display())])
            .args([format!("--bind-address={}", address.ip())])
            .args([format!("--port={}", address.port())])
            .args(settings);
        if let Some(pod) = pod {
            start = start.inside(pod);
        }
        let server = start.log_to(&folder.path().join("log"));
        let up = Self {
            server,
            folder,
            address,
        };
        up.server.wait_until(|| up.try_sql("select 1").is_ok());
        up
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Runs statements as root, which must succeed, and tells the rows.
    #[track_caller]
    pub fn sql(&self, statements: &str) -> String {
        self.try_sql(statements)
            .unwrap_or_else(|error| panic!("{statements}: {error}\n{}", self.log()))
    }

    fn try_sql(&self, statements: &str) -> Result<String, String> {
        let done = command(["mariadb", "--no-defaults", "-N", "-B", "-uroot", "-S"])
            .arg(self.socket())
            .args(["-e", statements])
            .stdin(Stdio::null())
            .output()
            .expect("mariadb starts");
        if done.status.success() {
            Ok(String::from_utf8_lossy(&done.stdout).trim().to_string())
        } else {
            Err(String::from_utf8_lossy(&done.stderr).into_owned())
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }
}
