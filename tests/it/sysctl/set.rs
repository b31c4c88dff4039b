//! `KEY=VALUE` on keys of the pod's own: set, left alone, proved.

use super::{S, S_PATH, sysctl, traced, within};
use crate::support::Pod;

#[test]
fn case_01_set_says_before_and_after() {
    let pod = Pod::new();
    traced(&pod, ["net.core.somaxconn=1024"])
        .succeeds()
        .prints("net.core.somaxconn: 4096 -> 1024 (this pod's network)\n")
        .does_not_log("hint:")
        .one_write(S_PATH);
    assert_eq!(pod.read(S), "1024");
}

#[test]
fn case_02_right_already_is_not_written() {
    let pod = Pod::new();
    pod.set(S, "1024");
    traced(&pod, ["net.core.somaxconn=1024"])
        .succeeds()
        .prints("net.core.somaxconn: already 1024 (this pod's network)\n")
        .no_write();
    assert_eq!(pod.read(S), "1024");
}

#[test]
fn case_03_spellings_of_one_key() {
    let pod = Pod::new();
    for spelling in [
        "net/core/somaxconn=7",
        "/proc/sys/net/core/somaxconn=7",
        "net.core.somaxconn = 7",
    ] {
        pod.set(S, "4096");
        sysctl([spelling])
            .inside(&pod)
            .run()
            .succeeds()
            .prints("net.core.somaxconn: 4096 -> 7 (this pod's network)\n");
        assert_eq!(pod.read(S), "7", "after {spelling}");
    }
}

#[test]
fn case_09_minus_w_means_nothing() {
    let pod = Pod::new();
    let out = within(
        &pod,
        [
            "-w",
            "net.core.somaxconn=7",
            "-w",
            "kernel.shm_rmid_forced=1",
        ],
    );
    out.succeeds().prints(
        "net.core.somaxconn: 4096 -> 7 (this pod's network)\n\
         kernel.shm_rmid_forced: 0 -> 1 (this pod's IPC)\n",
    );
    assert_eq!(pod.read(S), "7");
    assert_eq!(pod.read("kernel/shm_rmid_forced"), "1");
    // Only the second key is safe, and needs no init container; one line says so.
    let line = out.logs_once("securityContext.sysctls");
    assert!(line.contains("kernel.shm_rmid_forced"), "{line}");
}

#[test]
fn case_10_optional_key_is_skipped() {
    let pod = Pod::new();
    within(&pod, ["-net.bogus.key=1", "net.core.somaxconn=7"])
        .succeeds()
        .prints(
            "net.bogus.key: skipped, no such key\n\
         net.core.somaxconn: 4096 -> 7 (this pod's network)\n",
        );
    assert_eq!(pod.read(S), "7");
}

#[test]
fn case_11_missing_key_does_not_stop_the_others() {
    let pod = Pod::new();
    let out = within(&pod, ["net.bogus.key=1", "net.core.somaxconn=7"]);
    out.fails(66)
        .says("net.bogus.key")
        .does_not_say("more failed");
    let lines: Vec<_> = out.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{out:?}");
    assert!(
        lines[0].starts_with("net.bogus.key: failed (66): "),
        "{out:?}"
    );
    assert_eq!(
        lines[1],
        "net.core.somaxconn: 4096 -> 7 (this pod's network)"
    );
    assert_eq!(pod.read(S), "7");
}

#[test]
fn the_first_failure_in_plan_order_decides_and_counts_the_rest() {
    let pod = Pod::new();
    within(
        &pod,
        [
            "net.core.somaxconn=abc",
            "net.bogus.key=1",
            "kernel.osrelease=x",
        ],
    )
    .fails(74)
    .says("net.core.somaxconn")
    .says("(+2 more failed)");
    within(&pod, ["net.bogus.key=1", "net.core.somaxconn=abc"])
        .fails(66)
        .says("net.bogus.key")
        .says("(+1 more failed)");
}

#[test]
fn an_optional_failure_is_shown_but_decides_nothing() {
    let pod = Pod::new();
    let out = within(&pod, ["-kernel.osrelease=x", "net.core.somaxconn=7"]);
    out.succeeds();
    let lines: Vec<_> = out.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{out:?}");
    assert!(
        lines[0].starts_with("kernel.osrelease: skipped, "),
        "{out:?}"
    );
    assert_eq!(
        lines[1],
        "net.core.somaxconn: 4096 -> 7 (this pod's network)"
    );
}

