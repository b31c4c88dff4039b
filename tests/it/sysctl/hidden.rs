//! Keys whose values are secrets: shown nowhere, in no format, at no level, in no failure.

use super::{Podinit, sysctl};
use crate::support::{Outcome, Pod};

/// A key of TCP Fast Open as the kernel shows it, and another to replace it.
const OLD: &str = "0a1b2c3d-11112222-33334444-5e6f7a8b";
const NEW: &str = "deadbeef-55556666-77778888-0badcafe";

/// Every part of both keys that could not stand in an output by chance.
const PARTS: &[&str] = &[
    "0a1b2c3d",
    "11112222",
    "33334444",
    "5e6f7a8b",
    "deadbeef",
    "55556666",
    "77778888",
    "0badcafe",
    "fade:cafe",
    "feed:beef",
];

/// Runs as told, and again in JSON, at every level, each time with a termination log.
#[track_caller]
fn in_every_format<'pod>(pod: &'pod Pod, run: impl Fn() -> Podinit<'pod>) -> Vec<Outcome> {
    let extras: &[&[&str]] = &[
        &[],
        &["-v"],
        &["-vv"],
        &["-vvv"],
        &["--log-level", "trace"],
        &["--log-format", "json", "-vv"],
        &["--output", "json"],
        &["--dry-run", "-vv"],
    ];
    let outcomes: Vec<_> = extras
        .iter()
        .map(|extra| run().args(*extra).inside(pod).termination_log().run())
        .collect();
    for outcome in &outcomes {
        assert_ne!(outcome.code, 70, "{outcome:?}");
        for part in PARTS {
            outcome.never_shows(part);
        }
    }
    outcomes
}

#[test]
fn a_fast_open_key_is_set_unseen() {
    let pod = Pod::new();
    let setting = format!("net.ipv4.tcp_fastopen_key={NEW}");
    pod.set("net/ipv4/tcp_fastopen_key", OLD);
    sysctl([&*setting])
        .inside(&pod)
        .run()
        .succeeds()
        .prints("net.ipv4.tcp_fastopen_key: (hidden) -> (hidden) (this pod's network)\n");
    assert_eq!(pod.read("net/ipv4/tcp_fastopen_key"), NEW);
    sysctl([&*setting])
        .inside(&pod)
        .run()
        .succeeds()
        .prints("net.ipv4.tcp_fastopen_key: already (hidden) (this pod's network)\n");
    let outcomes = in_every_format(&pod, || {
        pod.set("net/ipv4/tcp_fastopen_key", OLD);
        sysctl([&*setting])
    });
    for outcome in outcomes {
        outcome.succeeds();
    }
    for outcome in in_every_format(&pod, || sysctl([&*setting, "--check"])) {
        assert!([0, 1].contains(&outcome.code), "{outcome:?}");
    }
}

#[test]
fn a_stable_secret_is_set_unseen() {
    let pod = Pod::new();
    let path = "net/ipv6/conf/lo/stable_secret";
    sysctl(["net.ipv6.conf.lo.stable_secret=2001:db8::fade:cafe"])
        .inside(&pod)
        .run()
        .succeeds();
    assert_eq!(pod.read(path), "2001:0db8:0000:0000:0000:0000:fade:cafe");
    // Another spelling of the same address is the same secret.
    let same = sysctl(["net.ipv6.conf.lo.stable_secret=2001:0db8:0:0::fade:cafe"])
        .inside(&pod)
        .traced()
        .run();
    same.succeeds()
        .prints("net.ipv6.conf.lo.stable_secret: already (hidden) (this pod's network)\n")
        .no_write();
    for outcome in in_every_format(&pod, || {
        sysctl(["net.ipv6.conf.lo.stable_secret=2001:db8::feed:beef"])
    }) {
        outcome.succeeds();
    }
}

