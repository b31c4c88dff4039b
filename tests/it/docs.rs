//! README.md and `--help` say nothing that the real command line would not do.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::support::{Podinit, binary};

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn help(command: &str) -> String {
    Podinit::new([command, "--help"]).run().stdout
}

/// The content of every fenced block of a language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(fence) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if fence == language {
                found.push(body.join("\n"));
            }
        }
    }
    found
}

/// Every `args` list of a container that runs podinit, wherever it stands in the document.
fn args_lists(document: &Value, found: &mut Vec<Vec<String>>) {
    match document {
        Value::Object(fields) => {
            let runs_podinit = fields
                .get("image")
                .and_then(Value::as_str)
                .is_some_and(|image| image.contains("podinit"));
            if let (true, Some(Value::Array(args))) = (runs_podinit, fields.get("args")) {
                found.push(
                    args.iter()
                        .filter_map(Value::as_str)
                        .map(str::to_string)
                        .collect(),
                );
            }
            fields.values().for_each(|value| args_lists(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| args_lists(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The command line accepts it: whatever the kernel says of it, it is no usage error.
fn assert_accepted(what: &str, code: Option<i32>, stderr: &str) {
    assert!(
        code.is_some_and(|code| code != 64 && code < 128),
        "{what}: {code:?} {stderr}"
    );
}

/// Runs a line of shell with `podinit` in the path, in a folder with the file the examples name.
fn run_example(line: &str) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    std::os::unix::fs::symlink(binary(), folder.path().join("podinit")).expect("a link");
    fs::write(
        folder.path().join("sysctl.conf"),
        "# an example\nvm.max_map_count >= 1\n",
    )
    .expect("a file");
    fs::create_dir(folder.path().join("host-sys")).expect("a folder");
    let out = Command::new("sh")
        .args(["-c", line])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .env("PODINIT_DRY_RUN", "true")
        .output()
        .expect("sh starts");
    assert_accepted(
        line,
        out.status.code(),
        &String::from_utf8_lossy(&out.stderr),
    );
}

#[test]
fn every_shell_example_is_accepted() {
    let mut examples: Vec<String> = Vec::new();
    for block in blocks(&page("README.md"), "sh") {
        examples.extend(block.lines().map(str::to_string));
    }
    assert!(examples.len() >= 5, "{examples:?}");
    let in_help: Vec<String> = help("sysctl")
        .lines()
        .filter_map(|line| {
            line.strip_prefix("  podinit ")
                .map(|rest| format!("podinit {rest}"))
        })
        .collect();
    assert!(in_help.len() >= 5, "{in_help:?}");
    for example in examples.iter().chain(&in_help) {
        assert!(example.starts_with("podinit "), "{example}");
        run_example(example);
    }
}

#[test]
fn every_yaml_example_is_accepted() {
    let mut lists = Vec::new();
    for block in blocks(&page("README.md"), "yaml") {
        let document: Value =
            serde_saphyr::from_str(&block).unwrap_or_else(|error| panic!("{error}: {block}"));
        args_lists(&document, &mut lists);
    }
    assert!(!lists.is_empty());
    let help = help("sysctl");
    let in_help: Vec<&str> = help
        .lines()
        .skip_while(|line| !line.starts_with("In a Pod"))
        .skip(1)
        .take_while(|line| line.starts_with("  ") || line.is_empty())
        .collect();
    let document: Value = serde_saphyr::from_str(&in_help.join("\n")).expect("YAML in --help");
    let before = lists.len();
    args_lists(&document, &mut lists);
    assert_eq!(lists.len() - before, 3, "{in_help:?}");
    for args in lists {
        // The hostPath that the Pod would mount is the node's own sysfs here.
        let args: Vec<String> = args
            .iter()
            .map(|arg| arg.replace("--sys-root=/host-sys", "--sys-root=/sys"))
            .collect();
        let out = Podinit::new(&args).args(["--dry-run"]).run();
        assert_accepted(&args.join(" "), Some(out.code), &out.stderr);
    }
}

/// Words that begin with two dashes in README.md and belong to other programs.
const FOREIGN_FLAGS: &[&str] = &["--allowed-unsafe-sysctls"];

#[test]
fn every_flag_in_the_readme_exists() {
    let known = [help("sysctl"), Podinit::new(["--help"]).run().stdout].concat();
    let readme = page("README.md");
    let flags: BTreeSet<&str> = readme
        .split(|character: char| !(character.is_ascii_alphanumeric() || character == '-'))
        .filter(|word| word.len() > 2 && word.starts_with("--") && word.as_bytes()[2] != b'-')
        .filter(|word| !FOREIGN_FLAGS.contains(word))
        .collect();
    assert!(flags.len() >= 8, "{flags:?}");
    for flag in flags {
        assert!(
            known
                .split_whitespace()
                .any(|word| word == flag || word.starts_with(&format!("{flag}="))),
            "{flag}"
        );
    }
}

/// Whether a line of `--help` begins the description of a flag.
fn is_flag(line: &str) -> bool {
    let word = line.trim_start();
    word.starts_with("--")
        || (word.starts_with('-')
            && word.as_bytes().get(2) != Some(&b' ')
            && !word.starts_with("- "))
}

#[test]
fn every_flag_has_its_variable() {
    let mut checked = 0;
    for command in ["sysctl", "completions", "man"] {
        let help = help(command);
        let mut lines = help
            .lines()
            .skip_while(|line| *line != "Options:")
            .peekable();
        while let Some(line) = lines.next() {
            let Some(flag) = line
                .trim_start()
                .trim_start_matches("-v, ")
                .trim_start_matches("-q, ")
                .strip_prefix("--")
            else {
                continue;
            };
            let name = flag.split([' ', '.', '=', '[']).next().unwrap_or_default();
            let mut body = String::new();
            while let Some(line) = lines.next_if(|line| !is_flag(line)) {
                body.push_str(line);
            }
            let variable = format!("[env: PODINIT_{}]", name.to_uppercase().replace('-', "_"));
            assert!(
                body.contains(&variable),
                "--{name} of {command} has no {variable}: {body}"
            );
            checked += 1;
        }
    }
    assert!(checked >= 25, "only {checked} flags found");
}

#[test]
fn the_table_of_exit_codes_is_that_of_help() {
    let rows = |text: &str,
                between: &dyn Fn(&str) -> Option<(String, String)>|
     -> Vec<(String, String)> { text.lines().filter_map(between).collect() };
    let readme = rows(&page("README.md"), &|line| {
        let cells: Vec<&str> = line
            .strip_prefix("| ")?
            .strip_suffix(" |")?
            .split(" | ")
            .collect();
        let [code, meaning] = cells[..] else {
            return None;
        };
        (code != "code").then(|| (code.to_string(), meaning.to_string()))
    });
    let help = Podinit::new(["--help"]).run().stdout;
    let (_, table) = help.split_once("Exit codes:\n").expect("a table in --help");
    let in_help = rows(table, &|line| {
        let (code, meaning) = line.trim().split_once("  ")?;
        Some((code.to_string(), meaning.to_string()))
    });
    assert_eq!(readme, in_help);
}

#[test]
fn every_link_leads_somewhere() {
    let mut checked = 0;
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
    ] {
        let text = page(name);
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if link.starts_with("https://") {
                continue;
            }
            assert!(
                Path::new(env!("CARGO_MANIFEST_DIR")).join(link).exists(),
                "{name} links to {link}"
            );
            checked += 1;
        }
    }
    assert!(checked >= 8, "only {checked} links found");
}

/// The message that README.md shows is the one podinit prints.
#[test]
fn the_example_message_is_real() {
    let pod = super::support::Pod::proc_sys_read_only();
    let out = Podinit::new(["sysctl", "vm.max_map_count>=2147483647"])
        .inside(&pod)
        .termination_log()
        .run();
    out.ends_with(77);
    let said = out.termination().replace("2147483647", "262144");
    let readme = page("README.md");
    assert!(
        readme.contains(said.trim_end()),
        "README.md does not show:\n{said}"
    );
}
