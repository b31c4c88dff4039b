//! Where a test of `podinit fetch-object` takes place: a folder D on a disk, and the runs, each of
//! which is judged: no secret shows, nothing is left over, and what failed changed nothing.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::hidden::Hidden;
use crate::support::running::Running;
use crate::support::tree::{Tree, is_state, leftovers, published, tree};
use crate::support::{MIB, Outcome, Pod, Podinit, noise, sha256};

/// 20 MiB of random bytes.
pub fn big() -> Bytes {
    static BIG: OnceLock<Bytes> = OnceLock::new();
    BIG.get_or_init(|| noise(20, 20 * MIB)).clone()
}

/// What DEST had before.
pub const OLD: &[u8] = b"what was there before\n";

/// What a run may leave in podinit's own place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaves {
    /// Records of what is whole, and nothing else.
    Records,
    /// What the next run goes on from, if it ended with 69.
    Parts,
    /// Published files too: each file of a folder that is not empty appears when it is whole.
    SomeFiles,
}

/// One test's surroundings.
pub struct Scene {
    top: TempDir,
    dir: PathBuf,
    hidden: Hidden,
}

impl Scene {
    /// On the disk that the tests were built on.
    pub fn new() -> Self {
        Self::below(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    /// Somewhere else, such as in memory.
    pub fn below(place: &Path) -> Self {
        let top = tempfile::tempdir_in(place).expect("a temporary directory");
        fs::set_permissions(top.path(), Permissions::from_mode(0o755)).expect("chmod");
        let dir = top.path().join("D");
        fs::create_dir(&dir).expect("D");
        Self {
            top,
            dir,
            hidden: Hidden::default(),
        }
    }

    /// D itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder above D, for credentials and the like.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    /// A path in D.
    pub fn at(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes a file of the test's own beside D and tells where.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.beside(name);
        fs::write(&path, text).expect("a file beside D");
        path
    }

    /// Gives a path in D the old content.
    pub fn old(&self, name: &str) -> &Self {
        let path = self.at(name);
        fs::create_dir_all(path.parent().expect("it lies in D")).expect("its folder");
        fs::write(path, OLD).expect("the old content");
        self
    }

    /// Nothing may ever show this.
    pub fn hide(&self, secret: &str) -> &Self {
        self.hidden.add(secret);
        self
    }

    /// `podinit fetch-object SOURCE D/DEST`.
    pub fn fetch(&self, source: &str, dest: &str) -> Fetch<'_> {
        // `join` would drop the slash that the test wants to see.
        let mut path = self.dir.clone().into_os_string();
        path.push("/");
        path.push(dest);
        self.bare([OsStr::new(source), &path])
    }

    /// The same of a store that speaks S3 there and asks nobody for credentials.
    pub fn s3(&self, endpoint: &str, source: &str, dest: &str) -> Fetch<'_> {
        self.fetch(source, dest)
            .args(["--anonymous", "--endpoint-url", endpoint])
    }

