//! manifests/: every file is checked against the API, against our own rules, against the real command line, and run.

mod arguments;
mod files;
mod play;
mod podman;
mod rules;

use std::path::Path;
use std::process::Command;

use files::{all, parse};

/// What a container breaks, and says so in its file's comment: file, container, rules. All else breaks nothing.
const DECLARED: &[(&str, &str, &[&str])] = &[
    ("sysctl-daemonset.yaml", "raise-max-map-count", NODE_WIDE),
    (
        "sysctl-elasticsearch.yaml",
        "elasticsearch",
        &["read-only-root"],
    ),
    (
        "sysctl-elasticsearch.yaml",
        "raise-max-map-count",
        NODE_WIDE,
    ),
];

/// What writing a node-wide key takes.
const NODE_WIDE: &[&str] = &[
    "privilege-escalation",
    "privileged",
    "run-as-non-root",
    "run-as-user",
];

/// The Kubernetes versions a file has to be valid for.
const KUBERNETES: &[&str] = &["1.33", "1.34", "1.35", "1.36", "1.37"];

#[test]
fn every_file_is_valid_for_every_kubernetes_version() {
    let files = all();
    for version in KUBERNETES {
        let output = validate(version, files.iter().map(|file| file.path.as_path()));
        assert!(output.status.success(), "Kubernetes {version}: {output:?}");
    }
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
        let mut found: Vec<(String, &str)> = file
            .pods()
            .into_iter()
            .flat_map(|(_, spec)| rules::findings(spec))
            .collect();
        found.sort();
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

/// Runs kubernetes-validate as tests/env/install has put it there.
fn validate<'a>(version: &str, paths: impl Iterator<Item = &'a Path>) -> std::process::Output {
    let program =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/env/venv/bin/kubernetes-validate");
    Command::new(&program)
        .args(["--strict", "--kubernetes-version", version])
        .args(paths)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; `make test` installs it", program.display()))
}
