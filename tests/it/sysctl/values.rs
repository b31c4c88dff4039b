//! What the kernel answers to a value, and what is made of that answer.

use super::{S, S_PATH, sysctl, traced, within};
use crate::support::Pod;

#[test]
fn case_15_a_rejected_value_changes_nothing() {
    let pod = Pod::new();
    let out = within(&pod, ["net.core.somaxconn=abc", "kernel.shm_rmid_forced=1"]);
    out.fails(74)
        .says("set net.core.somaxconn to abc: write /proc/sys/net/core/somaxconn: ")
        .says("4096")
        .says("unchanged")
        .does_not_say("more failed");
    let lines: Vec<_> = out.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{out:?}");
    assert!(
        lines[0].starts_with("net.core.somaxconn: failed (74): set net.core.somaxconn"),
        "{out:?}"
    );
    assert_eq!(lines[1], "kernel.shm_rmid_forced: 0 -> 1 (this pod's IPC)");
    assert_eq!(pod.read(S), "4096");
    assert_eq!(pod.read("kernel/shm_rmid_forced"), "1");
}

#[test]
fn case_16_numbers_the_kernel_does_not_take() {
    let pod = Pod::new();
    for value in ["2147483648", "-1", "1e3", "1_024", "1,024"] {
        let setting = format!("net.core.somaxconn={value}");
        let out = sysctl([&*setting]).inside(&pod).run();
        out.fails(74).says(value);
        assert!(
            out.stdout.starts_with("net.core.somaxconn: failed (74): "),
            "{out:?}"
        );
        assert_eq!(pod.read(S), "4096", "after {setting}");
    }
}

#[test]
fn case_17_quotes_in_the_value() {
    let pod = Pod::new();
    within(&pod, ["net.core.somaxconn=\"1024\""])
        .fails(74)
        .hints("quotes");
    assert_eq!(pod.read(S), "4096");
}

#[test]
fn case_18_too_many_numbers() {
    let pod = Pod::new();
    traced(&pod, ["net.core.somaxconn=1024 2048"])
        .fails(74)
        .says("takes 1 number, 2 given")
        .no_write();
    assert_eq!(pod.read(S), "4096");
}

#[test]
fn case_19_a_short_write_is_taken_back() {
    let pod = Pod::new();
    let out = within(&pod, ["net.core.somaxconn=999 # c"]);
    out.fails(74).says("restored");
    assert_eq!(pod.read(S), "4096", "{out:?}");
}

#[test]
fn case_20_an_empty_number() {
    let pod = Pod::new();
    within(&pod, ["net.core.somaxconn="]).fails(74);
    assert_eq!(pod.read(S), "4096");
}

#[test]
fn case_21_too_few_numbers() {
    let pod = Pod::new();
    let before = pod.read("net/ipv4/ip_local_port_range");
    traced(&pod, ["net.ipv4.ip_local_port_range=20000"])
        .fails(74)
        .says("takes 2 numbers")
        .no_write();
    assert_eq!(pod.read("net/ipv4/ip_local_port_range"), before);
}

#[test]
fn case_22_a_tab_is_a_space() {
    let pod = Pod::new();
    pod.set("net/ipv4/ip_local_port_range", "10000 60000");
    assert!(
        pod.sh("cat /proc/sys/net/ipv4/ip_local_port_range")
            .contains('\t')
    );
    traced(&pod, ["net.ipv4.ip_local_port_range=10000 60000"])
        .succeeds()
        .prints("net.ipv4.ip_local_port_range: already 10000 60000 (this pod's network)\n")
        .no_write();
}

#[test]
fn case_23_a_value_that_another_key_forbids() {
    let pod = Pod::new();
    pod.set("net/ipv4/ip_local_port_range", "1024 65535");
    within(&pod, ["net.ipv4.ip_unprivileged_port_start=2000"])
        .fails(74)
        .says("unchanged");
    assert_eq!(pod.read("net/ipv4/ip_unprivileged_port_start"), "1024");
}

