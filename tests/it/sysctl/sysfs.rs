//! `--sys`: transparent huge pages and KSM.

use std::fs;

use super::sysctl;
use crate::support::Pod;
use crate::support::node::NodeKey;

const ENABLED: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// The choice in force, of those the kernel offers.
fn chosen(key: &NodeKey) -> String {
    let shown = key.read();
    let (_, rest) = shown.split_once('[').expect("one choice is bracketed");
    rest.split_once(']')
        .expect("a closing bracket")
        .0
        .to_string()
}

#[test]
fn case_76_a_choice_is_set_once() {
    let key = NodeKey::borrow(ENABLED);
    key.set("madvise");
    sysctl(["--sys", "transparent_hugepage/enabled=never"])
        .traced()
        .run()
        .succeeds()
        .prints("transparent_hugepage/enabled: madvise -> never (node-wide)\n")
        .one_write(ENABLED);
    assert_eq!(chosen(&key), "never");
    for spelling in [
        "transparent_hugepage/enabled=never",
        "kernel/mm/transparent_hugepage/enabled=never",
        "/sys/kernel/mm/transparent_hugepage/enabled=never",
    ] {
        sysctl(["--sys", spelling])
            .traced()
            .run()
            .succeeds()
            .prints("transparent_hugepage/enabled: already never (node-wide)\n")
            .no_write();
        assert_eq!(chosen(&key), "never", "after {spelling}");
    }
}

#[test]
fn case_78_a_choice_that_is_not_offered() {
    let key = NodeKey::borrow(ENABLED);
    key.set("madvise");
    sysctl(["--sys", "transparent_hugepage/enabled=bogus"])
        .run()
        .fails(74)
        .says("unchanged")
        .hints("always, madvise, never");
    // Case matters.
    sysctl(["--sys", "transparent_hugepage/enabled=Never"])
        .run()
        .fails(74);
    assert_eq!(chosen(&key), "madvise");
}

#[test]
fn case_79_sysfs_is_read_only() {
    let key = NodeKey::borrow(ENABLED);
    key.set("madvise");
    let pod = Pod::sys_read_only();
    sysctl(["--sys", "transparent_hugepage/enabled=always"])
        .inside(&pod)
        .run()
        .fails(77)
        .says("read-only file system")
        .hints("--sys-root /host-sys");
    assert_eq!(chosen(&key), "madvise");
    // What is already right needs no write, so it is no failure.
    sysctl(["--sys", "transparent_hugepage/enabled=madvise"])
        .inside(&pod)
        .run()
        .succeeds();
}

#[test]
fn case_80_a_sysfs_that_is_none() {
    let _turn = NodeKey::borrow(ENABLED);
    let root = tempfile::tempdir_in("/dev/shm").expect("a directory on tmpfs");
    let directory = root.path().join("kernel/mm/transparent_hugepage");
    fs::create_dir_all(&directory).expect("directories");
    let file = directory.join("enabled");
    fs::write(&file, "always [madvise] never\n").expect("a file");
    let root = root.path().to_str().expect("UTF-8");
    sysctl([
        "--sys-root",
        root,
        "--sys",
        "transparent_hugepage/enabled=never",
    ])
    .run()
    .fails(74)
    .says("not a kernel setting");
    assert_eq!(
        fs::read_to_string(&file).expect("the file"),
        "always [madvise] never\n"
    );
    // The same text where it would be satisfied: still no kernel setting.
    sysctl([
        "--sys-root",
        root,
        "--sys",
        "transparent_hugepage/enabled=madvise",
    ])
    .run()
    .fails(74);
}

#[test]
fn another_sysfs_root() {
    let key = NodeKey::borrow(ENABLED);
    key.set("madvise");
    let pod = Pod::sys_read_only();
    // As a hostPath does it: sysfs once more, writable, at another place.
    let root = tempfile::tempdir().expect("a directory");
    let root = root.path().to_str().expect("UTF-8");
    pod.sh(&format!("mount -t sysfs sysfs {root}"));
    sysctl([
        "--sys-root",
        root,
        "--sys",
        "transparent_hugepage/enabled=never",
    ])
    .inside(&pod)
    .run()
    .succeeds()
    .prints("transparent_hugepage/enabled: madvise -> never (node-wide)\n");
    assert_eq!(chosen(&key), "never");
}

#[test]
fn a_link_below_the_sysfs_root_is_not_followed() {
    let key = NodeKey::borrow(ENABLED);
    key.set("madvise");
    let root = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(root.path().join("kernel/mm")).expect("directories");
    std::os::unix::fs::symlink(
        "/sys/kernel/mm/transparent_hugepage",
        root.path().join("kernel/mm/transparent_hugepage"),
    )
    .expect("a link");
    let root = root.path().to_str().expect("UTF-8");
    sysctl([
        "--sys-root",
        root,
        "--sys",
        "transparent_hugepage/enabled=never",
    ])
    .run()
    .fails(74)
    .says("not a kernel setting");
    assert_eq!(chosen(&key), "madvise");
}

#[test]
fn a_sysfs_file_that_is_missing() {
    sysctl(["--sys", "ksm/no_such_knob=1"]).run().fails(66);
    sysctl(["--sys", "-ksm/no_such_knob=1"]).run().succeeds();
}
