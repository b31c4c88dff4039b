//! Kernel keys of the whole machine: one test at a time, and the old value put back.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::fcntl::{Flock, FlockArg};

/// Every test that changes a node-wide key holds this for as long as it does.
static NODE: Mutex<()> = Mutex::new(());

/// The same for the tests of two checkouts on one machine: a file that each of them locks.
const MACHINE_LOCK: &str = "/tmp/podinit-tests-node.lock";

/// A node-wide key borrowed by one test; dropping it restores the value found.
pub struct NodeKey {
    path: PathBuf,
    before: String,
    _machine: Flock<File>,
    _turn: MutexGuard<'static, ()>,
}

impl NodeKey {
    /// Waits for this test's turn and remembers the present value of `path`.
    pub fn borrow(path: impl AsRef<Path>) -> Self {
        let turn = NODE.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = File::create(MACHINE_LOCK).expect("the lock file");
        let machine = Flock::lock(lock, FlockArg::LockExclusive).expect("the lock");
        let path = path.as_ref().to_path_buf();
        let shown = fs::read_to_string(&path).expect("the key is readable");
        // sysfs shows every choice and brackets the one in force.
        let before = match (shown.find('['), shown.find(']')) {
            (Some(open), Some(close)) if open < close => shown[open + 1..close].to_string(),
            _ => shown.trim_end().to_string(),
        };
        Self {
            path,
            before,
            _machine: machine,
            _turn: turn,
        }
    }

    /// The key's value now, without the final newline.
    pub fn read(&self) -> String {
        fs::read_to_string(&self.path)
            .expect("the key is readable")
            .trim_end()
            .to_string()
    }

    /// Sets the starting point of a test.
    pub fn set(&self, value: &str) {
        fs::write(&self.path, format!("{value}\n")).expect("the test runs as root of the node");
    }
}

impl Drop for NodeKey {
    fn drop(&mut self) {
        // A panic here while another unwinds would abort the run and hide the first failure.
        if fs::write(&self.path, format!("{}\n", self.before)).is_err() {
            eprintln!(
                "could not restore {} to {}",
                self.path.display(),
                self.before
            );
        }
    }
}
