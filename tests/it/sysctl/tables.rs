//! Keys that are not there: which code, and which way to the right one.

use super::{S, within};
use crate::support::Pod;

#[test]
fn case_12_a_key_misspelt() {
    let pod = Pod::new();
    within(&pod, ["vm.max_map_cuont>=1"])
        .fails(66)
        .hints("did you mean vm.max_map_count");
    within(&pod, ["net.core.somaxcon=7"])
        .fails(66)
        .hints("did you mean net.core.somaxconn");
    assert_eq!(pod.read(S), "4096");
}

#[test]
fn case_13_groups_and_what_is_below_a_key() {
    let pod = Pod::new();
    within(&pod, ["net.ipv4=1"])
        .fails(66)
        .says("group")
        .hints("--list net.ipv4");
    within(&pod, ["kernel.hostname.x=1"])
        .fails(66)
        .says("no such key");
}

#[test]
fn case_14_keys_of_the_node_and_of_modules() {
    let pod = Pod::new();
    within(&pod, ["net.core.netdev_max_backlog=5000"])
        .fails(66)
        .says("node's network namespace")
        .hints("hostNetwork: true");
    for key in [
        "net.core.default_qdisc=fq",
        "net.ipv4.tcp_mem=1 2 3",
        "net.nf_conntrack_max=65536",
    ] {
        within(&pod, [key])
            .fails(66)
            .says("node's network namespace");
    }
    for (setting, group, module) in [
        ("net.sctp.addip_enable=1", "net/sctp", "sctp"),
        ("net.mpls.platform_labels=1", "net/mpls", "mpls_router"),
    ] {
        pod.sh(&format!("test ! -e /proc/sys/{group}"));
        within(&pod, [setting])
            .fails(66)
            .says("no such key")
            .hints(&format!("modprobe {module}"));
    }
}

#[test]
fn an_interface_that_is_missing_is_told_from_one_that_is_not() {
    let pod = Pod::new();
    within(&pod, ["net.ipv4.conf.t9.forwarding=1"])
        .fails(66)
        .hints("lo");
    pod.sh("ip link add t9 type bridge");
    within(
        &pod,
        [
            "net.ipv4.conf.t9.forwarding>=1",
            "net.ipv4.conf.t9.rp_filter=1",
        ],
    )
    .succeeds();
    assert_eq!(pod.read("net/ipv4/conf/t9/forwarding"), "1");
    assert_eq!(pod.read("net/ipv4/conf/t9/rp_filter"), "1");
}

#[test]
fn an_interface_with_a_dot_in_its_name() {
    let pod = Pod::new();
    pod.sh("ip link add eno2.100 type bridge");
    let before = pod.read("net/ipv4/conf/eno2.100/rp_filter");
    assert_ne!(before, "2");
    let line = format!("net.ipv4.conf.eno2/100.rp_filter: {before} -> 2 (this pod's network)\n");
    for spelling in [
        "net.ipv4.conf.eno2/100.rp_filter=2",
        "net/ipv4/conf/eno2.100/rp_filter=2",
        "/proc/sys/net/ipv4/conf/eno2.100/rp_filter=2",
    ] {
        pod.set("net/ipv4/conf/eno2.100/rp_filter", &before);
        within(&pod, [spelling]).succeeds().prints(&line);
        assert_eq!(
            pod.read("net/ipv4/conf/eno2.100/rp_filter"),
            "2",
            "after {spelling}"
        );
    }
    within(&pod, ["net.ipv4.conf.eno2.100.rp_filter=1"])
        .fails(66)
        .hints("did you mean net.ipv4.conf.eno2/100.rp_filter");
}
