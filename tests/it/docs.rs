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

/// A folder with every file that the examples name, and `podinit` itself.
fn workplace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| folder.path().join(name);
    std::os::unix::fs::symlink(binary(), at("podinit")).expect("a link");
    for (name, text) in [
        ("sysctl.conf", "# an example\nvm.max_map_count >= 1\n"),
        ("password", "a-password"),
        ("rid", "a-role-id"),
        ("sid", "a-secret-id"),
        ("jwt", "a.service-account.token"),
        ("app.conf.j2", "x={{ secret(\"secret/app\").password }}\n"),
        (".vault-token", "a-token"),
    ] {
        fs::write(at(name), text).expect("a file");
    }
    fs::create_dir(at("secrets")).expect("a folder");
    fs::copy("/etc/ssl/certs/ca-certificates.crt", at("ca.crt")).expect("the system's roots");
    folder
}

/// Runs a line of shell with `podinit` in the path. Nothing is changed, and no server is waited for.
fn run_example(line: &str) {
    let folder = workplace();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", line])
        .current_dir(folder.path())
        .env_clear();
    shell
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .env("HOME", folder.path())
        .env("PODINIT_DRY_RUN", "true")
        .env("PODINIT_TIMEOUT", "200ms");
    if line.contains("--role app") {
        // Where a Pod has its service account's token.
        shell.env("PODINIT_JWT_FILE", folder.path().join("jwt"));
    }
    let out = shell.output().expect("sh starts");
    assert_accepted(
        line,
        out.status.code(),
        &String::from_utf8_lossy(&out.stderr),
    );
}

/// The command lines of a text, those that go on behind a backslash made one.
fn command_lines(text: &str) -> Vec<String> {
    text.replace("\\\n", " ")
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("podinit "))
        .map(str::to_string)
        .collect()
}

#[test]
fn every_shell_example_is_accepted() {
    let mut examples = Vec::new();
    for block in blocks(&page("README.md"), "sh") {
        examples.extend(command_lines(&block));
    }
    assert!(examples.len() >= 9, "{examples:?}");
    for (command, least) in [("sysctl", 5), ("fetch-secret", 3), ("wait-for", 5)] {
        let help = help(command);
        let (_, after) = help.split_once("Examples:\n").expect("examples");
        let (shell, _) = after.split_once("In a Pod").expect("a Pod");
        let found = command_lines(shell);
        assert!(found.len() >= least, "{found:?}");
        examples.extend(found);
    }
    for example in &examples {
        run_example(example);
    }
}

/// The YAML behind "In a Pod" of a command's help.
fn pod_in_help(command: &str) -> Value {
    let help = help(command);
    let lines: Vec<&str> = help
        .lines()
        .skip_while(|line| !line.starts_with("In a Pod"))
        .skip(1)
        .take_while(|line| line.starts_with("  ") || line.is_empty())
        .collect();
    serde_saphyr::from_str(&lines.join("\n")).unwrap_or_else(|error| panic!("{error}: {lines:?}"))
}

#[test]
fn every_yaml_example_is_accepted() {
    let mut lists = Vec::new();
    for block in blocks(&page("README.md"), "yaml") {
        let document: Value =
            serde_saphyr::from_str(&block).unwrap_or_else(|error| panic!("{error}: {block}"));
        args_lists(&document, &mut lists);
    }
    for command in ["sysctl", "fetch-secret", "wait-for"] {
        args_lists(&pod_in_help(command), &mut lists);
        assert!(
            lists.iter().filter(|args| args[0] == command).count() >= 2,
            "{command}: {lists:?}"
        );
    }
    for args in lists {
        let folder = workplace();
        let at = |name: &str| folder.path().join(name).display().to_string();
        // What the Pod would mount lies elsewhere here.
        let mut args: Vec<String> = args
            .iter()
            .map(|arg| {
                arg.replace("--sys-root=/host-sys", "--sys-root=/sys")
                    .replace("--dir=/secrets", &format!("--dir={}", at("secrets")))
                    .replace("=/db/password", &format!("={}", at("password")))
                    .replace("=/secrets/db", &format!("={}", at("password")))
                    .replace(
                        "--ca-file=/ca/ca.crt",
                        &format!("--ca-file={}", at("ca.crt")),
                    )
            })
            .collect();
        if args[0] == "fetch-secret" {
            args.push(format!("--jwt-file={}", at("jwt")));
        }
        let account = service_account();
        if args[0] == "wait-for" {
            args.push(format!(
                "--service-account-dir={}",
                account.path().display()
            ));
        }
        let out = Podinit::new(&args)
            .env("PODINIT_DRY_RUN", "true")
            .env("PODINIT_TIMEOUT", "200ms")
            .run();
        assert_accepted(&args.join(" "), Some(out.code), &out.stderr);
    }
}