#[test]
fn an_optional_setting_is_accepted_anywhere_on_the_line() {
    let pod = Pod::new();
    let lines: &[&[&'static str]] = &[
        &["net.core.somaxconn=7", "-vm.bogus_key=1"],
        &["-vm.bogus_key=1", "--", "net.core.somaxconn=7"],
        &["--", "net.core.somaxconn=7", "-vm.bogus_key=1"],
        &["-w", "-vm.bogus_key=1", "net.core.somaxconn=7"],
    ];
    for args in lines {
        pod.set(S, "4096");
        let out = within(&pod, args);
        out.succeeds();
        assert!(
            out.stdout.contains("vm.bogus_key: skipped, no such key\n"),
            "{out:?}"
        );
        assert_eq!(pod.read(S), "7", "after {args:?}");
    }
}

#[test]
fn case_31_a_leading_zero_is_octal() {
    let pod = Pod::new();
    let out = within(&pod, ["net.core.somaxconn=01024"]);
    out.succeeds()
        .prints("net.core.somaxconn: 4096 -> 532 (this pod's network)\n");
    out.logs_once("octal");
    assert_eq!(pod.read(S), "532");
    // The same text again names the value that is there now.
    traced(&pod, ["net.core.somaxconn=01024"])
        .succeeds()
        .prints("net.core.somaxconn: already 532 (this pod's network)\n")
        .no_write();
    traced(&pod, ["net.core.somaxconn=0x214"])
        .succeeds()
        .no_write();
}

#[test]
fn case_42_the_last_value_for_a_key_is_the_only_one_written() {
    let pod = Pod::new();
    traced(&pod, ["net.core.somaxconn=100", "net.core.somaxconn=200"])
        .succeeds()
        .prints("net.core.somaxconn: 4096 -> 200 (this pod's network)\n")
        .one_write(S_PATH);
    assert_eq!(pod.read(S), "200");
}

#[test]
fn case_56_pid_max_of_a_pid_namespace() {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    let numbers: Vec<u32> = release
        .split(['.', '-'])
        .take(2)
        .map_while(|part| part.trim().parse().ok())
        .collect();
    // Before 6.14 the key is the whole node's, and this test would write it there.
    assert!(
        numbers >= vec![6, 14],
        "needs Linux 6.14, this is {release}"
    );
    let pod = Pod::new();
    let before = pod.read("kernel/pid_max");
    assert_ne!(before, "40000");
    let out = within(&pod, ["kernel.pid_max=40000"]);
    out.succeeds().prints(&format!(
        "kernel.pid_max: {before} -> 40000 (this pid namespace)\n"
    ));
    out.logs_once("ends with this container");
    assert_eq!(pod.read("kernel/pid_max"), "40000");
}

#[test]
fn case_57_check_compares_and_writes_nothing() {
    let pod = Pod::new();
    traced(&pod, ["--check", "net.core.somaxconn=7"])
        .fails(1)
        .says("is 4096, asked = 7")
        .prints("net.core.somaxconn: is 4096, asked = 7 (this pod's network)\n")
        .no_write();
    assert_eq!(pod.read(S), "4096");
    let out = traced(&pod, ["--check", "net.core.somaxconn=7", "net.bogus.key=1"]);
    out.fails(66).says("net.bogus.key").no_write();
    let lines: Vec<_> = out.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{out:?}");
    assert_eq!(
        lines[0],
        "net.core.somaxconn: is 4096, asked = 7 (this pod's network)"
    );
    assert!(
        lines[1].starts_with("net.bogus.key: failed (66): "),
        "{out:?}"
    );
    assert_eq!(pod.read(S), "4096");
}

#[test]
fn check_of_what_is_right_succeeds() {
    let pod = Pod::new();
    traced(&pod, ["net.core.somaxconn=4096", "--check"])
        .succeeds()
        .prints("net.core.somaxconn: already 4096 (this pod's network)\n")
        .no_write();
    // An optional setting that differs is shown and decides nothing.
    traced(&pod, ["--check", "-net.core.somaxconn=7"])
        .succeeds()
        .prints("net.core.somaxconn: is 4096, asked = 7 (this pod's network)\n")
        .no_write();
}

#[test]
fn case_58_dry_run_says_what_would_happen() {
    let pod = Pod::new();
    traced(&pod, ["--dry-run", "net.core.somaxconn=7"])
        .succeeds()
        .prints("net.core.somaxconn: would go 4096 -> 7 (this pod's network)\n")
        .writes(S_PATH, 0);
    assert_eq!(pod.read(S), "4096");
    within(&Pod::read_only(), ["--dry-run", "net.core.somaxconn=7"])
        .fails(77)
        .says("read-only file system")
        .hints("--allowed-unsafe-sysctls");
}

#[test]
fn success_tells_the_termination_log_what_was_done() {
    let pod = Pod::new();
    let out = sysctl([
        "net.core.somaxconn=7",
        "kernel.shm_rmid_forced=0",
        "-net.bogus.key=1",
    ])
    .inside(&pod)
    .termination_log()
    .run();
    out.succeeds();
    let said = out.termination().trim_end();
    assert!(
        said.contains("1 set") && said.contains("1 skipped"),
        "{said:?} of {out:?}"
    );
    assert!(
        said.ends_with(" s") && !said.contains('\n'),
        "{said:?} of {out:?}"
    );
    let out = sysctl(["net.core.somaxconn=abc"])
        .inside(&pod)
        .termination_log()
        .run();
    out.fails(74);
    let said = out.termination();
    assert!(
        said.starts_with("podinit sysctl: local (74): "),
        "{said:?} of {out:?}"
    );
    // The log's one line may be too long for a first line there; nothing else may differ.
    assert!(
        said.lines().next().is_some_and(|first| first.len() <= 200),
        "{said:?}"
    );
    assert!(said.len() <= 1024, "{said:?}");
    for line in said.lines() {
        assert!(out.last_line().contains(line), "{line:?} is not in {out:?}");
    }
    assert!(said.contains("hint: "), "{said:?}");
}

#[test]
fn a_termination_log_that_is_not_there_is_no_failure() {
    let pod = Pod::new();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("none");
    let out = sysctl(["net.core.somaxconn=7", "--termination-log"])
        .args([&path])
        .inside(&pod)
        .run();
    out.succeeds();
    assert!(!path.exists(), "made by {out:?}");
}
