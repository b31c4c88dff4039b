//! Runs the executable under test and keeps everything it said.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use super::binary;
use super::outcome::Outcome;
use super::pod::{Pod, command};
use super::running::Running;
use super::trace::CALLS;

/// Nothing under test takes this long; a run that does is killed, and its test fails on 137.
const GIVE_UP_SECONDS: &str = "60";

/// What the executable finds on its standard input.
enum Input {
    Null,
    Text(String),
    Silent,
}

/// One run of the executable, to be arranged and then started.
pub struct Podinit<'pod> {
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    input: Input,
    pod: Option<&'pod Pod>,
    wrapper: Vec<String>,
    foreign: bool,
    traced: bool,
    termination: bool,
}

impl<'pod> Podinit<'pod> {
    /// The executable with these arguments, no input, and `PATH` as its whole environment.
    pub fn new<I>(args: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        Self {
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            input: Input::Null,
            pod: None,
            wrapper: Vec::new(),
            foreign: false,
            traced: false,
            termination: false,
        }
    }

    /// More arguments.
    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_os_string()));
        self
    }

    /// One more environment variable.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.to_string(), value.into()));
        self
    }

    /// Feeds this text to standard input, then closes it.
    pub fn stdin(mut self, text: &str) -> Self {
        self.input = Input::Text(text.to_string());
        self
    }

    /// Leaves standard input an open pipe that never says anything.
    pub fn silent_stdin(mut self) -> Self {
        self.input = Input::Silent;
        self
    }

    /// Runs inside a pod's namespaces instead of the node's own.
    pub fn inside(mut self, pod: &'pod Pod) -> Self {
        self.pod = Some(pod);
        self
    }

    /// Runs as this user and group, without capabilities, from a copy it can reach.
    pub fn uid(mut self, uid: u32) -> Self {
        let uid = uid.to_string();
        self.wrapper.extend(
            [
                "setpriv",
                "--reuid",
                &uid,
                "--regid",
                &uid,
                "--clear-groups",
            ]
            .map(str::to_string),
        );
        self.reachable()
    }

    /// Runs from a copy that any user can reach and execute.
    pub fn reachable(mut self) -> Self {
        self.foreign = true;
        self
    }

    /// Runs without this capability (`net_admin`), which no execve can bring back.
    pub fn without_capability(mut self, name: &str) -> Self {
        let minus = format!("-{name}");
        self.wrapper.extend(
            ["setpriv", "--bounding-set", &minus, "--inh-caps", &minus].map(str::to_string),
        );
        self
    }

    /// Runs as PID 1 of a pid namespace of its own, as a container's first process does.
    pub fn pid1(mut self) -> Self {
        self.wrapper
            .extend(["unshare", "-f", "-p", "--kill-child"].map(str::to_string));
        self
    }

    /// Runs behind these words, such as a shell in a mount namespace that ends with `exec "$@"`.
    pub fn behind<I>(mut self, words: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.wrapper.extend(words.into_iter().map(Into::into));
        self
    }

    /// Records its opens and writes; see `Outcome::no_write` and `Outcome::one_write`.
    pub fn traced(mut self) -> Self {
        self.traced = true;
        self
    }

    /// Gives it an existing, empty termination log; see `Outcome::termination`.
    pub fn termination_log(mut self) -> Self {
        self.termination = true;
        self
    }

    /// Runs to the end.
    pub fn run(self) -> Outcome {
        self.spawn().finish()
    }

    /// Starts, to be watched, signalled and finished.
    pub fn spawn(self) -> Running {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(scratch.path(), Permissions::from_mode(0o755)).expect("chmod");
        let executable = if self.foreign {
            reachable_copy(scratch.path())
        } else {
            binary().to_path_buf()
        };
        // What /proc/PID/exe will say, whatever links lead there.
        let executable = executable.canonicalize().expect("the executable is there");

        let mut words: Vec<OsString> = ["timeout", "--signal=KILL", GIVE_UP_SECONDS]
            .map(OsString::from)
            .into();
        let trace = scratch.path().join("trace");
        if self.traced {
            words.extend(["strace", "-f", "-y", "-s", "64", "-e", CALLS, "-o"].map(OsString::from));
            words.push(trace.clone().into());
        }
        words.extend(self.pod.map(Pod::entrance).unwrap_or_default());
        words.extend(self.wrapper.iter().map(OsString::from));
        words.push(executable.clone().into());
        words.extend(self.args.iter().cloned());

        let mut command = command(&words);
        command.env_clear().envs(self.env);
        command.env("PATH", std::env::var_os("PATH").expect("PATH is set"));
        let termination = self.termination.then(|| {
            let path = scratch.path().join("termination-log");
            fs::write(&path, "").expect("the termination log");
            fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("chmod");
            command.env("PODINIT_TERMINATION_LOG", &path);
            path
        });
        command.stdin(if matches!(self.input, Input::Null) {
            Stdio::null()
        } else {
            Stdio::piped()
        });
        let started = Instant::now();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command line starts");

        let mut stdin = child.stdin.take();
        if let Input::Text(text) = &self.input {
            let mut pipe = stdin
                .take()
                .expect("stdin is piped when there is text for it");
            // A run that refuses its arguments leaves its input unread; that is no fault.
            drop(pipe.write_all(text.as_bytes()));
        }
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let (send, lines) = channel();
        let said = thread::spawn(move || {
            let mut all = String::new();
            for line in BufReader::new(stderr).lines() {
                let line = line.expect("UTF-8 on stderr");
                all.push_str(&line);
                all.push('\n');
                // Nobody may be listening any more; the whole text is kept all the same.
                drop(send.send(line));
            }
            all
        });
        Running {
            what: words_of(&self.args),
            child,
            stdin,
            started,
            lines,
            stdout: thread::spawn(move || text_of(stdout)),
            stderr: said,
            trace: self.traced.then_some(trace),
            termination,
            executable,
            scratch,
        }
    }
}

/// A copy of the executable that every user can execute.
fn reachable_copy(directory: &Path) -> PathBuf {
    let copy = directory.join("podinit");
    fs::copy(binary(), &copy).expect("the executable is copied");
    fs::set_permissions(&copy, Permissions::from_mode(0o755)).expect("chmod");
    copy
}

fn text_of(mut pipe: impl Read) -> String {
    let mut text = String::new();
    pipe.read_to_string(&mut text).expect("UTF-8 on stdout");
    text
}

fn words_of(args: &[OsString]) -> String {
    args.iter()
        .map(|arg| arg.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
