//! `--wait`, the deadline and the signals: how soon, and with which last word.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{S, sysctl, traced, within};
use crate::support::{Pod, machine_to_itself};

/// A deadline may be missed by this much.
const LATE: Duration = Duration::from_millis(250);

/// A signal ends a run within this time.
const STOPPED: Duration = Duration::from_millis(200);

/// A state that became right is noticed within this time.
const NOTICED: Duration = Duration::from_secs(1);

#[test]
fn case_59_a_value_that_comes_is_noticed() {
    let _turn = machine_to_itself();
    let pod = Pod::new();
    let waiting = sysctl(["--wait", "net.core.somaxconn=7"])
        .inside(&pod)
        .traced()
        .spawn();
    waiting.pid();
    pod.sh("sleep 0.7; echo 7 > /proc/sys/net/core/somaxconn");
    let written = Instant::now();
    waiting
        .finish()
        .succeeds()
        .prints("net.core.somaxconn: already 7 (this pod's network)\n")
        .within_of(NOTICED, written)
        .no_write();
}

#[test]
fn case_60_the_deadline_reports_the_last_state() {
    let _turn = machine_to_itself();
    let pod = Pod::new();
    let out = within(&pod, ["--wait", "--timeout", "1s", "net.core.somaxconn=7"]);
    out.fails(69).says("4096").says("7");
    out.no_sooner_than(Duration::from_secs(1))
        .within(Duration::from_secs(1) + LATE);
    assert_eq!(pod.read(S), "4096");
}

#[test]
fn a_wait_that_is_satisfied_does_not_wait() {
    let _turn = machine_to_itself();
    let pod = Pod::new();
    traced(&pod, ["--wait", "net.core.somaxconn>=1024"])
        .succeeds()
        .prints("net.core.somaxconn: kept 4096, asked >= 1024 (this pod's network)\n")
        .no_write();
    within(&pod, ["--wait", "net.core.somaxconn=4096"])
        .succeeds()
        .within(STOPPED);
    // An optional setting never keeps it waiting.
    within(&pod, ["--wait", "-net.core.somaxconn=7"])
        .succeeds()
        .within(STOPPED);
}

#[test]
fn case_61_what_cannot_come_is_not_waited_for() {
    let _turn = machine_to_itself();
    let pod = Pod::new();
    for setting in ["net.core.somaxconn.x=1", "vm.nope=1"] {
        within(&pod, ["--wait", setting]).fails(66).within(STOPPED);
    }
}

#[test]
fn case_62_an_interface_that_comes_is_waited_for() {
    let _turn = machine_to_itself();
    let pod = Pod::new();
    let waiting = sysctl(["--wait", "net.ipv4.conf.t9.forwarding>=0"])
        .inside(&pod)
        .traced()
        .spawn();
    waiting.pid();
    pod.sh("sleep 1; ip link add t9 type bridge");
    let made = Instant::now();
    let out = waiting.finish();
    out.succeeds().within_of(NOTICED, made).no_write();
    let value = pod.read("net/ipv4/conf/t9/forwarding");
    let state = if value == "0" {
        "already 0".to_string()
    } else {
        format!("kept {value}, asked >= 0")
    };
    out.prints(&format!(
        "net.ipv4.conf.t9.forwarding: {state} (this pod's network)\n"
    ));
}

#[test]
fn case_63_a_signal_ends_the_wait() {
    let _turn = machine_to_itself();
    let pod = Pod::new();
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let waiting = sysctl(["--wait", "net.core.somaxconn=7"])
            .inside(&pod)
            .spawn();
        waiting.pid();
        pod.sh("sleep 0.4");
        let sent = waiting.signal(signal);
        waiting.finish().ends_with(code).within_of(STOPPED, sent);
    }
}

#[test]
fn case_63_a_signal_ends_the_wait_of_pid_1() {
    let _turn = machine_to_itself();
    let pod = Pod::new();
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let waiting = sysctl(["--wait", "net.core.somaxconn=7"])
            .inside(&pod)
            .pid1()
            .spawn();
        waiting.pid();
        pod.sh("sleep 0.4");
        let sent = waiting.signal(signal);
        waiting.finish().ends_with(code).within_of(STOPPED, sent);
    }
}

