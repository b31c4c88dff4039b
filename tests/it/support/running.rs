//! A run under way: watched line by line, signalled, waited for.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin};
use std::sync::mpsc::Receiver;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::outcome::Outcome;
use super::trace::Trace;

/// How long the harness waits for a sign of life before it calls the test failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// The subcommands, one of which names itself in every failure.
const COMMANDS: &[&str] = &[
    "sysctl",
    "fetch-secret",
    "fetch-object",
    "wait-for",
    "migrate",
    "completions",
    "man",
];

/// A run under way.
pub struct Running {
    pub(super) what: String,
    pub(super) child: Child,
    pub(super) stdin: Option<ChildStdin>,
    pub(super) started: Instant,
    pub(super) lines: Receiver<String>,
    pub(super) stdout: JoinHandle<String>,
    pub(super) stderr: JoinHandle<String>,
    pub(super) trace: Option<PathBuf>,
    pub(super) termination: Option<PathBuf>,
    pub(super) executable: PathBuf,
    pub(super) scratch: TempDir,
}

impl Running {
    /// Waits for a line on stderr that holds `part`, and returns it.
    #[track_caller]
    pub fn line_with(&self, part: &str) -> String {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(part) => return line,
                Ok(_) => {}
                Err(error) => panic!("{}: no line with {part:?} on stderr: {error}", self.what),
            }
        }
    }

    /// The pid of the executable itself, as the node sees it; waits until it has been started.
    #[track_caller]
    pub fn pid(&self) -> Pid {
        let give_up = Instant::now() + PATIENCE;
        let wrapper = i32::try_from(self.child.id()).expect("a pid is an i32");
        loop {
            if let Some(pid) = descendant(wrapper, &self.executable) {
                return Pid::from_raw(pid);
            }
            let waits = Instant::now() < give_up && !is_over(wrapper);
            assert!(waits, "{}: the executable is not running", self.what);
            thread::yield_now();
        }
    }

    /// Waits until the executable catches SIGTERM: before, the kernel would drop it for PID 1.
    #[track_caller]
    pub fn listens(&self) {
        wait_until_listening(self.pid());
    }

    /// Sends a signal to the executable and tells when.
    #[track_caller]
    pub fn signal(&self, signal: Signal) -> Instant {
        let pid = self.pid();
        let sent = Instant::now();
        kill(pid, signal).expect("the executable is still there");
        sent
    }

    /// Waits for the end and collects what is left to know.
    pub fn finish(mut self) -> Outcome {
        let status = self.child.wait().expect("the command line ends");
        let ended = Instant::now();
        drop(self.stdin.take());
        let mut words = self.what.split(' ');
        let command = words
            .find(|word| COMMANDS.contains(word))
            .unwrap_or_default()
            .to_string();
        let code = status
            .code()
            .or_else(|| status.signal().map(|signal| 128 + signal));
        let outcome = Outcome {
            command,
            what: self.what,
            code: code.expect("an exit code or a signal"),
            stdout: self.stdout.join().expect("stdout was read"),
            stderr: self.stderr.join().expect("stderr was read"),
            started: self.started,
            ended,
            termination: self
                .termination
                .map(|path| fs::read_to_string(path).expect("the termination log is readable")),
            trace: self.trace.map(|path| Trace::load(&path)),
        };
        self.scratch
            .close()
            .expect("what the run left behind is removed");
        outcome
    }
}

/// Waits until the process catches SIGTERM, by what the kernel says of it.
#[track_caller]
pub fn wait_until_listening(pid: Pid) {
    let give_up = Instant::now() + PATIENCE;
    loop {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = u64::from_str_radix(caught.expect("a mask").trim(), 16).expect("hexadecimal");
        if mask & (1 << (Signal::SIGTERM as u64 - 1)) != 0 {
            return;
        }
        assert!(Instant::now() < give_up, "{pid} never listens");
        thread::yield_now();
    }
}

/// The process below `parent` that runs `executable`.
fn descendant(parent: i32, executable: &Path) -> Option<i32> {
    // A process may be gone by the time it is looked at.
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .find_map(|pid| {
            let image = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            if image == executable {
                Some(pid)
            } else {
                descendant(pid, executable)
            }
        })
}

/// Whether a process has ended and only waits to be asked for its exit code.
fn is_over(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_none_or(|(_, state)| state.starts_with('Z'))
}
