//! Where a test of `podinit fetch-secret` takes place: a server, a recording proxy before it, a
//! token, a volume; and the runs, each of which is searched for every secret of the test.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::support::hidden::Hidden;
use crate::support::pod::command;
use crate::support::running::Running;
use crate::support::volume::Volume;
use crate::support::wire::Request;
use crate::support::{OpenBao, Outcome, Podinit, Proxy, Reply, binary, furniture};

/// One test's surroundings.
pub struct Scene<'s> {
    pub server: &'s OpenBao,
    pub proxy: Proxy,
    pub dir: Volume,
    /// The token T, which may read all.
    pub token: String,
    token_file: PathBuf,
    files: TempDir,
    hidden: Hidden,
}

impl Scene<'static> {
    /// Before the server that the tests share.
    pub fn new() -> Self {
        let server = OpenBao::shared();
        Self::before(server, Proxy::before(server.address()))
    }

    /// The same, the proxy doing with each request as the script says.
    pub fn scripted<S>(script: S) -> Self
    where
        S: Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    {
        let server = OpenBao::shared();
        Self::before(server, Proxy::scripted(server.address(), script))
    }
}

impl<'s> Scene<'s> {
    /// Before a server of the test's own.
    pub fn on(server: &'s OpenBao) -> Self {
        Self::before(server, Proxy::before(server.address()))
    }

    /// Before this server, behind this proxy.
    pub fn before(server: &'s OpenBao, proxy: Proxy) -> Self {
        // A sealed server has no token to give, and nobody asks it for one.
        let made = server.call(
            "POST",
            "auth/token/create-orphan",
            &json!({"policies": ["all"]}).to_string(),
        );
        let made: serde_json::Value = serde_json::from_slice(&made.body).unwrap_or_default();
        let token = made["auth"]["client_token"].as_str().unwrap_or("s.none");
        let files = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(files.path(), Permissions::from_mode(0o755)).expect("chmod");
        let scene = Self {
            server,
            proxy,
            dir: Volume::in_memory(),
            token: token.to_string(),
            token_file: files.path().join("token"),
            files,
            hidden: Hidden::default(),
        };
        scene.credential("token", token);
        scene.hidden.add(server.root());
        scene.hidden.add_json(furniture::APP);
        scene
    }

    /// `fs` of the specification with these secrets or further arguments.
    pub fn fs<I>(&self, args: I) -> Fetch<'_>
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.login(["--auth", "token"])
            .args([OsStr::new("--token-file"), self.token_file.as_os_str()])
            .args(args)
    }

    /// The same without a login method; the arguments bring one.
    pub fn login<I>(&self, args: I) -> Fetch<'_>
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.bare(["--addr", &self.proxy.url()])
            .args([OsStr::new("--dir"), self.dir.path().as_os_str()])
            .args(args)
    }

    /// Only the command and its loudness; the arguments bring all else.
    pub fn bare<I>(&self, args: I) -> Fetch<'_>
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        Fetch {
            scene: self,
            args: Vec::new(),
            env: Vec::new(),
            uid: None,
            through: None,
        }
        .args(["fetch-secret", "-vv"])
        .args(args)
    }

    /// A login by approle, with the IDs in files.
    pub fn approle<I>(&self, role: &str, args: I) -> Fetch<'_>
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let (role_id, secret_id) = furniture::approle(self.server, role);
        self.login(["--auth", "approle", "--role-id-file"])
            .args([self.file("role-id", &role_id)])
            .args(["--secret-id-file"])
            .args([self.credential("secret-id", &secret_id)])
            .args(args)
    }

    /// A file beside the volume that anybody may read.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.files.path().join(name);
        fs::write(&path, text).expect("a file for the test");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("chmod");
        path
    }

    /// The same with a credential in it.
    pub fn credential(&self, name: &str, text: &str) -> PathBuf {
        self.hide(text.trim());
        self.file(name, text)
    }

    /// The folder beside the volume where those files are.
    pub fn beside(&self) -> &Path {
        self.files.path()
    }

    /// Nothing may show this.
    pub fn hide(&self, text: &str) {
        self.hidden.add(text);
    }

    /// Writes a secret of KV version 2 and hides its values; tells its version.
    #[track_caller]
    pub fn put(&self, path: &str, object: &str) -> u64 {
        self.hidden.add_json(object);
        self.server.put(path, object)
    }

    /// Lets T be a token with nothing but this policy, which gets this name.
    pub fn limited(&mut self, name: &str, policy: &str) {
        self.token = self.server.token_with(name, policy);
        self.credential("token", &self.token);
    }

    /// The requests so far, as `METHOD path`.
    pub fn log(&self) -> Vec<String> {
        self.proxy.log()
    }

    /// Those that are for secrets: neither logins nor questions about mounts and tokens.
    pub fn reads(&self) -> Vec<String> {
        let mut log = self.log();
        log.retain(|line| {
            let path = line.split(' ').nth(1).unwrap_or_default();
            !path.starts_with("sys/") && !path.starts_with("auth/")
        });
        log
    }

    /// Waits until a secret is asked for.
    #[track_caller]
    pub fn wait_for_read(&self) {
        self.proxy.wait_until(|seen| {
            seen.iter()
                .any(|seen| seen.request.target.starts_with("/v1/secret/"))
        });
    }

    /// Nothing has been asked of the server.
    #[track_caller]
    pub fn asked_nothing(&self) -> &Self {
        assert_eq!(self.log(), [""; 0], "requests");
        self
    }

    /// No secret of this test is in what a run said.
    #[track_caller]
    pub fn judge(&self, out: &Outcome) {
        self.hidden.judge(out, &self.proxy);
    }
}

