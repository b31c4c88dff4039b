//! Keys of the whole node, as its real root: one test at a time, the old value put back.

use super::sysctl;
use crate::support::node::NodeKey;

const PATH: &str = "/proc/sys/vm/max_map_count";

#[test]
fn case_44_lowering_a_node_is_done_with_a_warning() {
    let key = NodeKey::borrow(PATH);
    key.set("1048576");
    let out = sysctl(["vm.max_map_count=262144"]).traced().run();
    out.succeeds()
        .prints("vm.max_map_count: 1048576 -> 262144 (node-wide)\n")
        .one_write(PATH);
    let warning = out.logs_once("vm.max_map_count>=262144");
    for part in ["1048576", "262144", "--never-lower"] {
        assert!(warning.contains(part), "no {part:?} in {warning}");
    }
    assert_eq!(key.read(), "262144");
}

#[test]
fn raising_a_node_needs_no_warning() {
    let key = NodeKey::borrow(PATH);
    key.set("65530");
    sysctl(["vm.max_map_count=262144"])
        .run()
        .succeeds()
        .prints("vm.max_map_count: 65530 -> 262144 (node-wide)\n")
        .does_not_log("--never-lower");
    assert_eq!(key.read(), "262144");
}

#[test]
fn case_45_never_lower_keeps_a_higher_node() {
    let key = NodeKey::borrow(PATH);
    key.set("1048576");
    for run in [
        sysctl(["--never-lower", "vm.max_map_count=262144"]),
        sysctl(["vm.max_map_count=262144", "--never-lower"]),
        sysctl(["vm.max_map_count=262144"]).env("PODINIT_NEVER_LOWER", "true"),
    ] {
        run.traced()
            .run()
            .succeeds()
            .prints("vm.max_map_count: kept 1048576, asked = 262144 (node-wide)\n")
            .no_write();
        assert_eq!(key.read(), "1048576");
    }
    // It never raises less for that.
    key.set("65530");
    sysctl(["--never-lower", "vm.max_map_count=262144"])
        .run()
        .succeeds()
        .prints("vm.max_map_count: 65530 -> 262144 (node-wide)\n");
    assert_eq!(key.read(), "262144");
}

#[test]
fn case_46_raised_once_then_left_alone() {
    let key = NodeKey::borrow(PATH);
    key.set("65530");
    sysctl(["vm.max_map_count>=262144"])
        .traced()
        .run()
        .succeeds()
        .prints("vm.max_map_count: 65530 -> 262144 (node-wide)\n")
        .one_write(PATH);
    assert_eq!(key.read(), "262144");
    sysctl(["vm.max_map_count>=262144"])
        .traced()
        .run()
        .succeeds()
        .prints("vm.max_map_count: already 262144 (node-wide)\n")
        .no_write();
}

#[test]
fn waiting_for_equality_on_a_higher_node_is_warned_of() {
    let key = NodeKey::borrow(PATH);
    key.set("1048576");
    let out = sysctl(["--wait", "--timeout", "1s", "vm.max_map_count=262144"]).run();
    out.fails(69).says("1048576").says("262144");
    // The failure itself may name the bound as well; the warning comes before it.
    let warned = out.stderr.lines().rev().skip(1);
    assert_eq!(
        warned.filter(|line| line.contains(">=")).count(),
        1,
        "{out:?}"
    );
    assert_eq!(key.read(), "1048576");
}

#[test]
fn a_check_that_finds_more_than_asked_hints_at_the_bound() {
    let key = NodeKey::borrow(PATH);
    key.set("1048576");
    sysctl(["--check", "vm.max_map_count=262144"])
        .run()
        .fails(1)
        .says("is 1048576, asked = 262144")
        .hints(">=");
}

#[test]
fn an_unprivileged_twin_waits_for_the_one_that_raises() {
    let key = NodeKey::borrow(PATH);
    key.set("65530");
    let waiting = sysctl(["--wait", "--timeout", "20s", "vm.max_map_count>=262144"])
        .uid(65534)
        .traced()
        .spawn();
    waiting.pid();
    sysctl(["vm.max_map_count>=262144"]).run().succeeds();
    waiting
        .finish()
        .succeeds()
        .prints("vm.max_map_count: already 262144 (node-wide)\n")
        .no_write();
}

#[test]
fn never_lower_looks_at_each_field() {
    let key = NodeKey::borrow("/proc/sys/kernel/printk");
    key.set("4 4 1 7");
    assert_eq!(
        key.read().split_whitespace().collect::<Vec<_>>(),
        ["4", "4", "1", "7"]
    );
    sysctl(["--never-lower", "kernel.printk=3 5 1 6"])
        .run()
        .succeeds()
        .prints("kernel.printk: 4 4 1 7 -> 4 5 1 7 (node-wide)\n");
    // Without it the lowering is done, and warned of once.
    let out = sysctl(["kernel.printk=3 5 1 7"]).run();
    out.succeeds()
        .prints("kernel.printk: 4 5 1 7 -> 3 5 1 7 (node-wide)\n");
    out.logs_once("--never-lower");
}
