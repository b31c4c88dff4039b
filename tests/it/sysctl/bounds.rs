//! `KEY>=N` and `KEY<=N`: raised, lowered, kept, and never satisfied by what is no number.

use std::time::Duration;

use super::{S, S_PATH, sysctl, traced, within};
use crate::support::{Pod, machine_to_itself};

/// How long a bound that was written settles, for raisers that race.
const SETTLE: Duration = Duration::from_millis(100);

#[test]
fn case_32_a_lower_bound_raises_and_settles() {
    let pod = Pod::new();
    pod.set(S, "128");
    within(&pod, ["net.core.somaxconn>=1024"])
        .succeeds()
        .prints("net.core.somaxconn: 128 -> 1024 (this pod's network)\n")
        .no_sooner_than(SETTLE);
    assert_eq!(pod.read(S), "1024");
    pod.set(S, "128");
    traced(&pod, ["net.core.somaxconn>=1024"])
        .succeeds()
        .one_write(S_PATH);
}

#[test]
fn case_33_a_bound_already_met_costs_nothing() {
    let _turn = machine_to_itself();
    let pod = Pod::new();
    within(&pod, ["net.core.somaxconn>=1024"])
        .succeeds()
        .prints("net.core.somaxconn: kept 4096, asked >= 1024 (this pod's network)\n")
        .within(Duration::from_millis(50));
    traced(&pod, ["net.core.somaxconn>=1024"])
        .succeeds()
        .no_write();
    // Met by exactly the value asked for: nothing was kept against a wish.
    traced(&pod, ["net.core.somaxconn>=4096"])
        .succeeds()
        .prints("net.core.somaxconn: already 4096 (this pod's network)\n")
        .no_write();
}

#[test]
fn case_34_an_upper_bound() {
    let pod = Pod::new();
    within(&pod, ["net.core.somaxconn<=1024"])
        .succeeds()
        .prints("net.core.somaxconn: 4096 -> 1024 (this pod's network)\n");
    assert_eq!(pod.read(S), "1024");
    pod.set(S, "128");
    traced(&pod, ["net.core.somaxconn<=1024"])
        .succeeds()
        .prints("net.core.somaxconn: kept 128, asked <= 1024 (this pod's network)\n")
        .no_write();
    assert_eq!(pod.read(S), "128");
}

#[test]
fn case_35_bounds_without_shell_characters() {
    let pod = Pod::new();
    let raised = "net.core.somaxconn: 128 -> 1024 (this pod's network)\n";
    for run in [
        sysctl(["--min", "net.core.somaxconn=1024"]),
        sysctl(["--min=net.core.somaxconn=1024"]),
        sysctl([]).env("PODINIT_MIN", "net.core.somaxconn=1024"),
    ] {
        pod.set(S, "128");
        run.inside(&pod)
            .run()
            .succeeds()
            .prints(raised)
            .no_sooner_than(SETTLE);
        assert_eq!(pod.read(S), "1024");
    }
    sysctl(["--max", "net.core.somaxconn=512"])
        .inside(&pod)
        .run()
        .succeeds()
        .prints("net.core.somaxconn: 1024 -> 512 (this pod's network)\n");
}

#[test]
fn a_repeatable_flag_takes_one_item_a_line_from_its_variable() {
    let pod = Pod::new();
    pod.set(S, "128");
    pod.set("net/ipv4/tcp_fin_timeout", "10");
    sysctl([])
        .inside(&pod)
        .env(
            "PODINIT_MIN",
            "net.core.somaxconn=1024\n-net.bogus.key=3\nnet.ipv4.tcp_fin_timeout=20",
        )
        .run()
        .succeeds()
        .prints(
            "net.core.somaxconn: 128 -> 1024 (this pod's network)\n\
             net.bogus.key: skipped, no such key\n\
             net.ipv4.tcp_fin_timeout: 10 -> 20 (this pod's network)\n",
        );
}