/// One run to be arranged.
pub struct Fetch<'t> {
    scene: &'t Scene<'t>,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    uid: Option<u32>,
    through: Option<String>,
}

impl<'t> Fetch<'t> {
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

    /// As this user, without capabilities.
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// From a shell, in a mount namespace of its own, whose last words are `exec … "$@"`; the
    /// executable and its arguments are `$@`.
    pub fn through(mut self, script: &str) -> Self {
        self.through = Some(script.to_string());
        self
    }

    /// Runs to the end; no secret may show.
    #[track_caller]
    pub fn run(self) -> Outcome {
        let scene = self.scene;
        let out = match &self.through {
            Some(script) => self.in_shell(script),
            None => self.podinit().run(),
        };
        scene.judge(&out);
        out
    }

    /// Starts, to be watched and signalled.
    pub fn spawn(self) -> Watched<'t> {
        Watched {
            scene: self.scene,
            running: self.podinit().spawn(),
        }
    }

    fn podinit(&self) -> Podinit<'static> {
        let mut run = Podinit::new(&self.args).termination_log();
        for (name, value) in &self.env {
            run = run.env(name, value);
        }
        match self.uid {
            Some(uid) => run.uid(uid),
            None => run,
        }
    }

    fn in_shell(&self, script: &str) -> Outcome {
        let mut shell = command(["unshare", "-m", "sh", "-euc", script, "sh"]);
        shell
            .arg(binary())
            .args(&self.args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").expect("PATH is set"))
            .env(
                "PODINIT_TERMINATION_LOG",
                self.scene.file("termination", ""),
            )
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        let started = Instant::now();
        let done = shell.output().expect("unshare starts");
        let ended = Instant::now();
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8 from the run");
        let words: Vec<_> = self.args.iter().map(|arg| arg.to_string_lossy()).collect();
        Outcome {
            what: words.join(" "),
            command: "fetch-secret".to_string(),
            code: done.status.code().expect("an exit code"),
            stdout: text(done.stdout),
            stderr: text(done.stderr),
            started,
            ended,
            termination: None,
            trace: None,
        }
    }
}

/// A run under way.
pub struct Watched<'t> {
    scene: &'t Scene<'t>,
    running: Running,
}

impl Watched<'_> {
    /// Waits for a line on stderr that holds `part`.
    #[track_caller]
    pub fn line_with(&self, part: &str) -> String {
        self.running.line_with(part)
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
        self.scene.judge(&out);
        out
    }
}

/// The lines of a run that warn.
pub fn warnings(out: &Outcome) -> Vec<&str> {
    out.stderr
        .lines()
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

/// What a run printed, its lines sorted: in which order files are told is left open, and so is
/// the plural of one byte.
pub fn told(out: &Outcome) -> Vec<String> {
    let mut lines: Vec<_> = out
        .stdout
        .lines()
        .map(|line| line.replace(" 1 byte ", " 1 bytes "))
        .collect();
    lines.sort();
    lines
}

#[test]
#[should_panic(expected = "\"secret/data/app\" on stdout")]
fn a_secret_that_shows_is_found() {
    let scene = Scene::new();
    scene.hide("secret/data/app");
    scene.fs(["secret/app"]).run();
}
