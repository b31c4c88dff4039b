//! What the kernel's interface does to the unwary: single reads, short writes, keys that change
//! other keys, files that can only be written.

use super::{S, sysctl, traced, within};
use crate::support::{Pod, machine_to_itself};

const PORTS: &str = "net/ipv4/ip_local_reserved_ports";

#[test]
fn a_long_list_is_read_and_written_whole() {
    let pod = Pod::new();
    // 5,000 ports that form no range: 30 kB, where one write takes 4,095 bytes.
    let list = (0..5000)
        .map(|n| (10001 + 2 * n).to_string())
        .collect::<Vec<_>>()
        .join(",");
    let setting = format!("net.ipv4.ip_local_reserved_ports={list}\n");
    let out = sysctl(["--load", "-"]).stdin(&setting).inside(&pod).run();
    out.succeeds();
    assert!(
        out.stdout
            .starts_with("net.ipv4.ip_local_reserved_ports: (empty) -> 10001,")
    );
    assert!(
        out.stdout.len() < 400,
        "a value is cut at 200 bytes: {}",
        out.stdout.len()
    );
    assert_eq!(pod.read(PORTS), list);
    let again = sysctl(["--load", "-"])
        .stdin(&setting)
        .inside(&pod)
        .traced()
        .run();
    again.succeeds().no_write();
    // One port less, far behind everything a short read would see.
    let less = list.rsplit_once(',').expect("a comma").0;
    let setting = format!("net.ipv4.ip_local_reserved_ports={less}\n");
    sysctl(["--load", "-", "--check"])
        .stdin(&setting)
        .inside(&pod)
        .run()
        .fails(1);
    sysctl(["--load", "-"])
        .stdin(&setting)
        .inside(&pod)
        .run()
        .succeeds();
    assert_eq!(pod.read(PORTS), less);
}

#[test]
fn a_long_vector_is_read_whole() {
    let pod = Pod::new();
    pod.set("kernel/sem", "2147483000 2147483001 2147483002 31000");
    traced(&pod, ["kernel.sem=2147483000 2147483001 2147483002 31000"])
        .succeeds()
        .prints("kernel.sem: already 2147483000 2147483001 2147483002 31000 (this pod's IPC)\n")
        .no_write();
    within(
        &pod,
        [
            "--check",
            "kernel.sem=2147483000 2147483001 2147483002 30999",
        ],
    )
    .fails(1);
}

#[test]
fn a_key_that_changes_another_is_noticed() {
    let pod = Pod::new();
    // Forwarding for all also switches `lo`, which was right when it was looked at.
    pod.set("net/ipv4/conf/all/forwarding", "0");
    assert_eq!(pod.read("net/ipv4/conf/lo/forwarding"), "0");
    within(
        &pod,
        [
            "net.ipv4.conf.lo.forwarding=0",
            "net.ipv4.conf.all.forwarding=1",
        ],
    )
    .succeeds();
    assert_eq!(pod.read("net/ipv4/conf/all/forwarding"), "1");
    assert_eq!(pod.read("net/ipv4/conf/lo/forwarding"), "0");
}

#[test]
fn two_settings_that_exclude_each_other_are_a_failure() {
    let pod = Pod::new();
    pod.set("net/ipv4/ip_forward", "0");
    // Two names of one switch: no order of writes can satisfy both.
    within(
        &pod,
        ["net.ipv4.ip_forward=0", "net.ipv4.conf.all.forwarding=1"],
    )
    .fails(74);
}

#[test]
fn what_can_only_be_written_is_sent() {
    let pod = Pod::new();
    traced(&pod, ["net.ipv4.route.flush=1"])
        .succeeds()
        .prints("net.ipv4.route.flush: sent 1 (this pod's network)\n")
        .one_write("/proc/sys/net/ipv4/route/flush");
    traced(&pod, ["--check", "net.ipv4.route.flush=1"])
        .fails(74)
        .no_write();
    traced(&pod, ["net.ipv4.route.flush>=1"])
        .fails(74)
        .hints("=")
        .no_write();
}

#[test]
fn a_value_is_shown_escaped() {
    let pod = Pod::new();
    pod.sh(r"printf 'a\033[31mb' > /proc/sys/kernel/hostname");
    let out = within(&pod, ["kernel.hostname=c"]);
    out.succeeds();
    assert!(
        !out.stdout.contains('\u{1b}') && !out.stderr.contains('\u{1b}'),
        "{out:?}"
    );
    assert_eq!(pod.read("kernel/hostname"), "c");
}

#[test]
fn a_numeric_value_in_another_base_is_the_same_number() {
    let pod = Pod::new();
    for spelling in ["0x1000", "010000", " 4096 "] {
        let setting = format!("net.core.somaxconn={spelling}");
        sysctl([&*setting])
            .inside(&pod)
            .traced()
            .run()
            .succeeds()
            .no_write()
            .prints("net.core.somaxconn: already 4096 (this pod's network)\n");
    }
    assert_eq!(pod.read(S), "4096");
}

#[test]
fn a_deadline_covers_the_settle() {
    let _turn = machine_to_itself();
    let pod = Pod::new();
    pod.set(S, "128");
    // Shorter than the settle of a written bound: it ends in time, one way or the other.
    let out = sysctl(["net.core.somaxconn>=1024", "--timeout", "20ms"])
        .inside(&pod)
        .run();
    assert!([0, 69].contains(&out.code), "{out:?}");
    out.within(std::time::Duration::from_millis(270));
    let value = pod.read(S);
    assert!(["128", "1024"].contains(&&*value), "{value}");
    within(&pod, ["net.core.somaxconn>=1024"]).succeeds();
    assert_eq!(pod.read(S), "1024");
}

#[test]
fn nonsense_is_answered_and_opens_nothing_for_writing() {
    const PIECES: &[&str] = &[
        "net",
        "core",
        "somaxconn",
        "vm",
        "kernel",
        "hostname",
        "lo",
        "conf",
        ".",
        ".",
        "/",
        "/",
        "..",
        "=",
        ">=",
        "<=",
        ">",
        "<",
        "-",
        "--",
        "*",
        "?",
        "[",
        "]",
        "[a-z]",
        "!",
        " ",
        "\t",
        "\n",
        "#",
        "7",
        "4096",
        "18446744073709551616",
        "\u{e9}",
        "\u{202e}",
        "\u{1b}[2J",
        "%s",
        "'",
        "\"",
        "\\",
    ];
    let pod = Pod::new();
    for _ in 0..200 {
        let count = fastrand::usize(1..9);
        let nonsense: String = (0..count)
            .map(|_| PIECES[fastrand::usize(..PIECES.len())])
            .collect();
        let out = sysctl(["--check", "--", &*nonsense])
            .inside(&pod)
            .traced()
            .run();
        assert!(
            [0, 1, 64, 66, 74, 77].contains(&out.code),
            "{nonsense:?}: {out:?}"
        );
        assert_eq!(
            out.code == 64,
            out.stdout.is_empty(),
            "{nonsense:?}: {out:?}"
        );
        for control in ['\u{1b}', '\t'] {
            assert!(
                !out.stderr.contains(control),
                "{control:?} for {nonsense:?}: {out:?}"
            );
        }
        out.no_write();
    }
}