#[test]
fn a_signal_ends_the_reading_of_a_silent_file() {
    let _turn = machine_to_itself();
    let pod = Pod::new();
    let reading = sysctl(["--load", "-"]).inside(&pod).silent_stdin().spawn();
    reading.pid();
    pod.sh("sleep 0.4");
    let sent = reading.signal(Signal::SIGTERM);
    reading.finish().ends_with(143).within_of(STOPPED, sent);
}

#[test]
fn case_71_a_silent_file_ends_at_the_deadline() {
    let _turn = machine_to_itself();
    let pod = Pod::new();
    let out = sysctl(["--load", "-", "--timeout", "1s"])
        .inside(&pod)
        .silent_stdin()
        .run();
    out.fails(69).within(Duration::from_secs(1) + LATE);
}

#[test]
fn a_silent_fifo_ends_at_the_deadline() {
    let _turn = machine_to_itself();
    let pod = Pod::new();
    let directory = tempfile::tempdir().expect("a directory");
    let fifo = directory.path().join("settings.conf");
    let fifo = fifo.to_str().expect("UTF-8");
    pod.sh(&format!("mkfifo {fifo}"));
    let out = sysctl(["--timeout", "1s", "--load", fifo])
        .inside(&pod)
        .run();
    out.fails(69).within(Duration::from_secs(1) + LATE);
}

#[test]
fn a_dry_wait_looks_once() {
    let _turn = machine_to_itself();
    let pod = Pod::new();
    let out = within(&pod, ["--wait", "--dry-run", "net.core.somaxconn=7"]);
    assert_ne!(out.code, 0, "{out:?}");
    out.within(STOPPED);
    within(&pod, ["--wait", "--dry-run", "net.core.somaxconn=4096"])
        .succeeds()
        .within(STOPPED);
}

#[test]
fn a_missing_module_is_waited_for_until_the_deadline() {
    let _turn = machine_to_itself();
    let pod = Pod::new();
    pod.sh("test ! -e /proc/sys/net/sctp");
    within(
        &pod,
        ["--wait", "--timeout", "1s", "net.sctp.addip_enable>=0"],
    )
    .fails(69)
    .no_sooner_than(Duration::from_secs(1))
    .within(Duration::from_secs(1) + LATE);
}

#[test]
fn a_wait_logs_each_change_of_state_and_not_each_look() {
    let pod = Pod::new();
    let waiting = sysctl(["--wait", "net.core.somaxconn=7"])
        .inside(&pod)
        .spawn();
    waiting.line_with("4096");
    // Several looks at the same state, then another one.
    pod.sh("sleep 1");
    pod.set(S, "5555");
    waiting.line_with("5555");
    pod.set(S, "7");
    let out = waiting.finish();
    out.succeeds();
    out.logs_once("4096");
    out.logs_once("5555");
}

#[test]
fn a_signal_ends_the_settle() {
    let _turn = machine_to_itself();
    let pod = Pod::new();
    // Told at moments before, in and after the write, all within the settle: stopped or done, in time, and never anything else.
    for delay in ["0.001", "0.005", "0.01", "0.02", "0.03", "0.05"] {
        pod.set(S, "128");
        let raising = sysctl(["net.core.somaxconn>=1024"]).inside(&pod).spawn();
        raising.pid();
        pod.sh(&format!("sleep {delay}"));
        let sent = raising.signal(Signal::SIGTERM);
        let out = raising.finish();
        assert!([0, 143].contains(&out.code), "after {delay} s: {out:?}");
        out.within_of(STOPPED, sent);
        let value = pod.read(S);
        assert!(
            ["128", "1024"].contains(&&*value),
            "{value} after {delay} s"
        );
        assert!(
            out.code == 143 || value == "1024",
            "{value} after {delay} s: {out:?}"
        );
    }
}
