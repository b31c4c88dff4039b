//! The causes of EACCES, EROFS and EPERM, told apart, each with its own mend.

use super::{S, sysctl, traced, within};
use crate::support::Pod;
use crate::support::node::NodeKey;

const MAX_MAP_COUNT: &str = "/proc/sys/vm/max_map_count";

/// One more than the present value, for a request that nothing on the node meets yet.
fn one_more(key: &NodeKey) -> String {
    let now: u64 = key.read().parse().expect("a number");
    format!("vm.max_map_count={}", now + 1)
}

#[test]
fn case_30_read_only_keys() {
    let pod = Pod::new();
    within(&pod, ["kernel.osrelease=x"])
        .fails(77)
        .says("read-only key");
    within(&pod, ["net.core.rmem_max=1"])
        .fails(77)
        .says("node's network namespace")
        .hints("set it on the node");
}

#[test]
fn case_47_root_of_a_user_namespace() {
    let key = NodeKey::borrow(MAX_MAP_COUNT);
    let before = key.read();
    let pod = Pod::of_nobody();
    let setting = one_more(&key);
    let out = sysctl([&*setting]).inside(&pod).reachable().run();
    out.fails(77)
        .says("user namespace")
        .says(&format!("open {MAX_MAP_COUNT}"))
        .hints("hostUsers");
    assert!(
        out.stdout.starts_with("vm.max_map_count: failed (77): "),
        "{out:?}"
    );
    assert_eq!(key.read(), before);
    // The pod's own keys are its root's all the same.
    sysctl(["net.core.somaxconn=7"])
        .inside(&pod)
        .reachable()
        .run()
        .succeeds();
    assert_eq!(pod.read(S), "7");
}

#[test]
fn case_48_not_root() {
    let key = NodeKey::borrow(MAX_MAP_COUNT);
    let before = key.read();
    let setting = one_more(&key);
    sysctl([&*setting])
        .uid(1000)
        .run()
        .fails(77)
        .says("not root")
        .hints("privileged: true")
        .hints("runAsUser: 0");
    assert_eq!(key.read(), before);
}

#[test]
fn not_root_on_keys_of_the_pod() {
    let pod = Pod::own_network();
    sysctl(["net.ipv4.tcp_fin_timeout=31"])
        .inside(&pod)
        .uid(1000)
        .run()
        .fails(77)
        .says("not root")
        .hints("securityContext.sysctls")
        .does_not_hint("privileged: true");
    sysctl(["net.core.somaxconn=7"])
        .inside(&pod)
        .uid(1000)
        .run()
        .fails(77)
        .says("not root")
        .hints("CAP_NET_ADMIN");
    assert_eq!(pod.read(S), "4096");
}

#[test]
fn case_49_a_check_needs_no_privilege() {
    let out = sysctl(["--check", "vm.max_map_count>=1"])
        .uid(65534)
        .traced()
        .run();
    out.succeeds().no_write();
    assert!(out.stdout.starts_with("vm.max_map_count: kept "), "{out:?}");
    assert!(
        out.stdout.ends_with(", asked >= 1 (node-wide)\n"),
        "{out:?}"
    );
}

#[test]
fn what_is_satisfied_needs_no_privilege() {
    let out = sysctl(["vm.max_map_count>=1"]).uid(65534).traced().run();
    out.succeeds().no_write();
    assert!(out.stdout.starts_with("vm.max_map_count: kept "), "{out:?}");
}

#[test]
fn case_50_read_only_mount_unsafe_key() {
    let pod = Pod::read_only();
    within(&pod, ["net.core.somaxconn=7"])
        .fails(77)
        .says("set net.core.somaxconn to 7: open /proc/sys/net/core/somaxconn: ")
        .says("read-only file system")
        .hints("--allowed-unsafe-sysctls")
        .hints("securityContext.sysctls");
    assert_eq!(pod.read(S), "4096");
}

#[test]
fn case_51_read_only_mount_safe_key() {
    let pod = Pod::read_only();
    within(&pod, ["net.ipv4.tcp_fin_timeout=31"])
        .fails(77)
        .says("read-only file system")
        .hints("securityContext.sysctls")
        .does_not_hint("privileged");
}

#[test]
fn case_52_read_only_mount_already_right() {
    let pod = Pod::read_only();
    traced(&pod, ["net.core.somaxconn=4096"])
        .succeeds()
        .prints("net.core.somaxconn: already 4096 (this pod's network)\n")
        .no_write();
    traced(&pod, ["net.core.somaxconn>=1024"])
        .succeeds()
        .prints("net.core.somaxconn: kept 4096, asked >= 1024 (this pod's network)\n")
        .no_write();
}

#[test]
fn case_53_read_only_mount_optional_key() {
    let pod = Pod::read_only();
    within(&pod, ["-net.core.somaxconn=7"])
        .succeeds()
        .prints("net.core.somaxconn: skipped, read-only file system\n");
    assert_eq!(pod.read(S), "4096");
}

#[test]
fn case_54_read_only_mount_read_only_key() {
    let pod = Pod::read_only();
    within(&pod, ["kernel.osrelease=x"])
        .fails(77)
        .says("read-only key")
        .does_not_say("read-only file system");
}

#[test]
fn read_only_mount_node_wide_key() {
    // In a user namespace the mend is another one, whatever the mount says.
    let key = NodeKey::borrow(MAX_MAP_COUNT);
    let pod = Pod::read_only();
    let setting = one_more(&key);
    sysctl([&*setting])
        .inside(&pod)
        .run()
        .fails(77)
        .says("user namespace")
        .hints("hostUsers");
    // As the node's own root, it is the mount.
    let pod = Pod::proc_sys_read_only();
    sysctl([&*setting])
        .inside(&pod)
        .run()
        .fails(77)
        .says("read-only file system")
        .hints("privileged: true")
        .hints("runAsUser: 0");
}

#[test]
fn case_55_root_without_the_capability() {
    let pod = Pod::own_network();
    let other = if pod.read("net/ipv4/ip_forward") == "1" {
        "0"
    } else {
        "1"
    };
    let setting = format!("net.ipv4.ip_forward={other}");
    sysctl([&*setting])
        .inside(&pod)
        .without_capability("net_admin")
        .run()
        .fails(77)
        .says(&format!(
            "set net.ipv4.ip_forward to {other}: write /proc/sys/net/ipv4/ip_forward: "
        ))
        .hints("CAP_NET_ADMIN");
    assert_ne!(pod.read("net/ipv4/ip_forward"), other);
    // With it, the same command does it, and a key that asks for no capability never needed it.
    sysctl([&*setting]).inside(&pod).run().succeeds();
    assert_eq!(pod.read("net/ipv4/ip_forward"), other);
}

#[test]
fn a_congestion_control_that_is_not_there() {
    let pod = Pod::new();
    let before = pod.read("net/ipv4/tcp_congestion_control");
    let available = pod.read("net/ipv4/tcp_available_congestion_control");
    let first = available
        .split(' ')
        .next()
        .expect("one algorithm at least")
        .to_string();
    within(&pod, ["net.ipv4.tcp_congestion_control=nope"])
        .fails(74)
        .hints(&first);
    assert_eq!(pod.read("net/ipv4/tcp_congestion_control"), before);
}