    /// Only the command; the arguments bring all else.
    pub fn bare<I>(&self, args: I) -> Fetch<'_>
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let fetch = Fetch {
            scene: self,
            args: Vec::new(),
            env: Vec::new(),
            wrap: Vec::new(),
            pod: None,
            timeout: "40s".to_string(),
            level: "debug",
            leaves: Leaves::Records,
        };
        fetch.args(args)
    }

    /// All below D and beside it.
    pub fn tree(&self) -> Tree {
        tree(self.top.path())
    }

    /// Exactly these files lie below D, podinit's own place aside, with these bytes.
    #[track_caller]
    pub fn holds<N, B>(&self, files: impl IntoIterator<Item = (N, B)>) -> &Self
    where
        N: AsRef<str>,
        B: AsRef<[u8]>,
    {
        let mut wanted: Vec<_> = files
            .into_iter()
            .map(|(name, bytes)| (PathBuf::from(name.as_ref()), sha256(bytes.as_ref())))
            .collect();
        wanted.sort();
        let found: Vec<_> = published(&tree(&self.dir))
            .into_iter()
            .filter(|(_, entry)| entry.mode & nix::libc::S_IFMT == nix::libc::S_IFREG)
            .map(|(path, entry)| (path, entry.content))
            .collect();
        assert_eq!(found, wanted, "files below D and their SHA-256");
        self
    }

    /// A file in D has these bytes.
    #[track_caller]
    pub fn has(&self, name: &str, bytes: &[u8]) -> &Self {
        let found = fs::read(self.at(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(found.len(), bytes.len(), "length of {name}");
        assert!(found == bytes, "{name} has other bytes");
        self
    }

    /// Nothing lies in D, nor podinit's own place in it.
    #[track_caller]
    pub fn is_bare(&self) -> &Self {
        let names: Vec<_> = tree(&self.dir).into_keys().collect();
        assert_eq!(names, Vec::<PathBuf>::new(), "in D");
        self
    }

    /// There is nothing at all at a path in D.
    #[track_caller]
    pub fn lacks(&self, name: &str) -> &Self {
        let found = fs::symlink_metadata(self.at(name));
        assert!(found.is_err(), "{name} is there: {found:?}");
        self
    }

    /// A file's mode, without its type.
    #[track_caller]
    pub fn mode(&self, name: &str) -> u32 {
        let found = fs::symlink_metadata(self.at(name));
        let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
        found.permissions().mode() & 0o7777
    }

    /// What a run has shown and left is as it should be.
    #[track_caller]
    fn judge(&self, out: &Outcome, before: &Tree, leaves: Leaves) {
        self.hidden.judge_run(out);
        let after = self.tree();
        self.search(&after);
        let left = leftovers(&after);
        let may_resume = out.code == 69 && leaves != Leaves::Records;
        assert!(
            left.is_empty() || may_resume,
            "left over: {left:?} by {out:?}"
        );
        if out.code != 0 && leaves != Leaves::SomeFiles {
            let (before, after) = (published(before), published(&after));
            assert_eq!(
                after, before,
                "a failure changed what is published: {out:?}"
            );
        }
    }

    /// No secret stands in podinit's own places.
    #[track_caller]
    fn search(&self, after: &Tree) {
        let forms = self.hidden.forms();
        for path in after.keys().filter(|path| is_state(path)) {
            for form in &forms {
                let name = path.as_os_str().as_bytes();
                assert!(
                    !contains(name, form.as_bytes()),
                    "{form:?} in {}",
                    path.display()
                );
                let is_small = after[path].size <= MIB as u64;
                // What is large is the object itself.
                if is_small && let Ok(bytes) = fs::read(self.top.path().join(path)) {
                    assert!(
                        !contains(&bytes, form.as_bytes()),
                        "{form:?} in {}",
                        path.display()
                    );
                }
            }
        }
    }
}

/// Whether some bytes hold others.
pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// One run, to be arranged and then started.
pub struct Fetch<'s> {
    scene: &'s Scene,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    wrap: Vec<Wrap>,
    pod: Option<&'s Pod>,
    timeout: String,
    level: &'static str,
    leaves: Leaves,
}

/// What the executable runs in.
#[derive(Clone)]
enum Wrap {
    Uid(u32),
    Without(String),
    First,
    Injecting(Vec<String>),
    Umask(&'static str),
}

impl<'s> Fetch<'s> {
    /// More arguments.
    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let args = args.into_iter().map(|arg| arg.as_ref().to_os_string());
        self.args.extend(args);
        self
    }

    /// A flag and its value.
    pub fn with(self, flag: &str, value: impl AsRef<OsStr>) -> Self {
        self.args([OsStr::new(flag), value.as_ref()])
    }

