//! Runs of `podinit wait-for`, each searched for every secret that any of these tests uses.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::support::running::Running;
use crate::support::seaweedfs;
use crate::support::wire::own_address;
use crate::support::{Outcome, Pod, Podinit};

/// The specification's word for what needs no second attempt.
pub const AT_ONCE: Duration = Duration::from_millis(300);

/// How late a run may end after its deadline.
pub const LATE: Duration = Duration::from_millis(250);

/// The right password of every server that has one; its signs must be escaped in a URL.
pub const PASSWORD: &str = "Zeh9/of the@app%+";
/// The same as it stands in a URL.
pub const PASSWORD_IN_URL: &str = "Zeh9%2Fof%20the%40app%25%2B";
/// A password that no server knows.
pub const WRONG: &str = "Wee7-known-to-nobody";
/// The token of a header.
pub const BEARER: &str = "t0ken-Oot3-of-a-header";
/// The token of a service account.
pub const ACCOUNT: &str = "eyJhbGciOi-of-a-service-account";
/// A password where none may stand.
pub const MISPLACED: &str = "s3cret";

/// What no run may show.
const SECRETS: &[&str] = &[
    PASSWORD,
    PASSWORD_IN_URL,
    WRONG,
    BEARER,
    ACCOUNT,
    MISPLACED,
    seaweedfs::SECRET_KEY,
];

/// One run to be arranged.
pub struct Wait<'p> {
    podinit: Podinit<'p>,
}

/// A run that tells all there is to tell; the arguments come after the command's name.
pub fn wait_for<'p, I>(args: I) -> Wait<'p>
where
    I: IntoIterator,
    I::Item: AsRef<OsStr>,
{
    plainly(["-vv"]).args(args)
}

/// The same at the level that a Pod has.
pub fn plainly<'p, I>(args: I) -> Wait<'p>
where
    I: IntoIterator,
    I::Item: AsRef<OsStr>,
{
    let podinit = Podinit::new(["wait-for"]).termination_log();
    Wait { podinit }.args(args)
}

impl<'p> Wait<'p> {
    /// More arguments.
    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.podinit = self.podinit.args(args);
        self
    }

    /// One more environment variable.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.podinit = self.podinit.env(name, value);
        self
    }

    /// In a pod's namespaces.
    pub fn inside(mut self, pod: &'p Pod) -> Self {
        self.podinit = self.podinit.inside(pod);
        self
    }

    /// As this user.
    pub fn uid(mut self, uid: u32) -> Self {
        self.podinit = self.podinit.uid(uid);
        self
    }

    /// As the first process of a container.
    pub fn pid1(mut self) -> Self {
        self.podinit = self.podinit.pid1();
        self
    }

    /// Behind these words.
    pub fn behind<I>(mut self, words: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.podinit = self.podinit.behind(words);
        self
    }

    /// In a mount namespace where this file stands in for `path`, which exists.
    pub fn with_file(self, path: &str, text: &str) -> Self {
        let script = format!(
            "mount -t tmpfs none /mnt; printf '%s' '{text}' > /mnt/it; mount --bind /mnt/it {path}; \
             exec \"$@\""
        );
        self.behind(["unshare", "-m", "sh", "-euc", &script, "sh"].map(String::from))
    }

    /// Runs to the end; no secret may show.
    #[track_caller]
    pub fn run(self) -> Outcome {
        let out = self.podinit.run();
        judge(&out);
        out
    }

    /// Starts, to be watched and signalled.
    pub fn spawn(self) -> Watched {
        Watched {
            running: self.podinit.spawn(),
        }
    }
}

/// A run under way.
pub struct Watched {
    running: Running,
}

impl Watched {
    /// Waits for a line on stderr that holds `part`.
    #[track_caller]
    pub fn line_with(&self, part: &str) -> String {
        self.running.line_with(part)
    }

