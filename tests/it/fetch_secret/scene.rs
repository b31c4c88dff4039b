//! Where a test of `podinit fetch-secret` takes place: a server, a recording proxy before it, a
//! token, a volume; and the runs, each of which is searched for every secret of the test.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::support::hidden::Hidden;
use crate::support::running::Running;
use crate::support::volume::Volume;
use crate::support::wire::Request;
use crate::support::{OpenBao, Outcome, Podinit, Proxy, Reply, furniture};

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
            podinit: Podinit::new(["fetch-secret", "-vv"]).termination_log(),
        }
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

/// One run to be arranged, which may show none of its scene's secrets.
pub struct Fetch<'t> {
    scene: &'t Scene<'t>,
    podinit: Podinit<'static>,
}

impl<'t> Fetch<'t> {
    fn with(self, arrange: impl FnOnce(Podinit<'static>) -> Podinit<'static>) -> Self {
        Self {
            podinit: arrange(self.podinit),
            ..self
        }
    }

    /// As `Podinit::args`.
    pub fn args<I>(self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.with(|podinit| podinit.args(args))
    }

    /// As `Podinit::env`.
    pub fn env(self, name: &str, value: impl Into<OsString>) -> Self {
        self.with(|podinit| podinit.env(name, value))
    }

    /// As `Podinit::uid`.
    pub fn uid(self, uid: u32) -> Self {
        self.with(|podinit| podinit.uid(uid))
    }

    /// As `Podinit::through`.
    pub fn through(self, script: &str) -> Self {
        self.with(|podinit| podinit.through(script))
    }

    /// Runs to the end; no secret may show.
    #[track_caller]
    pub fn run(self) -> Outcome {
        let out = self.podinit.run();
        self.scene.judge(&out);
        out
    }

    /// Starts, to be watched and signalled.
    pub fn spawn(self) -> Watched<'t> {
        Watched {
            scene: self.scene,
            running: self.podinit.spawn(),
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
