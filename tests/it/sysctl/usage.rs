//! What cannot be obeyed: exit code 64, an empty stdout, the right spelling, nothing touched.

use super::{S, sysctl};
use crate::support::{Outcome, Pod};

/// Runs in a pod of its own and asserts what every usage error has in common.
#[track_caller]
fn refused(args: &[&'static str]) -> Outcome {
    let pod = Pod::new();
    let out = sysctl(args).inside(&pod).traced().run();
    out.fails(64).no_write();
    assert_eq!(pod.read(S), "4096", "after {args:?}");
    out
}

#[test]
fn case_04_one_setting_as_three_arguments() {
    refused(&["net.core.somaxconn", "=", "7"]).hints("one argument");
}

#[test]
fn case_05_no_setting_at_all() {
    refused(&[]);
    refused(&["-w"]);
    refused(&["--check"]);
}

#[test]
fn case_06_no_operator() {
    for arg in ["vm.max_map_count", "-vm.max_map_count"] {
        refused(&[arg])
            .hints("--min vm.max_map_count=")
            .hints("quote");
    }
}

#[test]
fn case_07_operators_misspelt() {
    refused(&["net.core.somaxconn>1024"]).hints("net.core.somaxconn>=1024");
    refused(&["net.core.somaxconn=>1024"]).hints("net.core.somaxconn>=1024");
    refused(&["net.core.somaxconn==5"]);
    refused(&["net.core.somaxconn<5"]);
    refused(&["net.core.somaxconn=<5"]);
}

#[test]
fn case_08_keys_that_are_no_keys() {
    for arg in [
        "=5",
        ".a=1",
        "net..core.somaxconn=1",
        "/etc/x=1",
        "../../etc/x=1",
    ] {
        refused(&[arg]).no_open();
        assert!(!std::path::Path::new("/etc/x").exists(), "made by {arg}");
    }
    for arg in [
        "net/../net/core/somaxconn=1",
        "net/./core/somaxconn=1",
        "net//core/somaxconn=1",
        "/proc/sys//net/core/somaxconn=1",
        "/proc/sys/../../etc/x=1",
        "/proc/sys=1",
        "net.core.somaxconn.=1",
        "net.core./.somaxconn=1",
        "-=1",
        "-../../etc/x=1",
    ] {
        refused(&[arg]).no_open();
        assert!(!std::path::Path::new("/etc/x").exists(), "made by {arg}");
    }
}

#[test]
fn a_value_of_more_than_one_line_is_refused() {
    refused(&["net.core.somaxconn=7\n8"]);
    refused(&["net.core.somaxconn>=7\n8"]);
}

#[test]
fn case_37_bounds_that_are_no_bounds() {
    for args in [
        &["net.core.somaxconn>=5000", "net.core.somaxconn<=100"][..],
        &["net.core.somaxconn>=1k"],
        &["net.core.somaxconn>=-1"],
        &["net.core.somaxconn>=+1"],
        &["net.core.somaxconn>=010"],
        &["net.core.somaxconn>=0x10"],
        &["net.core.somaxconn>=18446744073709551616"],
        &["net.core.somaxconn>="],
        &["net.core.somaxconn>=1.5"],
        &["--min", "net.core.somaxconn=abc"],
        &["--min", "net.core.somaxconn"],
        &[
            "--min",
            "net.core.somaxconn=5000",
            "--max",
            "net.core.somaxconn=100",
        ],
    ] {
        refused(args);
    }
}

#[test]
fn case_64_modes_that_exclude_each_other() {
    refused(&["--check", "--wait", "net.core.somaxconn=7"]);
    refused(&["--list", "net", "net.core.somaxconn=7"]);
    refused(&["--list", "--min", "net.core.somaxconn=7"]);
    refused(&["--list", "--max", "net.core.somaxconn=7"]);
    refused(&["--list", "--check"]);
    refused(&["--list", "--wait"]);
    refused(&["--list", "--sys", "ksm/run=1"]);
    refused(&["--list", "--load", "-"]);
}

#[test]
fn case_77_sysfs_outside_the_allow_list() {
    for key in [
        "block/sda/queue/scheduler=none",
        "ksm/../x=1",
        "ksm/run/x=1",
        "transparent_hugepage/khugepaged/..=1",
        "transparent_hugepage/other=1",
        "transparent_hugepage/khugepaged/a/b=1",
        "transparent_hugepage.enabled=never",
    ] {
        let out = refused(&["--sys", key]);
        for allowed in [
            "transparent_hugepage",
            "shmem_enabled",
            "khugepaged",
            "ksm/",
        ] {
            assert!(
                out.last_line().contains(allowed),
                "no {allowed:?} for {key} in {out:?}"
            );
        }
    }
    refused(&["--sys", "ksm/run>=1"]);
    refused(&["--sys", "ksm/run"]);
    refused(&["--sys-root", "relative", "--sys", "ksm/run=1"]);
    refused(&["--sys-root", "/no/such/place", "--sys", "ksm/run=1"]);
}

#[test]
fn a_bad_argument_stops_the_good_ones() {
    // Text errors of an optional setting count as well.
    refused(&["net.core.somaxconn=7", "-net..bogus=1"]);
    refused(&["net.core.somaxconn=7", "--no-such-flag"]);
    refused(&["net.core.somaxconn=7", "--timeout", "soon"]);
}

#[test]
fn an_unknown_variable_is_refused_but_not_what_kubernetes_injects() {
    let pod = Pod::new();
    sysctl(["net.core.somaxconn=7"])
        .inside(&pod)
        .env("PODINIT_NEVER_LOWR", "true")
        .run()
        .fails(64)
        .hints("PODINIT_NEVER_LOWER");
    assert_eq!(pod.read(S), "4096");
    sysctl(["net.core.somaxconn=7"])
        .inside(&pod)
        .env("PODINIT_SERVICE_HOST", "10.0.0.1")
        .env("PODINIT_SERVICE_PORT_HTTP", "80")
        .env("PODINIT_PORT", "tcp://10.0.0.1:80")
        .env("PODINIT_PORT_80_TCP_ADDR", "10.0.0.1")
        .run()
        .succeeds();
    assert_eq!(pod.read(S), "7");
}