    /// The pid of the executable itself.
    #[track_caller]
    pub fn pid(&self) -> Pid {
        self.running.pid()
    }

    /// Waits until it heeds signals.
    #[track_caller]
    pub fn listens(&self) {
        self.running.listens();
    }

    /// Sends a signal and tells when.
    #[track_caller]
    pub fn signal(&self, signal: Signal) -> Instant {
        self.running.signal(signal)
    }

    /// Waits for the end; no secret may show.
    #[track_caller]
    pub fn finish(self) -> Outcome {
        let out = self.running.finish();
        judge(&out);
        out
    }
}

/// Runs them all at the same time; the outcomes in the same order.
#[track_caller]
pub fn together<'p, I>(runs: I) -> Vec<Outcome>
where
    I: IntoIterator<Item = Wait<'p>>,
{
    let all: Vec<_> = runs.into_iter().map(Wait::spawn).collect();
    all.into_iter().map(Watched::finish).collect()
}

/// These targets, each on its own, are never ready: after a short time the run fails with a cause
/// that holds these words.
#[track_caller]
pub fn never_ready(cases: &[(&[&str], &str)]) {
    let runs = cases
        .iter()
        .map(|(args, _)| wait_for(["--timeout", "700ms"]).args(*args));
    for (out, (_, cause)) in together(runs).iter().zip(cases) {
        out.fails(69).says(cause);
    }
}

/// Some texts say the same in more than one way.
#[track_caller]
pub fn says_one_of(out: &Outcome, parts: &[&str]) {
    let message = out.message();
    assert!(
        parts.iter().any(|part| message.contains(part)),
        "none of {parts:?} in the message of {out:?}"
    );
}

/// No secret is in what a run said, in any of the ways it may be written.
#[track_caller]
fn judge(out: &Outcome) {
    for secret in SECRETS {
        out.never_shows(secret);
        out.never_shows(&STANDARD.encode(secret));
    }
    // A Basic login is the password behind the user's name.
    out.never_shows(&STANDARD.encode(format!("app:{PASSWORD}")));
    out.never_shows(&STANDARD.encode(format!("app:{WRONG}")));
}

/// An address where nobody listens and nobody ever will.
pub fn closed() -> SocketAddr {
    static CLOSED: OnceLock<SocketAddr> = OnceLock::new();
    *CLOSED.get_or_init(own_address)
}

/// A file for one test, in a folder that everybody can enter.
pub struct Files {
    folder: TempDir,
}

impl Files {
    /// An empty folder.
    pub fn new() -> Self {
        let folder = crate::support::server::folder_of(0);
        Self { folder }
    }

    /// Where a file of this name is or would be.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same as text.
    pub fn at(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A file with this text; tells its path.
    pub fn put(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).expect("a file for the test");
        self.at(name)
    }
}

/// The lines of a run that warn.
pub fn warnings(out: &Outcome) -> Vec<&str> {
    let lines = out.stderr.lines();
    lines
        .filter(|line| line.split(' ').nth(1) == Some("warn"))
        .collect()
}

/// The one line of a run that warns.
#[track_caller]
pub fn warning(out: &Outcome) -> &str {
    let all = warnings(out);
    assert_eq!(all.len(), 1, "warnings of {out:?}");
    all[0]
}

/// The middle and the next to highest of a hundred, for bars on medians and tails.
pub fn spread(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    let tail = (times.len() * 99).div_ceil(100) - 1;
    (times[times.len() / 2], times[tail])
}

#[test]
#[should_panic(expected = "on stderr")]
fn a_secret_that_shows_is_found() {
    wait_for([format!("tcp://{WRONG}")]).run();
}

#[test]
fn the_tail_of_a_hundred_is_the_last_but_one() {
    let times = (1..=100).map(Duration::from_millis).rev().collect();
    let (median, tail) = spread(times);
    assert_eq!(median, Duration::from_millis(51));
    assert_eq!(tail, Duration::from_millis(99));
}