#[test]
fn a_failure_does_not_show_what_it_was_given() {
    let pod = Pod::new();
    pod.set("net/ipv4/tcp_fastopen_key", OLD);
    for (setting, code) in [
        // Refused by the kernel, or of another shape than the kernel's.
        (
            "net.ipv4.tcp_fastopen_key=deadbeef-55556666-zzzz".to_string(),
            74,
        ),
        ("net.ipv6.conf.lo.stable_secret=fade:cafe".to_string(), 74),
        // No such key, but of a name that holds secrets.
        (
            "net.ipv6.conf.nope.stable_secret=2001:db8::fade:cafe".to_string(),
            66,
        ),
    ] {
        for outcome in in_every_format(&pod, || sysctl([&*setting])) {
            // A dry run cannot know the kernel's opinion of a value.
            if !outcome.what.contains("--dry-run") {
                outcome.ends_with(code);
            }
        }
    }
    assert_eq!(pod.read("net/ipv4/tcp_fastopen_key"), OLD);
}

#[test]
fn a_usage_error_does_not_show_what_it_was_given() {
    let pod = Pod::new();
    for args in [
        vec![format!("net.ipv4.tcp_fastopen_key=={NEW}")],
        vec![format!("net.ipv4.tcp_fastopen_key>{NEW}")],
        vec![format!("net.ipv4.tcp_fastopen_key>={NEW}")],
        vec![format!("net/ipv4/tcp_fastopen_key<={NEW}")],
        vec![format!("-net.ipv4.tcp_fastopen_key=={NEW}")],
        vec![format!("net.ipv4.tcp_fastopen_key={NEW}\n{OLD}")],
        vec![
            "--min".to_string(),
            format!("net.ipv4.tcp_fastopen_key={NEW}"),
        ],
        vec![format!("--max=net.ipv4.tcp_fastopen_key={NEW}")],
        vec![
            "--sys".to_string(),
            format!("net.ipv4.tcp_fastopen_key={NEW}"),
        ],
        vec![format!("net..ipv6.conf.lo.stable_secret=fade:cafe::{NEW}")],
    ] {
        for outcome in in_every_format(&pod, || sysctl([]).args(&args)) {
            outcome.ends_with(64);
        }
    }
    for line in [
        format!("net.ipv4.tcp_fastopen_key = {NEW} # note\n"),
        format!("net.ipv4.tcp_fastopen_key=={NEW}\n"),
        format!("net.ipv6.conf.all.stable_secret>=fade:cafe::{NEW}\n"),
    ] {
        for outcome in in_every_format(&pod, || sysctl(["--load", "-"]).stdin(&line)) {
            outcome.ends_with(64);
        }
    }
}

#[test]
fn a_read_only_mount_does_not_make_it_visible() {
    let pod = Pod::read_only();
    let setting = format!("net.ipv4.tcp_fastopen_key={NEW}");
    for outcome in in_every_format(&pod, || sysctl([&*setting])) {
        outcome.ends_with(77);
    }
    for outcome in in_every_format(&pod, || sysctl([&*setting, "--wait", "--timeout", "100ms"])) {
        assert_ne!(outcome.code, 0, "{outcome:?}");
    }
}

#[test]
fn a_listing_leaves_it_out() {
    let pod = Pod::new();
    pod.set("net/ipv4/tcp_fastopen_key", OLD);
    for pattern in [
        "net.ipv4",
        "net.ipv4.tcp_fastopen_key",
        "net.ipv4.tcp_fast*",
    ] {
        for outcome in in_every_format(&pod, || sysctl(["--list", pattern])) {
            outcome.ends_with(0);
            if outcome.what.contains("--output json") {
                let listed = outcome.json();
                let mut keys = listed["keys"].as_array().expect("an array of keys").iter();
                let key = keys.find(|entry| entry["key"] == "net.ipv4.tcp_fastopen_key");
                assert!(
                    key.expect("the key is named")["value"].is_null(),
                    "{outcome:?}"
                );
            } else {
                assert!(!outcome.stdout.contains("tcp_fastopen_key"), "{outcome:?}");
            }
        }
    }
}
