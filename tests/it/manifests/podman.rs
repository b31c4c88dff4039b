//! podman as tests/env/install configures it: runc, and a store of its own below target/env.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;

use k8s_openapi::api::core::v1::Sysctl;

use crate::support::binary;

/// The longest that one podman command may take, in seconds; coreutils' timeout ends it then.
const LIMIT_SECONDS: &str = "60";

/// The images that the manifests name, built once for all tests.
static IMAGES: LazyLock<()> = LazyLock::new(build_images);

/// A podman command in the tests' own store.
pub fn podman<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    configured(&environment().join("containers.conf"), args)
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
    /// Starts playing `yaml`, whose Pod podman will call `pod`. Stands in for the kubelet in one thing podman 4.3
    /// leaves out: `sysctls` are set in the Pod's own namespaces.
    pub fn start(pod: &str, yaml: &str, sysctls: &[Sysctl]) -> Self {
        LazyLock::force(&IMAGES);
        let settings = (!sysctls.is_empty()).then(|| settings_with(sysctls));
        let conf = settings
            .as_ref()
            .map_or_else(environment, |folder| folder.path().to_path_buf());
        // A finished init container stays, to be asked about; no network but the Pod's own loopback.
        let kept = "io.podman.annotations.init.container.type=always";
        let args = [
            "play",
            "kube",
            "--quiet",
            "--network",
            "none",
            "--annotation",
            kept,
            "-",
        ];
        let mut child = configured(&conf.join("containers.conf"), args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("timeout is part of coreutils");
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        stdin
            .write_all(yaml.as_bytes())
            .expect("podman reads the manifest");
        drop(stdin);
        Self {
            pod: pod.to_string(),
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

/// The podman command with this containers.conf and the tests' store.
fn configured<'a>(conf: &Path, args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new("timeout");
    command.args([LIMIT_SECONDS, "podman"]).args(args);
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

/// Builds the tested binary's image with images/build, and stand-ins for the two images that only a registry has.
fn build_images() {
    let found = Command::new("podman").arg("--version").output();
    assert!(found.is_ok(), "podman is not here; `make test` installs it");
    let ldd = Command::new("ldd")
        .arg(binary())
        .output()
        .expect("ldd is part of libc");
    assert!(
        String::from_utf8_lossy(&ldd.stdout).contains("statically linked"),
        "an image FROM scratch needs a static binary: `make test` sets CARGO_BUILD_TARGET so"
    );
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(source.join("images/build"));
    command.arg(binary()).env("ENGINE", "podman");
    command.env("CONTAINERS_CONF", environment().join("containers.conf"));
    command.env(
        "CONTAINERS_STORAGE_CONF",
        environment().join("storage.conf"),
    );
    let output = command.output().expect("bash is here");
    assert!(
        output.status.success(),
        "images/build: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    for (image, folder, program) in [
        (
            "docker.elastic.co/elasticsearch/elasticsearch:9.4.0",
            "elasticsearch",
            "/bin/busybox",
        ),
        ("registry.k8s.io/pause:3.10", "pause", "/usr/bin/catatonit"),
    ] {
        let context = tempfile::tempdir().expect("a temporary folder");
        let context = context.path();
        let path = |path: &Path| path.to_str().expect("a UTF-8 path").to_string();
        for from in [
            path(&source.join("tests/env/images").join(folder).join(".")),
            program.to_string(),
        ] {
            let copied = Command::new("cp")
                .args(["-R", &from, &path(context)])
                .status()
                .expect("cp starts");
            assert!(
                copied.success(),
                "{from} could not be copied; `make test` installs it"
            );
        }
        say(["build", "--quiet", "--tag", image, &path(context)]);
    }
    // The first Pod makes podman build its own pause image; two at once would both try.
    let first = format!("first-{}", std::process::id());
    say(["pod", "create", "--network", "none", "--name", &first]);
    say(["pod", "rm", "--force", &first]);
}
