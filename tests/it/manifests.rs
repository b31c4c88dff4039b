//! manifests/: every file is checked against the API, against our own rules, against the real command line, and run.

mod arguments;
mod chart;
mod exit_codes;
pub mod files;
mod images;
mod kubelet;
mod kustomize;
mod patterns;
mod play;
mod podman;
mod rules;
mod secrets;

use std::path::Path;
use std::process::{Command, Output};

use files::{all, parse};

/// What a container breaks, and says so in its file's comment: file, container, rules. All else breaks nothing.
const DECLARED: &[(&str, &str, &[&str])] = &[
    ("patterns/adapter-metrics.yaml", "elasticsearch", KEYSTORE),
    (
        "patterns/ambassador-tls-vault.yaml",
        "elasticsearch",
        KEYSTORE,
    ),
    ("patterns/ambassador-tls.yaml", "elasticsearch", KEYSTORE),
    ("patterns/sidecar-logs.yaml", "elasticsearch", KEYSTORE),
    ("sysctl-daemonset.yaml", "raise-max-map-count", NODE_WIDE),
    ("sysctl-elasticsearch.yaml", "elasticsearch", KEYSTORE),
    (
        "sysctl-elasticsearch.yaml",
        "raise-max-map-count",
        NODE_WIDE,
    ),
];

/// Elasticsearch writes its keystore into its own config folder.
const KEYSTORE: &[&str] = &["read-only-root"];

/// What writing a node-wide key takes.
const NODE_WIDE: &[&str] = &[
    "privilege-escalation",
    "privileged",
    "run-as-non-root",
    "run-as-user",
];

/// The Kubernetes versions a file has to be valid for, unless its comment says since when it is.
const KUBERNETES: &[&str] = &["1.33", "1.34", "1.35", "1.36", "1.37"];

#[test]
fn every_file_is_valid_for_every_kubernetes_version() {
    let files = all();
    for version in KUBERNETES {
        let served = files.iter().filter(|file| since(file) <= *version);
        let output = validate(version, served.map(|file| file.path.as_path()));
        assert!(output.status.success(), "Kubernetes {version}: {output:?}");
    }
}

#[test]
fn a_newer_minimum_is_needed_where_it_is_claimed() {
    for file in all().iter().filter(|file| since(file) > KUBERNETES[0]) {
        let output = validate(KUBERNETES[0], [file.path.as_path()].into_iter());
        assert!(!output.status.success(), "{}", file.name());
    }
}

/// The first version that serves a file: `Kubernetes X.Y or later` in its comment, else the oldest.
fn since(file: &files::Manifest) -> &'static str {
    let comment = file.comment();
    let claims = |version: &&&str| comment.contains(&format!("Kubernetes {version} or later"));
    KUBERNETES.iter().find(claims).unwrap_or(&KUBERNETES[0])
}

#[test]
fn the_validator_refuses_an_unknown_field() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("bad.yaml");
    let bad = files::one("sysctl-pod-scope.yaml")
        .text
        .replace("restartPolicy:", "restartPolice:");
    std::fs::write(&path, bad).expect("the bad file is written");
    for version in KUBERNETES {
        let output = validate(version, [path.as_path()].into_iter());
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains("restartPolice"),
            "Kubernetes {version}: {said}"
        );
    }
}

#[test]
fn unknown_fields_and_kinds_are_refused() {
    let text = files::one("sysctl-pod-scope.yaml").text;
    let misspelt = parse(&text.replace("runAsNonRoot:", "runAsNonroot:")).err();
    assert!(misspelt.is_some_and(|error| error.contains("runAsNonroot")));
    let unlisted = parse(&text.replace("kind: Pod", "kind: Pot")).err();
    assert_eq!(unlisted.as_deref(), Some("no rules for kind \"Pot\""));
}

#[test]
fn every_file_breaks_only_what_it_declares() {
    for file in all() {
        let found = broken_by(&file);
        let declared = DECLARED.iter().filter(|(name, ..)| *name == file.name());
        let declared: Vec<(String, &str)> = declared
            .flat_map(|(_, container, rules)| {
                rules.iter().map(|rule| ((*container).to_string(), *rule))
            })
            .collect();
        assert_eq!(found, declared, "{}", file.name());
    }
}

#[test]
fn every_file_begins_with_a_comment_of_at_most_five_lines() {
    for file in all() {
        let lines = file
            .text
            .lines()
            .take_while(|line| line.starts_with('#'))
            .count();
        assert!(
            (1..=5).contains(&lines),
            "{} begins with {lines} lines of comment",
            file.name()
        );
    }
}

/// Runs kubernetes-validate.
fn validate<'a>(version: &str, paths: impl Iterator<Item = &'a Path>) -> Output {
    let mut command = tool("kubernetes-validate");
    command.args(["--strict", "--kubernetes-version", version]);
    command.args(paths).output().expect("it starts")
}

/// A program as tests/env/install has put it there.
fn tool(name: &str) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/env/venv/bin");
    let program = folder.join(name);
    assert!(
        program.is_file(),
        "{} is missing; `make test` installs it",
        program.display()
    );
    Command::new(program)
}

/// What a program has made of the files at this path: it must succeed, and the API must take it.
fn rendered_by(command: &mut Command, path: &Path) -> files::Manifest {
    let output = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", path.display());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("rendered.yaml");
    std::fs::write(&file, &text).expect("it is written");
    for version in KUBERNETES {
        let output = validate(version, [file.as_path()].into_iter());
        assert!(output.status.success(), "Kubernetes {version}: {output:?}");
    }
    files::rendered(path.to_path_buf(), text)
}

/// What the Pods of a manifest break: place and rule, sorted.
fn broken_by(file: &files::Manifest) -> Vec<(String, &'static str)> {
    let pods = file.pods().into_iter();
    let mut found: Vec<_> = pods.flat_map(|(_, spec)| rules::findings(spec)).collect();
    found.sort();
    found
}