#[test]
fn case_36_a_range() {
    let pod = Pod::new();
    for (before, line, after) in [
        ("4096", "4096 -> 2048", "2048"),
        ("128", "128 -> 1024", "1024"),
        ("1500", "kept 1500, asked >= 1024, <= 2048", "1500"),
    ] {
        pod.set(S, before);
        within(
            &pod,
            ["net.core.somaxconn>=1024", "net.core.somaxconn<=2048"],
        )
        .succeeds()
        .prints(&format!(
            "net.core.somaxconn: {line} (this pod's network)\n"
        ));
        assert_eq!(pod.read(S), after, "from {before}");
    }
}

#[test]
fn case_38_a_vector_is_raised_field_by_field() {
    let pod = Pod::new();
    pod.set("net/ipv4/tcp_rmem", "8192 131072 6291456");
    within(&pod, ["net.ipv4.tcp_rmem>=4096 131072 16777216"])
        .succeeds()
        .prints(
            "net.ipv4.tcp_rmem: 8192 131072 6291456 -> 8192 131072 16777216 (this pod's network)\n",
        );
    assert_eq!(pod.read("net/ipv4/tcp_rmem"), "8192 131072 16777216");
}

#[test]
fn case_39_a_vector_is_not_raised_by_one_number() {
    let pod = Pod::new();
    let before = pod.read("net/ipv4/tcp_wmem");
    traced(&pod, ["net.ipv4.tcp_wmem>=4096"])
        .fails(74)
        .says("takes 3 numbers")
        .no_write();
    assert_eq!(pod.read("net/ipv4/tcp_wmem"), before);
}

#[test]
fn case_40_what_is_no_number_meets_no_bound() {
    let _turn = machine_to_itself();
    let pod = Pod::new();
    let before = pod.read("kernel/hostname");
    assert_eq!(pod.read("net/ipv4/ip_local_reserved_ports"), "");
    for bound in ["kernel.hostname>=5", "net.ipv4.ip_local_reserved_ports>=5"] {
        traced(&pod, [bound]).fails(74).hints("=").no_write();
        traced(&pod, ["--check", bound]).fails(74).no_write();
        within(&pod, ["--wait", "--timeout", "30s", bound])
            .fails(74)
            .within(Duration::from_millis(200));
    }
    // A bound of nothing is no excuse.
    traced(&pod, ["kernel.hostname>=0"]).fails(74).no_write();
    assert_eq!(pod.read("kernel/hostname"), before);
}

#[test]
fn case_41_a_negative_value_may_mean_no_limit() {
    let pod = Pod::new();
    pod.set("net/ipv4/ip_forward", "-1");
    for bound in ["net.ipv4.ip_forward>=1", "net.ipv4.ip_forward<=1"] {
        traced(&pod, [bound])
            .fails(74)
            .hints("net.ipv4.ip_forward=1")
            .no_write();
    }
    assert_eq!(pod.read("net/ipv4/ip_forward"), "-1");
}

#[test]
fn case_43_a_later_bound_replaces_an_earlier_value() {
    let pod = Pod::new();
    traced(&pod, ["net.core.somaxconn=100", "net.core.somaxconn>=200"])
        .succeeds()
        .prints("net.core.somaxconn: kept 4096, asked >= 200 (this pod's network)\n")
        .no_write();
    // And a later value replaces every bound before it, also one that would contradict.
    within(&pod, ["net.core.somaxconn>=5000", "net.core.somaxconn=300"])
        .succeeds()
        .prints("net.core.somaxconn: 4096 -> 300 (this pod's network)\n");
    assert_eq!(pod.read(S), "300");
}

#[test]
fn bounds_add_up_to_the_strictest() {
    let pod = Pod::new();
    pod.set(S, "128");
    within(
        &pod,
        [
            "net.core.somaxconn>=200",
            "net.core.somaxconn>=1024",
            "--min",
            "net.core.somaxconn=300",
        ],
    )
    .succeeds()
    .prints("net.core.somaxconn: 128 -> 1024 (this pod's network)\n");
}
