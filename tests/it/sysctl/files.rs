//! `--load`: what a settings file may hold, and where it may lie.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::{S, S_PATH, sysctl};
use crate::support::{Outcome, Pod};

/// A directory of settings files that goes away with the test.
struct Settings(TempDir);

impl Settings {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self) -> &str {
        text(self.0.path())
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).expect("a settings file");
        path
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Loads one file of this content in this pod.
#[track_caller]
fn load(pod: &Pod, content: impl AsRef<[u8]>) -> Outcome {
    let settings = Settings::new();
    let file = settings.file("a.conf", content);
    sysctl(["--load", text(&file)]).inside(pod).traced().run()
}

#[test]
fn case_65_blanks_comments_and_tabs() {
    let pod = Pod::new();
    load(&pod, "\n# a\n;b\n  # c\n\tnet.core.somaxconn\t=\t300\t")
        .succeeds()
        .prints("net.core.somaxconn: 4096 -> 300 (this pod's network)\n")
        .one_write(S_PATH);
    assert_eq!(pod.read(S), "300");
}

#[test]
fn a_file_from_another_system() {
    let pod = Pod::new();
    load(
        &pod,
        "\u{feff}net.core.somaxconn = 300\r\n\r\n# c\r\nkernel.shm_rmid_forced=1\r\n",
    )
    .succeeds()
    .prints(
        "net.core.somaxconn: 4096 -> 300 (this pod's network)\n\
             kernel.shm_rmid_forced: 0 -> 1 (this pod's IPC)\n",
    );
}

#[test]
fn case_66_a_bad_line_is_named() {
    let pod = Pod::new();
    let settings = Settings::new();
    let file = settings.file("a.conf", "net.core.somaxconn=300\nthis is garbage\n");
    let place = format!("{}:2", text(&file));
    sysctl(["--load", text(&file)])
        .inside(&pod)
        .traced()
        .run()
        .fails(64)
        .says(&place)
        .no_open();
    assert_eq!(pod.read(S), "4096");

    for line in [
        "net.core.somaxconn = 300 # note",
        "net.core.somaxconn = 300\t; note",
    ] {
        let out = load(&pod, line);
        out.fails(64).no_open();
        assert!(out.last_line().contains("comment"), "{out:?}");
        assert!(out.last_line().contains("own line"), "{out:?}");
        assert_eq!(pod.read(S), "4096", "after {line}");
    }
}

#[test]
fn every_bad_line_is_logged_and_the_first_is_the_message() {
    let pod = Pod::new();
    let settings = Settings::new();
    let file = settings.file("a.conf", "one\nnet.core.somaxconn=7\ntwo\n\nnet..core=1\n");
    let out = sysctl(["--load", text(&file)]).inside(&pod).run();
    out.fails(64).says(&format!("{}:1", text(&file)));
    for line in [1, 3, 5] {
        let place = format!("{}:{line}", text(&file));
        assert!(out.stderr.contains(&place), "no {place} in {out:?}");
    }
    out.does_not_log(&format!("{}:2", text(&file)));
    assert_eq!(pod.read(S), "4096");
}

#[test]
fn case_67_a_directory_in_order() {
    let pod = Pod::new();
    let settings = Settings::new();
    settings.file("10-a.conf", "net.core.somaxconn=100\n");
    settings.file("20-b.conf", "net.core.somaxconn=200\n");
    settings.file("z.txt", "garbage\n");
    settings.file(".hidden.conf", "garbage\n");
    fs::create_dir(settings.0.path().join("sub")).expect("a directory");
    fs::write(settings.0.path().join("sub/x.conf"), "garbage\n").expect("a file");
    sysctl(["--load", settings.path()])
        .inside(&pod)
        .traced()
        .run()
        .succeeds()
        .prints("net.core.somaxconn: 4096 -> 200 (this pod's network)\n")
        .one_write(S_PATH);
    assert_eq!(pod.read(S), "200");
}

#[test]
fn case_67_a_config_map() {
    let pod = Pod::new();
    let settings = Settings::new();
    let version = settings.0.path().join("..2026_01_02_03_04_05.678");
    fs::create_dir(&version).expect("a directory");
    symlink(
        "..2026_01_02_03_04_05.678",
        settings.0.path().join("..data"),
    )
    .expect("a link");
    for (name, content) in [
        ("10-a.conf", "net.core.somaxconn=100\n"),
        ("20-b.conf", "net.core.somaxconn=200\n"),
        ("z.txt", "garbage\n"),
    ] {
        fs::write(version.join(name), content).expect("a file");
        symlink(format!("..data/{name}"), settings.0.path().join(name)).expect("a link");
    }
    sysctl(["--load", settings.path()])
        .inside(&pod)
        .traced()
        .run()
        .succeeds()
        .prints("net.core.somaxconn: 4096 -> 200 (this pod's network)\n")
        .one_write(S_PATH);
    assert_eq!(pod.read(S), "200");
}

#[test]
fn case_68_an_argument_comes_after_every_file() {
    let pod = Pod::new();
    let settings = Settings::new();
    let file = settings.file("a.conf", "net.core.somaxconn=100\n");
    sysctl(["net.core.somaxconn=200", "--load", text(&file)])
        .inside(&pod)
        .traced()
        .run()
        .succeeds()
        .prints("net.core.somaxconn: 4096 -> 200 (this pod's network)\n")
        .one_write(S_PATH);
    assert_eq!(pod.read(S), "200");
}

