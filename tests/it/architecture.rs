//! The rules of ARCHITECTURE.md that no compiler checks.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file: its path below `src`, its code without unit tests and comments, and all of it.
struct Source {
    path: String,
    code: String,
    whole: String,
}

fn sources() -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources: Vec<Source> = files(&src)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let whole = fs::read_to_string(&path).expect("a source file is readable");
            let relative = path.strip_prefix(&src).expect("it lies below src");
            Source {
                path: relative.display().to_string(),
                code: code_of(&whole),
                whole,
            }
        })
        .collect();
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(sources.len() > 20, "only {} files found", sources.len());
    sources
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .expect("a folder is readable")
        .map(|entry| entry.expect("an entry").path())
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

fn code_of(whole: &str) -> String {
    let end = whole.find("#[cfg(test)]\nmod tests").unwrap_or(whole.len());
    let end = whole.find("#[cfg(test)]\n#[expect").unwrap_or(end).min(end);
    whole[..end]
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Files that are tests, whole.
fn is_tests(path: &str) -> bool {
    path.ends_with("/tests.rs")
}

fn holders_of(word: &str) -> Vec<String> {
    sources()
        .into_iter()
        .filter(|source| !is_tests(&source.path) && source.code.contains(word))
        .map(|source| source.path)
        .collect()
}

#[test]
fn imports_run_from_main_to_base() {
    for Source { path, code, .. } in sources() {
        let forbidden: &[&str] = if path.starts_with("base/") {
            &["crate::commands", "crate::cli", "crate::conclude"]
        } else if path.starts_with("commands/") {
            &["crate::cli", "crate::conclude"]
        } else if path == "cli.rs" || path.starts_with("cli/") {
            &["crate::conclude"]
        } else {
            &[]
        };
        for module in forbidden {
            assert!(!code.contains(module), "{path} imports {module}");
        }
    }
}

#[test]
fn no_command_imports_another() {
    let all = sources();
    let commands: Vec<&str> = all
        .iter()
        .filter_map(|source| source.path.strip_prefix("commands/")?.split_once('/'))
        .map(|(command, _)| command)
        .collect();
    assert!(commands.contains(&"sysctl"));
    for Source { path, whole, .. } in &all {
        let Some((own, _)) = path
            .strip_prefix("commands/")
            .and_then(|rest| rest.split_once('/'))
        else {
            continue;
        };
        for other in commands.iter().filter(|other| **other != own) {
            assert!(
                !whole.contains(&format!("commands::{other}")),
                "{path} imports {other}"
            );
        }
    }
}

#[test]
fn each_door_is_the_only_one() {
    assert_eq!(holders_of("sleep("), ["base/retry.rs"]);
    assert_eq!(holders_of("process::exit"), ["conclude.rs"]);
    assert_eq!(holders_of("stdout()"), ["conclude.rs"]);
    assert_eq!(holders_of("stderr()"), ["base/log.rs"]);
    assert_eq!(holders_of("vars_os"), ["base/environment.rs"]);
    assert_eq!(
        holders_of("O_WRONLY"),
        [
            "base/file/mod.rs",
            "base/termination.rs",
            "commands/sysctl/proc.rs"
        ]
    );
    assert_eq!(holders_of("CtlIter"), ["commands/sysctl/proc.rs"]);
    assert_eq!(holders_of("From<io::Error>"), [""; 0]);
    assert_eq!(holders_of("From<std::io::Error>"), [""; 0]);
    for keyword in ["unsafe {", "unsafe fn", "unsafe impl"] {
        assert_eq!(holders_of(keyword), [""; 0]);
    }
    assert_eq!(holders_of("#[allow"), [""; 0]);
}

#[test]
fn every_file_says_what_it_is_and_none_is_long() {
    for Source { path, whole, .. } in sources() {
        let lines = whole.lines().count();
        let limit = if path == "main.rs" { 80 } else { 400 };
        assert!(lines <= limit, "{path} has {lines} lines");
        assert!(
            is_tests(&path) || whole.starts_with("//! "),
            "{path} does not say what it is"
        );
    }
}

#[test]
fn the_map_names_every_part_of_the_source() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md"))
        .expect("ARCHITECTURE.md is readable");
    for Source { path, .. } in sources() {
        let stem = path
            .rsplit('/')
            .next()
            .unwrap_or(&path)
            .trim_end_matches(".rs")
            .to_string();
        let is_named = ["mod", "tests"].contains(&stem.as_str())
            || [format!("`{stem}`"), format!("{stem}.rs`")]
                .iter()
                .any(|name| map.contains(name))
            || path.rsplit_once('/').is_some_and(|(folder, _)| {
                map.contains(&format!("src/{folder}/`")) && !path.starts_with("commands/")
            });
        assert!(is_named, "ARCHITECTURE.md does not name {path}");
    }
}

/// One TLS stack at most, and nothing that cannot be linked statically or is no longer kept.
#[test]
fn the_dependencies_keep_the_promises() {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock"))
        .expect("Cargo.lock is readable");
    let names: Vec<&str> = lock
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .collect();
    for barred in [
        "openssl",
        "openssl-sys",
        "native-tls",
        "aws-lc-rs",
        "aws-lc-sys",
        "serde_yml",
        "tokio-tar",
    ] {
        assert!(!names.contains(&barred), "{barred} is in the tree");
    }
    assert!(!lock.contains("git+"), "a dependency comes from git");
}
