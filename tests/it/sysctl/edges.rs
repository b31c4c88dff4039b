//! What happens at the edges: of time, of other writers, of what a reader of the result does.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{S, sysctl};
use crate::support::{Pod, Podinit, machine_to_itself};

const LATE: Duration = Duration::from_millis(1250);

#[test]
fn a_missing_key_of_many_parts_is_told_at_once() {
    let _turn = machine_to_itself();
    let key = vec!["a"; 60].join(".");
    let out = sysctl([]).args([format!("{key}=1")]).run();
    out.fails(66).within(Duration::from_secs(1));
}

#[test]
fn many_missing_keys_neither_outlast_the_deadline_nor_a_signal() {
    let _turn = machine_to_itself();
    let many: Vec<String> = (0..20_000)
        .map(|n| format!("-vm.no_such_key_{n}=1"))
        .collect();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("many.conf");
    fs::write(&file, many.join("\n")).expect("a file");
    let load = ["--load".to_string(), file.display().to_string()];
    let out = sysctl([])
        .args(load.clone())
        .args(["--timeout", "1s"])
        .run();
    out.fails(69).within(LATE);
    let running = sysctl([]).args(load).pid1().spawn();
    running.listens();
    let sent = running.signal(Signal::SIGTERM);
    let out = running.finish();
    out.ends_with(143)
        .within_of(Duration::from_millis(200), sent);
}

#[test]
fn a_large_file_is_merged_within_the_deadline() {
    let _turn = machine_to_itself();
    let many: Vec<String> = (0..100_000)
        .map(|n| format!("-vm.no_such_key_{n}=1"))
        .collect();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("many.conf");
    // The last line is wrong: all the others are read and merged before nothing is touched.
    fs::write(&file, format!("{}\nvm.x>=2\nvm.x<=1\n", many.join("\n"))).expect("a file");
    let out = sysctl(["--load"]).args([file]).run();
    out.fails(64)
        .says("at least 2 and at most 1")
        .within(Duration::from_secs(5));
}

#[test]
fn what_another_key_has_changed_is_not_put_back() {
    let pod = Pod::new();
    pod.set("net/ipv4/ip_forward", "0");
    let out = sysctl(["net.ipv4.ip_forward=1", "net.ipv4.conf.all.forwarding=abc"])
        .inside(&pod)
        .run();
    out.fails(74).says("1 is unchanged");
    assert_eq!(pod.read("net/ipv4/ip_forward"), "1");
    assert_eq!(pod.read("net/ipv4/conf/all/forwarding"), "1");
}

#[test]
fn a_hopeless_key_ends_the_wait_for_one_that_can_come() {
    let _turn = machine_to_itself();
    let pod = Pod::new();
    let (awaited, hopeless) = ("net.ipv4.conf.t9.forwarding=1", "vm.nope=1");
    for pair in [[awaited, hopeless], [hopeless, awaited]] {
        let out = sysctl(pair)
            .args(["--wait", "--timeout", "5s"])
            .inside(&pod)
            .run();
        out.fails(66).says("vm.nope").within(Duration::from_secs(2));
    }
    // A wait that ends at the deadline says the same in line and code.
    let out = sysctl([awaited])
        .args(["--wait", "--timeout", "500ms"])
        .inside(&pod)
        .run();
    out.fails(69);
    assert!(out.stdout.contains("failed (69)"), "{out:?}");
}

#[test]
fn a_run_cut_short_in_its_settle_reports_what_is_there() {
    let pod = Pod::new();
    pod.set(S, "128");
    let out = sysctl(["net.core.somaxconn>=1024"])
        .args(["--timeout", "60ms"])
        .inside(&pod)
        .run();
    out.fails(69)
        .prints("net.core.somaxconn: 128 -> 1024 (this pod's network)\n");
}

#[test]
fn a_comment_behind_an_exclusion_is_refused() {
    let pod = Pod::new();
    let text = "net.ipv4.conf.*.rp_filter=2\n-net.ipv4.conf.lo.rp_filter # keep lo\n";
    let out = sysctl(["--load", "-"]).stdin(text).inside(&pod).run();
    out.fails(64).says("-:2").hints("own line");
}

#[test]
fn the_whole_list_can_be_loaded() {
    let pod = Pod::new();
    let list = sysctl(["--list"]).inside(&pod).run();
    list.succeeds();
    let again = sysctl(["--check", "--load", "-"])
        .stdin(&list.stdout)
        .inside(&pod)
        .run();
    assert!(matches!(again.code, 0 | 1), "{:?}", again.last_line());
    assert!(
        list.stdout.contains("kernel.version = #"),
        "{}",
        list.stdout
    );
}

#[test]
fn a_forgotten_host_path_is_no_kernel_without_huge_pages() {
    let empty = tempfile::tempdir().expect("a temporary directory");
    let root = empty.path().display().to_string();
    let out = sysctl([
        "--sys-root",
        &root,
        "--sys",
        "transparent_hugepage/enabled=never",
    ])
    .run();
    out.fails(74).says("no sysfs is mounted there");
    sysctl(["--sys", "transparent_hugepage/khugepaged/nope=1"])
        .run()
        .fails(66)
        .says("no such key on Linux");
}

#[test]
fn bounds_in_hints_can_be_typed() {
    let out = sysctl(["--check", "vm.max_map_count=0x10"]).run();
    out.fails(1).hints("vm.max_map_count>=16");
}

#[test]
fn a_pattern_over_a_secret_key_hides_its_value() {
    let pod = Pod::new();
    let out = sysctl(["net.ipv6.conf.eth9.stable*=fe80::c0:ffee"])
        .args(["-vv"])
        .inside(&pod)
        .termination_log()
        .run();
    out.fails(66).never_shows("c0:ffee");
}

#[test]
fn a_flag_is_not_taken_for_the_value_of_another() {
    sysctl(["--min", "--check"])
        .run()
        .fails(64)
        .says("--min has no value");
    sysctl(["--sys", "--check"])
        .run()
        .fails(64)
        .says("--sys has no value");
}

#[test]
fn a_blank_variable_says_nothing() {
    for blank in [" ", "\n", ""] {
        Podinit::new(["sysctl", "--check", "vm.max_map_count>=1"])
            .env("PODINIT_MIN", blank)
            .run()
            .succeeds();
    }
}
