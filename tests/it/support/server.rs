//! Keeps a real server alive as long as the tests are, and no longer.

use std::ffi::OsStr;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::pod::command;

/// A server that is not up by then will not come up.
const PATIENCE: Duration = Duration::from_secs(40);

/// The server's parent: its end takes the server with it, and its input is this process's pipe.
const HOLDER: &str = r#""$@" >>log 2>&1 & read -r _"#;

/// A server's process and the folder it works in, until dropped.
pub struct Server {
    holder: Child,
    folder: TempDir,
}

impl Server {
    /// Starts the words of a command line in this folder.
    pub fn start<I>(folder: TempDir, words: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let holder = command(["unshare", "-f", "-p", "--kill-child", "sh", "-c", HOLDER])
            .arg("sh")
            .args(words)
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").expect("PATH is set"))
            .env("HOME", folder.path())
            .stdin(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        Self { holder, folder }
    }

    /// Where it works.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until it does what a running server does.
    #[track_caller]
    pub fn wait_until(&self, what: &str, is_so: impl Fn() -> bool) {
        let give_up = Instant::now() + PATIENCE;
        while !is_so() {
            let log = fs::read_to_string(self.folder().join("log")).unwrap_or_default();
            assert!(Instant::now() < give_up, "{what} does not start: {log}");
            thread::yield_now();
        }
    }

    /// Waits until something listens there.
    #[track_caller]
    pub fn wait_for(&self, what: &str, address: SocketAddr) {
        self.wait_until(what, || TcpStream::connect(address).is_ok());
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

/// A folder for a server, on the disk that the tests were built on.
pub fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory")
}

/// What `make test` has put below `target/env`.
#[track_caller]
pub fn installed(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/env")
        .join(path);
    assert!(
        path.exists(),
        "no {}: `make test` installs it",
        path.display()
    );
    path
}