#[test]
fn case_24_a_value_that_another_key_forbids_for_now() {
    let pod = Pod::new();
    pod.set("net/ipv4/ip_local_port_range", "1024 65535");
    within(
        &pod,
        [
            "net.ipv4.ip_unprivileged_port_start=2000",
            "net.ipv4.ip_local_port_range=10000 60000",
        ],
    )
    .succeeds()
    .prints(
        "net.ipv4.ip_unprivileged_port_start: 1024 -> 2000 (this pod's network)\n\
         net.ipv4.ip_local_port_range: 1024 65535 -> 10000 60000 (this pod's network)\n",
    );
    assert_eq!(pod.read("net/ipv4/ip_unprivileged_port_start"), "2000");
    assert_eq!(pod.read("net/ipv4/ip_local_port_range"), "10000 60000");
}

#[test]
fn case_25_half_a_vector_is_taken_back() {
    let pod = Pod::new();
    pod.set("kernel/sem", "250 32000 100 128");
    let out = within(&pod, ["kernel.sem=250 32000 90 40000"]);
    out.fails(74).says("restored");
    assert_eq!(pod.read("kernel/sem"), "250 32000 100 128", "{out:?}");
}

#[test]
fn case_26_an_empty_value_clears_a_list() {
    let pod = Pod::new();
    pod.set("net/ipv4/ip_local_reserved_ports", "80");
    within(&pod, ["net.ipv4.ip_local_reserved_ports="])
        .succeeds()
        .prints("net.ipv4.ip_local_reserved_ports: 80 -> (empty) (this pod's network)\n");
    assert_eq!(
        pod.sh("cat /proc/sys/net/ipv4/ip_local_reserved_ports"),
        "\n"
    );
    traced(&pod, ["net.ipv4.ip_local_reserved_ports="])
        .succeeds()
        .prints("net.ipv4.ip_local_reserved_ports: already (empty) (this pod's network)\n")
        .no_write();
}

#[test]
fn case_27_a_list_of_ports_is_a_set() {
    let pod = Pod::new();
    pod.set("net/ipv4/ip_local_reserved_ports", "8080-8083");
    traced(&pod, ["net.ipv4.ip_local_reserved_ports=8083,8080-8082"])
        .succeeds()
        .prints("net.ipv4.ip_local_reserved_ports: already 8080-8083 (this pod's network)\n")
        .no_write();
    within(&pod, ["net.ipv4.ip_local_reserved_ports=8083,8080"])
        .succeeds()
        .prints("net.ipv4.ip_local_reserved_ports: 8080-8083 -> 8080,8083 (this pod's network)\n");
}

#[test]
fn case_28_a_text_the_kernel_cuts() {
    let pod = Pod::new();
    let wanted = "x".repeat(80);
    let setting = format!("kernel.hostname={wanted}");
    let out = sysctl([&*setting]).inside(&pod).run();
    let stored = "x".repeat(64);
    out.fails(74)
        .says(&wanted)
        .says(&format!("kernel has {stored}"));
    assert_eq!(pod.read("kernel/hostname"), stored);
}

#[test]
fn case_29_text_is_no_number() {
    let pod = Pod::new();
    pod.set("kernel/hostname", "8");
    within(&pod, ["kernel.hostname=010"])
        .succeeds()
        .prints("kernel.hostname: 8 -> 010 (this pod's hostname)\n");
    assert_eq!(pod.read("kernel/hostname"), "010");
}

#[test]
fn the_value_and_its_newline_are_one_write() {
    let pod = Pod::new();
    let out = traced(
        &pod,
        ["kernel.sem=250 32000 100 128", "kernel.hostname=  a  "],
    );
    out.succeeds()
        .one_write("/proc/sys/kernel/sem")
        .one_write("/proc/sys/kernel/hostname");
    let trace = out.trace.as_ref().expect("the run was traced");
    let sem = trace.writes_to("/proc/sys/kernel/sem")[0];
    assert!(sem.contains(r#""250 32000 100 128\n", 18)"#), "{sem}");
    // KEY and VALUE lose outer white space.
    let hostname = trace.writes_to("/proc/sys/kernel/hostname")[0];
    assert!(hostname.contains(r#""a\n", 2)"#), "{hostname}");
    for open in trace.opens_for_writing() {
        for flag in ["O_RDWR", "O_CREAT", "O_TRUNC"] {
            assert!(!open.contains(flag), "{flag} in {open}");
        }
    }
}

#[test]
fn a_second_try_is_still_one_write_each() {
    let pod = Pod::new();
    // A refused value is not tried again when nothing was written in between.
    traced(&pod, ["net.core.somaxconn=abc"])
        .fails(74)
        .one_write(S_PATH);
}
