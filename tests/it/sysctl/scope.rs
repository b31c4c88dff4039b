//! Who else sees a change: said beside every value, the same for a person and a program.

use super::{sysctl, within};
use crate::support::Pod;

/// A key of each kind, how a pod's own is called, and in a document.
const SCOPES: &[(&str, &str, &str)] = &[
    ("net.core.somaxconn", "this pod's network", "network"),
    (
        "net.ipv6.conf.lo.hop_limit",
        "this pod's network",
        "network",
    ),
    ("kernel.shmmni", "this pod's IPC", "ipc"),
    ("kernel.msgmax", "this pod's IPC", "ipc"),
    ("fs.mqueue.queues_max", "this pod's IPC", "ipc"),
    ("kernel.pid_max", "this pid namespace", "pid"),
    ("user.max_net_namespaces", "this user namespace", "user"),
    ("vm.swappiness", "node-wide", "node"),
    ("kernel.threads-max", "node-wide", "node"),
    ("fs.file-max", "node-wide", "node"),
];

#[test]
fn in_a_pod_each_namespace_has_its_own() {
    let pod = Pod::new();
    for (key, words, name) in SCOPES {
        let check = format!("{key}>=0");
        let out = sysctl(["--check", &*check]).inside(&pod).run();
        out.succeeds();
        assert!(out.stdout.ends_with(&format!(" ({words})\n")), "{out:?}");
        let out = sysctl(["--check", &*check, "--output", "json"])
            .inside(&pod)
            .run();
        assert_eq!(out.json()["settings"][0]["scope"], *name, "{out:?}");
    }
    let out = within(&pod, ["--check", "kernel.domainname=x"]);
    out.fails(1);
    assert!(out.stdout.ends_with(" (this pod's hostname)\n"), "{out:?}");
}

#[test]
fn on_the_node_everything_is_the_nodes() {
    for (key, ..) in SCOPES {
        let check = format!("{key}>=0");
        let out = sysctl(["--check", &*check]).run();
        out.succeeds();
        assert!(out.stdout.ends_with(" (node-wide)\n"), "{out:?}");
        let out = sysctl(["--check", &*check, "--output", "json"]).run();
        assert_eq!(out.json()["settings"][0]["scope"], "node", "{out:?}");
    }
    let out = sysctl(["--check", "kernel.domainname=no-such-domain"]).run();
    out.fails(1);
    assert!(out.stdout.ends_with(" (node-wide)\n"), "{out:?}");
}

#[test]
fn a_safe_key_is_said_to_need_no_init_container_only_in_a_pod() {
    let pod = Pod::new();
    for (key, value) in [
        ("net.ipv4.tcp_syncookies", "0"),
        ("net.ipv4.tcp_keepalive_time", "601"),
        ("net.ipv4.ip_local_port_range", "20000 50000"),
    ] {
        let setting = format!("{key}={value}");
        let out = sysctl([&*setting]).inside(&pod).run();
        out.succeeds();
        let line = out.logs_once("securityContext.sysctls");
        assert!(line.contains(key), "{out:?}");
        let out = sysctl([&*setting, "--output", "json"]).inside(&pod).run();
        assert_eq!(out.json()["settings"][0]["safe"], true, "{out:?}");
        // Nothing set, nothing to say.
        out.does_not_log("securityContext.sysctls");
    }
    // Nor when the kernel refused the value: it would refuse the kubelet as well.
    within(&pod, ["net.ipv4.ip_local_reserved_ports=80,foo"])
        .fails(74)
        .does_not_log("securityContext.sysctls");
}
