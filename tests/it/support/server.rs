//! A real server under way, in a pid namespace that ends with the test, however the test ends.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use tempfile::TempDir;

use super::clock::until;
use super::pod::{Pod, command};
use super::wire::own_address;

/// The server's parent: its end takes the server with it, and its input is this process's pipe.
const HOLDER: &str = r#"log=$1; shift; "$@" >>"$log" 2>&1 & read -r _"#;

/// The user that owns nothing: many servers refuse to be root.
pub const NOBODY: u32 = 65534;

/// The words that make what follows nobody's process.
pub const AS_NOBODY: &[&str] = &[
    "setpriv",
    "--reuid",
    "65534",
    "--regid",
    "65534",
    "--clear-groups",
];

/// Where servers are found; root's own `PATH` may lack the half of it.
const PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";

/// A server under way; dropping it kills it and all it has started.
pub struct Server {
    holder: Child,
    log: PathBuf,
}

/// How a server is to be started.
pub struct Start {
    words: Vec<OsString>,
    env: Vec<(String, OsString)>,
    entrance: Vec<OsString>,
}

impl Start {
    /// A program and its arguments.
    pub fn new<I>(words: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let words = words.into_iter().map(|word| word.as_ref().to_os_string());
        Self {
            words: words.collect(),
            env: Vec::new(),
            entrance: Vec::new(),
        }
    }

    /// As the user that owns nothing.
    pub fn for_nobody(mut self) -> Self {
        let words = AS_NOBODY.iter().map(OsString::from);
        self.words = words.chain(self.words).collect();
        self
    }

    /// More arguments.
    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.words
            .extend(args.into_iter().map(|arg| arg.as_ref().to_os_string()));
        self
    }

    /// One environment variable.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.to_string(), value.into()));
        self
    }

    /// In a pod's namespaces.
    pub fn inside(mut self, pod: &Pod) -> Self {
        self.entrance = pod.entrance();
        self
    }

    /// Starts it; all it says goes to `log`.
    pub fn log_to(self, log: &Path) -> Server {
        let mut words = self.entrance;
        words.extend(
            [
                "unshare",
                "-f",
                "-i",
                "-p",
                "--kill-child",
                "sh",
                "-c",
                HOLDER,
                "sh",
            ]
            .map(OsString::from),
        );
        words.push(log.into());
        words.extend(self.words);
        let holder = command(&words)
            .env_clear()
            .env("PATH", PATH)
            .envs(self.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("unshare starts");
        Server {
            holder,
            log: log.to_path_buf(),
        }
    }
}

impl Server {
    /// All it has said so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until `is_up`, and tells what the server said when it never is.
    #[track_caller]
    pub fn wait_until(&self, mut is_up: impl FnMut() -> bool) {
        let log = self.log.display().to_string();
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until(&log, || is_up().then_some(()));
        }));
        assert!(seen.is_ok(), "the server does not come up:\n{}", self.log());
    }

    /// Waits until somebody listens at this address.
    #[track_caller]
    pub fn wait_for_port(&self, address: SocketAddr) {
        self.wait_until(|| TcpStream::connect(address).is_ok());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        if let Err(error) = self.holder.wait() {
            eprintln!("could not wait for a server's holder: {error}");
        }
    }
}

/// A folder that everybody can enter and the server owns.
pub fn folder_of(uid: u32) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("chmod");
    chown(folder.path(), Some(uid), Some(uid)).expect("chown");
    folder
}

/// An address of the test's own with this many ports where nobody listens. Some servers listen at
/// 127.0.0.1 as well, so the ports are free there too.
pub fn own_ports(count: usize) -> Vec<SocketAddr> {
    let ip = own_address().ip();
    let mut held = Vec::new();
    let mut found = Vec::new();
    while found.len() < count {
        let everywhere = TcpListener::bind(("0.0.0.0", 0)).expect("a free port");
        let port = everywhere.local_addr().expect("it is bound").port();
        held.push(everywhere);
        // SeaweedFS derives ports from others by adding 10000.
        if port < 55_000 {
            found.push(SocketAddr::new(ip, port));
        }
    }
    found
}

#[test]
fn a_server_ends_with_its_owner() {
    let folder = folder_of(0);
    let log = folder.path().join("log");
    let server = Start::new(["sh", "-c", "echo up; exec sleep 1000"]).log_to(&log);
    server.wait_until(|| server.log() == "up\n");
    let holder = server.holder.id();
    let children = fs::read_to_string(format!("/proc/{holder}/task/{holder}/children"));
    let child = children.expect("the holder lives").trim().to_string();
    drop(server);
    assert!(!Path::new(&format!("/proc/{child}")).exists());
}
