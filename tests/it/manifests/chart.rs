//! charts/podinit-lib, rendered by Helm in a chart that uses it: what its named templates give is checked as a manifest
//! is, and their arguments are taken by the real command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use k8s_openapi::api::core::v1::Container;
use tempfile::TempDir;

use super::arguments::dry_run;
use super::files::Manifest;
use super::{NODE_WIDE, broken_by, rendered_by, tool};

/// The using chart of tests/env/charts with the library in it, as `helm dependency build` would put it there.
struct Consumer {
    folder: TempDir,
}

impl Consumer {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR"));
        let copy = |from: &str, to: PathBuf| {
            let copied = Command::new("cp")
                .arg("-R")
                .arg(source.join(from))
                .arg(to)
                .status();
            assert!(copied.expect("cp starts").success(), "{from}");
        };
        copy("tests/env/charts/consumer", folder.path().to_path_buf());
        let charts = folder.path().join("consumer/charts");
        fs::create_dir(&charts).expect("a folder");
        copy("charts/podinit-lib", charts);
        Self { folder }
    }

    fn chart(&self) -> PathBuf {
        self.folder.path().join("consumer")
    }

    /// Helm, which keeps what it keeps below this folder.
    fn helm(&self, words: &[&str], settings: &[&str]) -> Command {
        let mut helm = tool("helm");
        helm.args(words)
            .arg(self.chart())
            .env("HOME", self.folder.path());
        for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            helm.env(name, self.folder.path().join("helm"));
        }
        for setting in settings {
            helm.args(["--set-json", setting]);
        }
        helm
    }

    fn render(&self, settings: &[&str]) -> Manifest {
        rendered_by(
            &mut self.helm(&["template", "app"], settings),
            &self.chart(),
        )
    }

    fn refuse(&self, setting: &str) -> String {
        let output: Output = self
            .helm(&["template", "app"], &[setting])
            .output()
            .expect("Helm starts");
        assert!(!output.status.success(), "{setting} is accepted");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

fn init<'a>(manifest: &'a Manifest, name: &str) -> &'a Container {
    let mut init = manifest.pod("app").init_containers.iter().flatten();
    init.find(|it| it.name == name).expect("the init container")
}

fn node_wide() -> Vec<(String, &'static str)> {
    let place = |rule: &&'static str| ("podinit-sysctl".to_string(), *rule);
    NODE_WIDE.iter().map(place).collect()
}

#[test]
fn helm_finds_no_fault() {
    let consumer = Consumer::new();
    let output = consumer
        .helm(&["lint", "--strict", "--with-subcharts"], &[])
        .output();
    let output = output.expect("Helm starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("2 chart(s) linted, 0 chart(s) failed"),
        "{said}"
    );
}

#[test]
fn the_templates_give_the_least_privilege() {
    let rendered = Consumer::new().render(&[]);
    assert_eq!(broken_by(&rendered), node_wide());
    for (name, args) in [
        (
            "podinit-sysctl",
            &["sysctl", "vm.max_map_count>=262144"][..],
        ),
        (
            "podinit-fetch-secret",
            &[
                "fetch-secret",
                "--dir=/secrets",
                "--require-tmpfs",
                "--addr=https://vault.vault:8200",
                "--auth=kubernetes",
                "--role=app",
                "--jwt-file=/token/token",
                "--ca-file=/ca/ca.crt",
                "secret/app",
                "db.json=secret/db",
            ],
        ),
    ] {
        let container = init(&rendered, name);
        assert_eq!(container.args.as_deref().unwrap_or_default(), args);
        let code = dry_run(container).status.code();
        assert!(
            code.is_some_and(|code| [0, 69, 77].contains(&code)),
            "{name}: {code:?}"
        );
    }
}

#[test]
fn what_only_reads_needs_no_privilege() {
    let rendered = Consumer::new().render(&[
        "sysctl.privileged=false",
        r#"sysctl.args=["--wait","--timeout=10m"]"#,
    ]);
    assert_eq!(broken_by(&rendered), []);
    let args = init(&rendered, "podinit-sysctl").args.clone();
    let expected = [
        "sysctl",
        "--wait",
        "--timeout=10m",
        "vm.max_map_count>=262144",
    ];
    assert_eq!(args.unwrap_or_default(), expected);
}

