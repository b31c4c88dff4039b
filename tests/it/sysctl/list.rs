//! `--list`: the whole tree, each key once, fit to be loaded again.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{S, sysctl, traced, within};
use crate::support::Pod;

/// The entries of a listing by path; a path that comes twice fails the test.
fn entries(document: &Value) -> BTreeMap<String, Value> {
    let keys = document["keys"].as_array().expect("an array of keys");
    let mut entries = BTreeMap::new();
    for key in keys {
        let path = key["path"].as_str().expect("a path").to_string();
        assert!(
            entries.insert(path.clone(), key.clone()).is_none(),
            "{path} twice"
        );
    }
    entries
}

#[test]
fn case_74_one_key_or_none() {
    let pod = Pod::new();
    traced(&pod, ["--list", "net.core.somaxconn"])
        .succeeds()
        .prints("net.core.somaxconn = 4096\n")
        .no_write();
    within(&pod, ["--list", "net/core/somaxconn"])
        .succeeds()
        .prints("net.core.somaxconn = 4096\n");
    within(&pod, ["--list", "nope"]).fails(66).prints("");
    within(&pod, ["--list", "net.nope.*"]).fails(66).prints("");
}

#[test]
fn case_75_every_key_of_the_tree_once() {
    let pod = Pod::new();
    // A name with a dot, which the walk must give back whole.
    pod.sh("ip link add eno2.100 type bridge");
    let found = pod.sh("find /proc/sys -type f");
    let out = traced(&pod, ["--list", "--output", "json"]);
    out.succeeds().no_write();
    let entries = entries(&out.json());
    let mut wanted: Vec<_> = found.lines().collect();
    wanted.sort_unstable();
    let listed: Vec<_> = entries.keys().map(String::as_str).collect();
    assert_eq!(listed, wanted);
    for (path, entry) in &entries {
        let dotted = path["/proc/sys/".len()..]
            .split('/')
            .map(|part| part.replace('.', "/"))
            .collect::<Vec<_>>()
            .join(".");
        assert_eq!(entry["key"], Value::String(dotted), "{entry}");
    }
    for unread in [
        "/proc/sys/net/ipv4/route/flush",
        "/proc/sys/net/ipv4/tcp_fastopen_key",
        "/proc/sys/net/ipv6/conf/lo/stable_secret",
        "/proc/sys/vm/stat_refresh",
    ] {
        assert_eq!(entries[unread]["value"], Value::Null, "{unread}");
    }
    // Reading this one makes every processor fold its counters: it is never done.
    let trace = out.trace.as_ref().expect("the run was traced");
    assert_eq!(trace.reads_of("/proc/sys/vm/stat_refresh"), [""; 0]);
    assert_eq!(trace.reads_of("/proc/sys/net/core/somaxconn").len(), 1);
    let key = &entries["/proc/sys/net/core/somaxconn"];
    assert_eq!(key["value"], "4096");
    assert_eq!(key["scope"], "network");
    assert_eq!(entries["/proc/sys/kernel/hostname"]["scope"], "uts");
    assert_eq!(entries["/proc/sys/kernel/sem"]["scope"], "ipc");
    assert_eq!(entries["/proc/sys/vm/max_map_count"]["scope"], "node");
    assert_eq!(
        entries["/proc/sys/net/ipv4/conf/eno2.100/rp_filter"]["key"],
        "net.ipv4.conf.eno2/100.rp_filter"
    );
}

#[test]
fn the_document_of_one_key() {
    let pod = Pod::new();
    let out = within(&pod, ["--list", "net.core.somaxconn", "--output", "json"]);
    out.succeeds();
    let document = out.json();
    let mode = &document["keys"][0]["mode"];
    assert!(mode.to_string().contains("644"), "{document}");
    let wanted = serde_json::json!({"keys": [{
        "key": "net.core.somaxconn",
        "path": "/proc/sys/net/core/somaxconn",
        "value": "4096",
        "mode": mode,
        "scope": "network",
    }]});
    assert_eq!(document, wanted);
}

#[test]
fn a_group_and_a_glob() {
    let pod = Pod::new();
    let out = within(&pod, ["--list", "net.ipv4.conf.lo"]);
    out.succeeds();
    let count = pod
        .sh("find /proc/sys/net/ipv4/conf/lo -type f")
        .lines()
        .count();
    assert_eq!(out.stdout.lines().count(), count, "{out:?}");
    assert!(
        out.stdout
            .lines()
            .all(|line| line.starts_with("net.ipv4.conf.lo.")),
        "{out:?}"
    );
    let out = within(&pod, ["--list", "net.ipv4.conf.*.log_martians"]);
    out.succeeds();
    let mut lines: Vec<_> = out.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "net.ipv4.conf.all.log_martians = 0",
            "net.ipv4.conf.default.log_martians = 0",
            "net.ipv4.conf.lo.log_martians = 0",
        ]
    );
}

#[test]
fn what_is_write_only_or_hidden_is_not_in_the_text() {
    let pod = Pod::new();
    let out = within(&pod, ["--list"]);
    out.succeeds();
    assert!(
        out.stdout.contains("\nnet.core.somaxconn = 4096\n"),
        "{out:?}"
    );
    for absent in [
        "net.ipv4.route.flush",
        "tcp_fastopen_key",
        "stable_secret",
        "vm.stat_refresh",
    ] {
        assert!(!out.stdout.contains(absent), "{absent} in the listing");
    }
    for line in out.stdout.lines() {
        assert!(line.contains(" = ") || line.ends_with(" ="), "{line:?}");
    }
}

#[test]
fn a_listing_can_be_loaded_again() {
    let pod = Pod::new();
    pod.set(S, "300");
    pod.set("net/ipv4/ip_local_reserved_ports", "80,8080-8083");
    let out = within(&pod, ["--list", "net.core.somaxconn"]);
    let ports = within(&pod, ["--list", "net.ipv4.ip_local_reserved_ports"]);
    let text = format!("{}{}", out.stdout, ports.stdout);
    sysctl(["--load", "-"])
        .inside(&pod)
        .stdin(&text)
        .traced()
        .run()
        .succeeds()
        .no_write();
    pod.set(S, "4096");
    sysctl(["--load", "-"])
        .inside(&pod)
        .stdin(&text)
        .run()
        .succeeds();
    assert_eq!(pod.read(S), "300");
    // A whole group of the pod's own: nothing to do, so nothing is written.
    let out = within(&pod, ["--list", "net.ipv4.conf.lo"]);
    sysctl(["--load", "-"])
        .inside(&pod)
        .stdin(&out.stdout)
        .traced()
        .run()
        .succeeds()
        .no_write();
}
