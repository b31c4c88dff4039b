//! Real `PostgreSQL` clusters, each made and run for one test, with a root's socket beside the port
//! under test.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};

use tempfile::TempDir;

use super::clock::until;
use super::pod::command;
use super::server::{AS_NOBODY, NOBODY, Server, Start, folder_of};
use super::wire::own_address;

/// Debian's programs; another `postgres` earlier in `PATH` may lack the half of them.
const BIN: &str = "/usr/lib/postgresql/15/bin";

/// A cluster, running or not.
pub struct Postgres {
    server: Option<Server>,
    folder: TempDir,
    address: SocketAddr,
    settings: Vec<String>,
}

impl Postgres {
    /// Runs a cluster whose `pg_hba.conf` says this of TCP: `host all all all scram-sha-256`.
    pub fn start(hba: &str, settings: &[&str]) -> Self {
        let mut cluster = Self::prepare(hba, settings);
        cluster.run();
        cluster
    }

    /// Makes the same without running it.
    pub fn prepare(hba: &str, settings: &[&str]) -> Self {
        let folder = folder_of(NOBODY);
        let data = folder.path().join("data");
        let made = command(AS_NOBODY)
            .arg(format!("{BIN}/initdb"))
            .args(["--no-sync", "--auth=trust", "--username=postgres", "-D"])
            .arg(&data)
            .stdin(Stdio::null())
            .output()
            .expect("initdb starts");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "initdb: {said}");
        let hba = format!("local all all trust\n{hba}\n");
        fs::write(data.join("pg_hba.conf"), hba).expect("the cluster's rules");
        Self {
            server: None,
            folder,
            address: own_address(),
            settings: settings.iter().map(ToString::to_string).collect(),
        }
    }

    /// Starts the server and waits until it takes queries.
    pub fn run(&mut self) {
        self.launch();
        let server = self.server.as_ref().expect("just launched");
        server.wait_until(|| self.try_sql("postgres", "select 1").is_ok());
    }

    /// Starts the server and waits for nothing.
    pub fn launch(&mut self) {
        let mut start = Start::new([format!("{BIN}/postgres")])
            .for_nobody()
            .args(["-D"])
            .args([self.data()]);
        let own = [
            format!("listen_addresses={}", self.address.ip()),
            format!("port={}", self.address.port()),
            format!("unix_socket_directories={}", self.folder.path().display()),
            "fsync=off".to_string(),
            "shared_buffers=16MB".to_string(),
            "log_statement=none".to_string(),
        ];
        for setting in own.iter().chain(&self.settings) {
            start = start.args(["-c", setting]);
        }
        self.server = Some(start.log_to(&self.folder.path().join("log")));
    }

    /// The cluster's folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Puts a file into the cluster's folder, as the server wants it.
    pub fn put(&self, name: &str, from: &Path) {
        let path = self.data().join(name);
        fs::copy(from, &path).expect("a file for the cluster");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("chmod");
        chown(&path, Some(NOBODY), Some(NOBODY)).expect("chown");
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Runs a statement as the superuser, which must succeed, and tells the rows.
    #[track_caller]
    pub fn sql(&self, database: &str, statement: &str) -> String {
        self.try_sql(database, statement)
            .unwrap_or_else(|error| panic!("{statement}: {error}\n{}", self.log()))
    }

    fn try_sql(&self, database: &str, statement: &str) -> Result<String, String> {
        let done = self
            .psql(database)
            .args(["-c", statement])
            .stdin(Stdio::null())
            .output()
            .expect("psql starts");
        if done.status.success() {
            Ok(String::from_utf8_lossy(&done.stdout).trim().to_string())
        } else {
            Err(String::from_utf8_lossy(&done.stderr).into_owned())
        }
    }

    /// A session that does nothing but hold its slot, until dropped.
    pub fn session(&self) -> Session {
        let before = self.sessions();
        let mut child = self
            .psql("postgres")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("psql starts");
        let input = child.stdin.take();
        until("a session", || (self.sessions() > before).then_some(()));
        Session { child, input }
    }

    /// How many ordinary sessions the kernel sees: a query would need a slot itself.
    fn sessions(&self) -> usize {
        processes("postgres: postgres postgres [local] idle", &self.data())
    }

    fn psql(&self, database: &str) -> std::process::Command {
        let mut psql = command(["psql", "-X", "-q", "-t", "-A", "-U", "postgres", "-h"]);
        psql.arg(self.folder.path())
            .args(["-p", &self.address.port().to_string(), "-d", database])
            .env_remove("PGPASSWORD")
            .env("PGCONNECT_TIMEOUT", "5");
        psql
    }
}

/// A slot taken.
pub struct Session {
    child: Child,
    input: Option<ChildStdin>,
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.input.take());
        if let Err(error) = self.child.wait() {
            eprintln!("could not wait for psql: {error}");
        }
    }
}

/// Processes of this title that work in this folder.
fn processes(title: &str, folder: &Path) -> usize {
    let folder = folder.canonicalize().expect("the cluster's folder");
    fs::read_dir("/proc")
        .expect("the kernel's list")
        .filter_map(Result::ok)
        .filter(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            line.starts_with(title.as_bytes())
                && fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == folder)
        })
        .count()
}
