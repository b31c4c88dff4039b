//! README.md, docs/ and `--help` say nothing that the real command line would not do.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde_json::Value;

use super::manifests::files::{Object, all, containers, one, parse, typed};
use super::support::{Podinit, binary};

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The pages whose YAML has to hold: README.md and those of docs/.
fn pages() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut pages = vec!["README.md".to_string()];
    for entry in fs::read_dir(folder).expect("docs/ is there") {
        let name = entry.expect("an entry of docs/").file_name();
        pages.push(format!("docs/{}", name.to_string_lossy()));
    }
    pages.sort();
    pages
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
    for (command, least) in [("sysctl", 5), ("fetch-secret", 3)] {
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
    for block in pages().iter().flat_map(|name| blocks(&page(name), "yaml")) {
        let document: Value =
            serde_saphyr::from_str(&block).unwrap_or_else(|error| panic!("{error}: {block}"));
        args_lists(&document, &mut lists);
    }
    for command in ["sysctl", "fetch-secret"] {
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
                if arg.starts_with("--timeout=") {
                    return "--timeout=200ms".to_string();
                }
                arg.replace("--sys-root=/host-sys", "--sys-root=/sys")
                    .replace("--dir=/secrets", &format!("--dir={}", at("secrets")))
                    .replace("--dir=/tls", &format!("--dir={}", at("secrets")))
                    .replace(
                        "--jwt-file=/token/token",
                        &format!("--jwt-file={}", at("jwt")),
                    )
                    .replace(
                        "--ca-file=/ca/ca.crt",
                        &format!("--ca-file={}", at("ca.crt")),
                    )
            })
            .collect();
        let has_token = args.iter().any(|arg| arg.starts_with("--jwt-file="));
        if args[0] == "fetch-secret" && !has_token {
            args.push(format!("--jwt-file={}", at("jwt")));
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

/// Words that begin with two dashes in README.md and belong to other programs.
const FOREIGN_FLAGS: &[&str] = &["--allowed-unsafe-sysctls"];

#[test]
fn every_flag_in_the_readme_exists() {
    let known = [
        help("sysctl"),
        help("fetch-secret"),
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
    for command in ["sysctl", "fetch-secret", "completions", "man"] {
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
    let others = [
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
    ];
    let pages = pages().into_iter().chain(others.map(String::from));
    for name in pages {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&name);
        let folder = path.parent().expect("a folder");
        let text = page(&name);
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if link.starts_with("https://") {
                continue;
            }
            assert!(folder.join(link).exists(), "{name} links to {link}");
            checked += 1;
        }
    }
    assert!(checked >= 8, "only {checked} links found");
}

/// A block of YAML as the API reads it: whole objects, or a part of a Pod's or a Job's spec.
enum Part {
    Objects(Vec<Object>),
    Pod(Box<PodSpec>),
    Job(Box<JobSpec>),
}

fn part(block: &str) -> Part {
    let document: Value =
        serde_saphyr::from_str(block).unwrap_or_else(|error| panic!("{error}: {block}"));
    let read = if document.get("kind").is_some() {
        parse(block).map(Part::Objects)
    } else if document.get("podFailurePolicy").is_some() {
        // A Job's spec has a template, and these lines are not about it.
        let mut document = document;
        document["template"] = Value::Object(serde_json::Map::new());
        typed(document).map(Part::Job)
    } else {
        typed(document).map(Part::Pod)
    };
    read.unwrap_or_else(|error| panic!("{error}: {block}"))
}

#[test]
fn every_yaml_example_is_of_the_api() {
    let mut found = 0;
    for block in pages().iter().flat_map(|name| blocks(&page(name), "yaml")) {
        match part(&block) {
            Part::Objects(objects) => assert!(!objects.is_empty(), "{block}"),
            Part::Pod(spec) => assert!(containers(&spec).next().is_some(), "{block}"),
            Part::Job(_) => {}
        }
        found += 1;
    }
    assert!(found >= 6, "only {found} examples found");
}

/// The init containers of a page's examples.
fn shown(name: &str) -> Vec<Container> {
    let parts = blocks(&page(name), "yaml");
    let specs = parts.iter().filter_map(|block| match part(block) {
        Part::Pod(spec) => Some(spec),
        Part::Objects(_) | Part::Job(_) => None,
    });
    specs
        .flat_map(|spec| spec.init_containers.unwrap_or_default())
        .collect()
}

/// What docs/patterns.md shows of podinit stands in a manifest, word for word.
#[test]
fn the_patterns_are_those_of_the_manifests() {
    let manifests = all();
    let ours: Vec<&Container> = manifests
        .iter()
        .flat_map(|file| file.pods())
        .flat_map(|(_, spec)| containers(spec))
        .collect();
    let shown = shown("docs/patterns.md");
    assert!(shown.len() >= 4, "{shown:?}");
    for container in shown {
        let same = ours.iter().find(|it| it.name == container.name);
        let same = same.unwrap_or_else(|| panic!("no manifest has {}", container.name));
        assert_eq!(same.image, container.image, "{}", container.name);
        assert_eq!(same.restart_policy, container.restart_policy);
        if container
            .image
            .is_some_and(|image| image.contains("podinit"))
        {
            assert_eq!(same.args, container.args);
        }
    }
    let text = page("docs/patterns.md");
    for file in manifests
        .iter()
        .filter(|file| file.name().starts_with("patterns/"))
    {
        let link = format!("](../manifests/{})", file.name());
        assert!(
            text.contains(&link),
            "docs/patterns.md leaves {} out",
            file.name()
        );
    }
}

/// The rules that docs/exit-codes.md shows are those that the tests run.
#[test]
fn the_rules_on_exit_codes_are_those_of_the_manifest() {
    let manifest = one("exit-code-rules.yaml");
    let spec = manifest.pod("exit-code-rules");
    let init = &spec.init_containers.as_deref().expect("init containers")[0];
    let shown = shown("docs/exit-codes.md");
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].restart_policy, init.restart_policy);
    assert_eq!(shown[0].restart_policy_rules, init.restart_policy_rules);
    let policies: Vec<_> = blocks(&page("docs/exit-codes.md"), "yaml")
        .iter()
        .filter_map(|block| match part(block) {
            Part::Job(job) => job.pod_failure_policy,
            Part::Objects(_) | Part::Pod(_) => None,
        })
        .collect();
    let job = manifest.objects.iter().find_map(|object| match object {
        Object::Job(job) => job.spec.as_ref(),
        _ => None,
    });
    assert_eq!(
        policies.first(),
        job.expect("a Job").pod_failure_policy.as_ref()
    );
    assert_eq!(policies.len(), 1);
}

#[test]
fn the_table_of_docs_is_that_of_help() {
    let help = Podinit::new(["--help"]).run().stdout;
    let (_, table) = help.split_once("Exit codes:\n").expect("a table in --help");
    let mut rows = 0;
    for (code, meaning) in table.lines().map_while(|line| line.trim().split_once("  ")) {
        let cells = page("docs/exit-codes.md");
        let found = cells.lines().any(|line| {
            line.starts_with(&format!("| {code} | "))
                && line.contains(&format!(" | {} | ", meaning.trim()))
        });
        assert!(found, "docs/exit-codes.md lacks {code}: {meaning}");
        rows += 1;
    }
    assert_eq!(rows, 10);
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