#[test]
fn files_are_merged_in_the_order_given() {
    let pod = Pod::new();
    let settings = Settings::new();
    let one = settings.file("one", "net.core.somaxconn=100\n");
    let two = settings.file("two", "net.core.somaxconn=200\n");
    sysctl(["--load", text(&two), "--load", text(&one)])
        .inside(&pod)
        .run()
        .succeeds();
    assert_eq!(pod.read(S), "100");
    sysctl([])
        .inside(&pod)
        .env("PODINIT_LOAD", format!("{}\n{}", text(&one), text(&two)))
        .run()
        .succeeds();
    assert_eq!(pod.read(S), "200");
}

#[test]
fn case_69_standard_input() {
    let pod = Pod::new();
    let before = pod.read("kernel/hostname");
    sysctl(["--load", "-"])
        .inside(&pod)
        .stdin("kernel.hostname=a=b")
        .run()
        .succeeds()
        .prints(&format!(
            "kernel.hostname: {before} -> a=b (this pod's hostname)\n"
        ));
    assert_eq!(pod.read("kernel/hostname"), "a=b");
    // There is one standard input.
    sysctl(["--load", "-", "--load", "-"])
        .inside(&pod)
        .stdin("net.core.somaxconn=7")
        .run()
        .fails(64);
    assert_eq!(pod.read(S), "4096");
}

#[test]
fn case_70_files_without_settings() {
    let pod = Pod::new();
    let out = load(&pod, "# nothing\n; here\n");
    out.succeeds();
    assert!(!out.stderr.is_empty(), "a note was due: {out:?}");

    let settings = Settings::new();
    let missing = settings.0.path().join("missing.conf");
    sysctl(["--load", text(&missing)])
        .inside(&pod)
        .run()
        .fails(64)
        .says(text(&missing));

    settings.file("a.txt", "net.core.somaxconn=7\n");
    sysctl(["--load", settings.path()])
        .inside(&pod)
        .run()
        .fails(64)
        .says(settings.path());
    assert_eq!(pod.read(S), "4096");

    sysctl(["--load", "/dev/zero"])
        .inside(&pod)
        .run()
        .fails(64)
        .says("/dev/zero")
        .within(Duration::from_secs(5));
}

#[test]
fn what_cannot_be_read_is_a_usage_error() {
    let pod = Pod::new();
    load(&pod, b"net.core.somaxconn=\xff\xfe\n")
        .fails(64)
        .no_open();
    load(&pod, b"net.core.somaxconn=7\0\n").fails(64).no_open();
    load(&pod, "# x\n".repeat(4 * 1024 * 1024 / 4 + 1))
        .fails(64)
        .no_open();
    load(&pod, "# x\n".repeat(4 * 1024 * 1024 / 4)).succeeds();
    assert_eq!(pod.read(S), "4096");
}

#[test]
fn case_72_a_glob_that_matches_nothing() {
    let pod = Pod::new();
    load(&pod, "net.ipv4.conf.zz*.forwarding=1\n")
        .fails(66)
        .says("net.ipv4.conf.zz*.forwarding");
    let out = load(&pod, "-net.ipv4.conf.zz*.forwarding=1\n");
    out.succeeds();
    assert!(
        out.stdout
            .starts_with("net.ipv4.conf.zz*.forwarding: skipped, "),
        "{out:?}"
    );
}

#[test]
fn case_73_a_bound_in_a_file() {
    let pod = Pod::new();
    load(&pod, "net.core.somaxconn >= 5000\n")
        .succeeds()
        .prints("net.core.somaxconn: 4096 -> 5000 (this pod's network)\n");
    assert_eq!(pod.read(S), "5000");
}

#[test]
fn an_explicit_key_beats_every_glob() {
    let pod = Pod::new();
    let values = || {
        ["all", "default", "lo"].map(|name| pod.read(&format!("net/ipv4/conf/{name}/log_martians")))
    };
    assert_eq!(values(), ["0", "0", "0"]);
    load(
        &pod,
        "net.ipv4.conf.lo.log_martians=0\nnet.ipv4.conf.*.log_martians=1\n",
    )
    .succeeds();
    assert_eq!(values(), ["1", "1", "0"]);
    load(
        &pod,
        "net.ipv4.conf.*.log_martians=0\nnet.ipv4.conf.lo.log_martians=1\n",
    )
    .succeeds();
    assert_eq!(values(), ["0", "0", "1"]);
}

#[test]
fn a_key_without_operator_is_taken_out_of_globs() {
    let pod = Pod::new();
    let values = || {
        ["all", "default", "lo"].map(|name| pod.read(&format!("net/ipv4/conf/{name}/log_martians")))
    };
    load(
        &pod,
        "net.ipv4.conf.*.log_martians=1\n-net.ipv4.conf.all.log_martians\n",
    )
    .succeeds();
    assert_eq!(values(), ["0", "1", "1"]);
    load(
        &pod,
        "-net/ipv4/conf/[dl]*/log_martians\nnet.ipv4.conf.?*.log_martians=2\n",
    )
    .succeeds();
    assert_eq!(values(), ["2", "1", "1"]);
}