/// The tables of README.md are those of the code, which `--help` prints.
#[test]
fn the_tables_of_logins_and_formats_are_those_of_help() {
    let help = help("fetch-secret");
    let readme = page("README.md");
    let mut checked = 0;
    for heading in ["Login methods and what they need:", "Formats:"] {
        let (_, table) = help.split_once(heading).expect("the table");
        for row in table.lines().skip(1).take_while(|line| !line.is_empty()) {
            let (name, about) = row.trim().split_once(' ').expect("a name and words");
            let row = format!("| `{name}` | {} |", about.trim());
            assert!(readme.contains(&row), "README.md lacks {row}");
            checked += 1;
        }
    }
    assert_eq!(checked, 12);
}

/// The table of targets is that of the code: what each is ready by, and an example that is one.
#[test]
fn the_table_of_targets_is_that_of_help() {
    let help = help("wait-for");
    let readme = page("README.md");
    let (_, table) = help
        .split_once("Targets, and when they are ready:\n")
        .expect("the table");
    let rows: Vec<(&str, &str)> = table
        .lines()
        .take_while(|line| !line.is_empty())
        .map(|line| line.trim().split_once(' ').expect("an example and words"))
        .collect();
    assert_eq!(rows.len(), 17);
    for (example, about) in rows {
        let row = format!("| `{example}` | {} |", about.trim());
        assert!(readme.contains(&row), "README.md lacks {row}");
        Podinit::new(["wait-for", "--dry-run", example])
            .env("PODINIT_SERVICE_ACCOUNT_DIR", service_account().path())
            .run()
            .succeeds();
    }
}

/// What Kubernetes mounts into a Pod.
fn service_account() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary directory");
    fs::write(folder.path().join("token"), "a.service-account.token").expect("a token");
    let roots = "/etc/ssl/certs/ca-certificates.crt";
    fs::copy(roots, folder.path().join("ca.crt")).expect("the system's roots");
    folder
}

/// Words that begin with two dashes in README.md and belong to other programs.
const FOREIGN_FLAGS: &[&str] = &["--allowed-unsafe-sysctls"];

#[test]
fn every_flag_in_the_readme_exists() {
    let known = [
        help("sysctl"),
        help("fetch-secret"),
        help("wait-for"),
        Podinit::new(["--help"]).run().stdout,
    ]
    .concat();
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

/// Whether a line of `--help` begins the description of a flag: indented by six, `--` or `-x, --`.
fn is_flag(line: &str) -> bool {
    let indent = line.len() - line.trim_start().len();
    indent <= 6 && line.trim_start().starts_with('-')
}

#[test]
fn every_flag_has_its_variable() {
    let mut checked = 0;
    for command in ["sysctl", "fetch-secret", "wait-for", "completions", "man"] {
        let help = help(command);
        let mut lines = help
            .lines()
            .skip_while(|line| *line != "Options:")
            .take_while(|line| !line.starts_with("Examples:"))
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
    assert!(checked >= 50, "only {checked} flags found");
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
        (code.starts_with(|first: char| first.is_ascii_digit()))
            .then(|| (code.to_string(), meaning.to_string()))
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