    /// One more environment variable.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.to_string(), value.into()));
        self
    }

    /// The deadline, which is 40 s otherwise.
    pub fn timeout(mut self, timeout: &str) -> Self {
        self.timeout = timeout.to_string();
        self
    }

    /// Says everything it can.
    pub fn loud(mut self) -> Self {
        self.level = "trace";
        self
    }

    /// As this user and group, without capabilities.
    pub fn uid(mut self, uid: u32) -> Self {
        self.wrap.push(Wrap::Uid(uid));
        self
    }

    /// Without this capability.
    pub fn without_capability(mut self, name: &str) -> Self {
        self.wrap.push(Wrap::Without(name.to_string()));
        self
    }

    /// As PID 1 of a namespace of its own.
    pub fn pid1(mut self) -> Self {
        self.wrap.push(Wrap::First);
        self
    }

    /// With this umask.
    pub fn umask(mut self, mask: &'static str) -> Self {
        self.wrap.push(Wrap::Umask(mask));
        self
    }

    /// With system calls that fail, as strace words it: `flock:error=ENOLCK`.
    pub fn injecting(mut self, faults: &[&str]) -> Self {
        let faults = faults.iter().map(ToString::to_string).collect();
        self.wrap.push(Wrap::Injecting(faults));
        self
    }

    /// In these namespaces.
    pub fn inside(mut self, pod: &'s Pod) -> Self {
        self.pod = Some(pod);
        self
    }

    /// If it ends with 69, it may leave what the next run goes on from.
    pub fn may_leave_parts(mut self) -> Self {
        self.leaves = Leaves::Parts;
        self
    }

    /// If it fails, some files may be published all the same.
    pub fn may_leave_files(mut self) -> Self {
        self.leaves = Leaves::SomeFiles;
        self
    }

    /// Runs to the end and is judged.
    #[track_caller]
    pub fn run(self) -> Outcome {
        self.spawn().finish()
    }

    /// Runs to the end and gives the one entry of its report in JSON.
    #[track_caller]
    pub fn report(self) -> Value {
        let out = self.args(["--output", "json"]).run();
        out.succeeds();
        out.json()["sources"][0].clone()
    }

    /// Starts.
    pub fn spawn(self) -> Underway<'s> {
        let before = self.scene.tree();
        let mut run = Podinit::new(["fetch-object"])
            .args(&self.args)
            .args(["--timeout", &self.timeout, "--log-level", self.level])
            .termination_log();
        for (name, value) in self.env {
            run = run.env(&name, value);
        }
        if let Some(pod) = self.pod {
            run = run.inside(pod);
        }
        for wrap in self.wrap {
            run = match wrap {
                Wrap::Uid(uid) => run.uid(uid),
                Wrap::Without(name) => run.without_capability(&name),
                Wrap::First => run.pid1(),
                Wrap::Umask(mask) => run.umask(mask),
                Wrap::Injecting(faults) => {
                    let faults: Vec<_> = faults.iter().map(String::as_str).collect();
                    run.injecting(&faults)
                }
            };
        }
        Underway {
            scene: self.scene,
            before,
            leaves: self.leaves,
            running: run.spawn(),
        }
    }
}

/// A run under way.
pub struct Underway<'s> {
    scene: &'s Scene,
    before: Tree,
    leaves: Leaves,
    pub running: Running,
}

impl Underway<'_> {
    /// Waits for the end and judges it.
    #[track_caller]
    pub fn finish(self) -> Outcome {
        let out = self.running.finish();
        self.scene.judge(&out, &self.before, self.leaves);
        out
    }

    /// Kills it where it stands; what it leaves is not judged, only what it has shown and what a
    /// reader sees.
    #[track_caller]
    pub fn kill(self) -> Outcome {
        self.running.signal(Signal::SIGKILL);
        let out = self.running.finish();
        self.scene.hidden.judge_run(&out);
        self.scene.search(&self.scene.tree());
        out
    }

    /// Sends a signal and tells when.
    #[track_caller]
    pub fn signal(&self, signal: Signal) -> Instant {
        self.running.signal(signal)
    }
}

/// Tells a reader on another thread to stop, also when an assertion ends the test early.
pub struct Ends<'t>(pub &'t AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The lines of a run that warn.
pub fn warnings(out: &Outcome) -> Vec<&str> {
    out.stderr
        .lines()
        .filter(|line| line.split(' ').nth(1) == Some("warn"))
        .collect()
}

/// A usage error that nobody was asked for anything about.
#[track_caller]
pub fn refused<'o>(out: &'o Outcome, part: &str) -> &'o Outcome {
    out.fails(64).says(part)
}

#[test]
#[should_panic(expected = "left over")]
fn what_is_left_over_is_found() {
    let scene = Scene::new();
    let before = scene.tree();
    fs::create_dir(scene.at(".podinit")).expect("a folder");
    fs::write(scene.at(".podinit/x.part"), "half").expect("a file");
    let out = Podinit::new(["completions", "bash"]).run();
    scene.judge(&out, &before, Leaves::Records);
}

#[test]
#[should_panic(expected = "a failure changed what is published")]
fn a_failure_that_changes_something_is_found() {
    let scene = Scene::new();
    scene.old("x");
    let before = scene.tree();
    fs::write(scene.at("x"), "half").expect("a file");
    let out = Podinit::new(["no-such-command"]).run();
    scene.judge(&out, &before, Leaves::Records);
}

#[test]
#[should_panic(expected = "hunter2")]
fn a_secret_in_a_record_is_found() {
    let scene = Scene::new();
    scene.hide("hunter2");
    let before = scene.tree();
    fs::create_dir(scene.at(".podinit")).expect("a folder");
    fs::write(scene.at(".podinit/x.json"), "{\"source\":\"?sig=hunter2\"}").expect("a file");
    let out = Podinit::new(["completions", "bash"]).run();
    scene.judge(&out, &before, Leaves::Records);
}