#[test]
fn every_option_arrives() {
    let rendered = Consumer::new().render(&[
        r#"sysctl={"name":"raise","settings":["net.ipv4.tcp_rmem=4096 \"x\" 9"],"env":[{"name":"PODINIT_LOG_FORMAT","value":"json"}]}"#,
        r#"fetchSecret.dir="/keys""#,
        r#"fetchSecret.image="registry.example/podinit/podinit:1""#,
        r#"fetchSecret.resources={"requests":{"cpu":"1m","memory":"9Mi"},"limits":{"memory":"9Mi"}}"#,
        r#"fetchSecret.args=["--timeout=9m"]"#,
    ]);
    let sysctl = init(&rendered, "raise");
    assert_eq!(
        sysctl.args.as_deref().unwrap_or_default()[1],
        "net.ipv4.tcp_rmem=4096 \"x\" 9"
    );
    let variable = &sysctl.env.as_deref().expect("variables")[0];
    assert_eq!(
        (&*variable.name, variable.value.as_deref()),
        ("PODINIT_LOG_FORMAT", Some("json"))
    );
    let secret = init(&rendered, "podinit-fetch-secret");
    assert_eq!(
        secret.image.as_deref(),
        Some("registry.example/podinit/podinit:1")
    );
    let args = secret.args.as_deref().expect("arguments");
    assert!(args.contains(&"--dir=/keys".to_string()), "{args:?}");
    assert!(args.contains(&"--timeout=9m".to_string()), "{args:?}");
    let mounts = secret.volume_mounts.iter().flatten();
    let paths: Vec<_> = mounts.map(|mount| &*mount.mount_path).collect();
    assert_eq!(paths, ["/keys", "/token", "/ca"]);
    let limits = secret.resources.as_ref().and_then(|it| it.limits.as_ref());
    assert_eq!(limits.expect("limits")["memory"].0, "9Mi");
}

#[test]
fn an_unknown_or_a_missing_option_is_an_error() {
    let consumer = Consumer::new();
    for (setting, message) in [
        (
            "sysctl.setings=[]",
            r#"podinit-lib.sysctl knows no option "setings""#,
        ),
        (
            "sysctl.settings=[]",
            r#"podinit-lib.sysctl needs the option "settings""#,
        ),
        (
            r#"fetchSecret.rol="x""#,
            r#"podinit-lib.fetchSecret knows no option "rol""#,
        ),
        (
            r#"fetchSecret.volume="""#,
            r#"podinit-lib.fetchSecret needs the option "volume""#,
        ),
        (
            "fetchSecret.secrets=[]",
            r#"podinit-lib.fetchSecret needs the option "secrets""#,
        ),
    ] {
        let said = consumer.refuse(setting);
        assert!(said.contains(message), "{setting}: {said}");
    }
}

/// The library's README names every option that a template knows, and no other.
#[test]
fn the_readme_lists_the_options() {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/podinit-lib");
    let readme = fs::read_to_string(chart.join("README.md")).expect("a README");
    let consumer = Consumer::new();
    for (template, values) in [("sysctl", "sysctl"), ("fetchSecret", "fetchSecret")] {
        let said = consumer.refuse(&format!("{values}.nope=1"));
        let (_, known) = said.split_once("it knows ").expect("the list");
        let mut known: Vec<&str> = known
            .lines()
            .next()
            .unwrap_or_default()
            .split(", ")
            .collect();
        known.sort_unstable();
        let rows = readme.lines().filter(|line| line.starts_with("| `"));
        let mut listed: Vec<&str> = rows
            .filter_map(|row| {
                let cells: Vec<&str> = row.split(" | ").collect();
                let of = cells[1].trim_matches('`');
                (of == "both" || of == template).then_some(cells[0])
            })
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
            .collect();
        listed.sort_unstable();
        assert_eq!(listed, known, "{template}");
    }
}
