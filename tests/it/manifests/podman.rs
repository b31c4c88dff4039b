//! podman as tests/env/install configures it: runc, and a store of its own below target/env.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use k8s_openapi::api::core::v1::{Pod, Sysctl};

use super::files::containers;
use super::images;
use crate::support::pod::command;

/// The longest that one podman command may take, in seconds; coreutils' timeout ends it then.
const LIMIT_SECONDS: &str = "60";

/// A podman command in the tests' own store.
pub fn podman<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    configured(&[], &environment().join("containers.conf"), args)
}

/// podman, or what builds images with it, in the tests' own store.
pub fn with_store(command: &mut Command) -> &mut Command {
    configure(command, &environment().join("containers.conf"))
}

/// Runs a podman command that must succeed and returns its standard output.
pub fn say<'a>(args: impl IntoIterator<Item = &'a str>) -> String {
    let output = podman(args).output().expect("timeout is part of coreutils");
    assert!(
        output.status.success(),
        "podman: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("podman prints UTF-8")
}

/// A Pod made by `podman play kube`; dropping it removes it with its containers.
pub struct Played {
    pod: String,
    entrance: Vec<OsString>,
    child: Option<Child>,
    _settings: Option<tempfile::TempDir>,
}

/// What podman knows about a container; times are Unix nanoseconds.
pub struct State {
    pub status: String,
    pub exit_code: i32,
    pub started: i64,
    pub finished: i64,
}

impl Played {
    /// Starts playing `pod`. Stands in for the kubelet in one thing podman 4.3 leaves out: `sysctls` are set in the
    /// Pod's own namespaces. A Pod without the host's network has nothing but its own loopback.
    ///
    /// podman runs behind the words that enter a namespace, if there are any: what is the host's network to it is theirs.
    pub fn start_in(entrance: &[OsString], pod: &Pod) -> Self {
        let spec = pod.spec.as_ref().expect("a Pod has a spec");
        images::provide_pause();
        for container in containers(spec) {
            images::provide(container.image.as_deref().unwrap_or_default());
        }
        let network = if spec.host_network == Some(true) {
            "host"
        } else {
            "none"
        };
        let security = spec.security_context.as_ref();
        let sysctls = security.and_then(|it| it.sysctls.as_deref());
        let sysctls = sysctls.unwrap_or_default();
        let settings = (!sysctls.is_empty()).then(|| settings_with(sysctls));
        let conf = settings
            .as_ref()
            .map_or_else(environment, |folder| folder.path().to_path_buf());
        // A finished init container stays, to be asked about.
        let kept = "io.podman.annotations.init.container.type=always";
        let args = [
            "play",
            "kube",
            "--quiet",
            "--network",
            network,
            "--annotation",
            kept,
            "-",
        ];
        let mut child = configured(entrance, &conf.join("containers.conf"), args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("timeout is part of coreutils");
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        serde_json::to_writer(&mut stdin, pod)
            .expect("a Pod is JSON, JSON is YAML, and podman reads it");
        drop(stdin);
        Self {
            pod: pod.metadata.name.clone().expect("a Pod has a name"),
            entrance: entrance.to_vec(),
            child: Some(child),
            _settings: settings,
        }
    }

    /// True while an init container still runs.
    pub fn is_starting(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| child.try_wait().is_ok_and(|status| status.is_none()))
    }

    /// Waits until the app has started or an init container has failed.
    pub fn finish(&mut self) -> Output {
        let child = self.child.take().expect("a Pod is waited for once");
        child.wait_with_output().expect("podman ends")
    }

    /// Waits until the app has started; fails if it does not.
    pub fn expect_started(&mut self) {
        let output = self.finish();
        assert!(
            output.status.success(),
            "play kube: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// The name of one of this Pod's containers.
    pub fn container(&self, name: &str) -> String {
        format!("{}-{name}", self.pod)
    }

    /// Blocks until a container runs; the shell asks again and again, since before it is made podman knows no wait.
    pub fn wait_until_running(&self, container: &str) {
        let script = "for _ in {1..600}; do \
            [ \"$(podman inspect --type container --format '{{.State.Status}}' \"$0\" 2>/dev/null)\" != running ] || exit 0; \
            sleep 0.05; done; exit 1";
        let mut command = Command::new("bash");
        command.args(["-c", script, &self.container(container)]);
        let status = configure(&mut command, &environment().join("containers.conf")).status();
        assert!(
            status.expect("bash is here").success(),
            "{container} did not start"
        );
    }

    pub fn state(&self, container: &str) -> State {
        let format = "{{.State.Status}} {{.State.ExitCode}} {{.State.StartedAt.UnixNano}} {{.State.FinishedAt.UnixNano}}";
        let said = say([
            "inspect",
            "--type",
            "container",
            "--format",
            format,
            &self.container(container),
        ]);
        let words: Vec<&str> = said.split_whitespace().collect();
        let number = |at: usize| words[at].parse::<i64>().expect("podman prints a number");
        State {
            status: words[0].to_string(),
            exit_code: i32::try_from(number(1)).expect("an exit code"),
            started: number(2),
            finished: number(3),
        }
    }

    /// Runs a program in a container, as its user; it must succeed.
    pub fn exec(&self, container: &str, words: &[&str]) -> String {
        let output = self.try_exec(container, words);
        assert!(
            output.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("UTF-8 from the program")
    }

    /// The same, whatever comes of it.
    pub fn try_exec(&self, container: &str, words: &[&str]) -> Output {
        let container = self.container(container);
        let args = ["exec", &container].into_iter();
        let conf = environment().join("containers.conf");
        configured(&self.entrance, &conf, args.chain(words.iter().copied()))
            .output()
            .expect("timeout is part of coreutils")
    }

    /// What a container printed: standard output and standard error.
    pub fn logs(&self, container: &str) -> (String, String) {
        let output = podman(["logs", &self.container(container)])
            .output()
            .expect("podman starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (text(output.stdout), text(output.stderr))
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Removing the Pod ends the init container that podman waits for, and with it this child.
            remove(&self.pod);
            drop(child.wait());
        }
        remove(&self.pod);
    }
}

fn remove(pod: &str) {
    // Removing alone would do, but a pod whose processes are gone already goes ten times as fast.
    drop(podman(["pod", "kill", pod]).output());
    let output = podman(["pod", "rm", "--force", "--ignore", "--time", "0", pod]).output();
    if !output.is_ok_and(|output| output.status.success()) {
        eprintln!("could not remove the pod {pod}");
    }
}

fn environment() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/env")
}

/// The podman command with this containers.conf and the tests' store, behind the words that enter a namespace.
fn configured<'a>(
    entrance: &[OsString],
    conf: &Path,
    args: impl IntoIterator<Item = &'a str>,
) -> Command {
    let words = ["timeout", LIMIT_SECONDS, "podman"].map(OsString::from);
    let mut command = command(entrance.iter().chain(&words));
    command.args(args);
    configure(&mut command, conf);
    command
}

fn configure<'c>(command: &'c mut Command, conf: &Path) -> &'c mut Command {
    assert!(
        conf.is_file(),
        "{} is missing; `make test` writes it",
        conf.display()
    );
    command.env("CONTAINERS_CONF", conf);
    command.env(
        "CONTAINERS_STORAGE_CONF",
        environment().join("storage.conf"),
    )
}

/// The tests' containers.conf with these settings for every Pod it starts.
fn settings_with(sysctls: &[Sysctl]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let conf = fs::read_to_string(environment().join("containers.conf"))
        .expect("`make test` writes containers.conf");
    let list: Vec<String> = sysctls
        .iter()
        .map(|it| format!("\"{}={}\"", it.name, it.value))
        .collect();
    let line = format!("[containers]\ndefault_sysctls = [{}]", list.join(", "));
    fs::write(
        folder.path().join("containers.conf"),
        conf.replacen("[containers]", &line, 1),
    )
    .expect("it is written");
    folder
}
