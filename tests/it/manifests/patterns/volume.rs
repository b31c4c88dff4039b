//! What two containers of a Pod share, and what they do not.

use super::super::kubelet::Kubelet;

#[test]
fn a_volume_and_the_network_are_shared_but_neither_processes_nor_tmp() {
    let mut pod = Kubelet::of("patterns/shared-volume.yaml");
    pod.start();
    pod.exec(
        "writer",
        &["touch", "/shared/index.html", "/tmp/of-the-writer"],
    );
    pod.exec("web", &["touch", "/tmp/of-the-web"]);
    // The volume: made by one, seen by both.
    assert_eq!(pod.exec("writer", &["ls", "/shared"]), "index.html\n");
    assert_eq!(pod.exec("web", &["ls", "/shared"]), "index.html\n");
    // Each has a /tmp of its own.
    assert_eq!(pod.exec("writer", &["ls", "/tmp"]), "of-the-writer\n");
    assert_eq!(pod.exec("web", &["ls", "/tmp"]), "of-the-web\n");
    // The network: one's server is the other's localhost. What it serves is the volume.
    pod.exec("writer", &["cp", "/etc/hostname", "/shared/index.html"]);
    let served = pod.exec(
        "writer",
        &["wget", "-q", "-O", "-", "http://127.0.0.1:8080/"],
    );
    assert_eq!(served, pod.exec("writer", &["cat", "/etc/hostname"]));
    // Processes: each sees its own first process and no other's.
    let first = |container| pod.exec(container, &["cat", "/proc/1/cmdline"]);
    assert_eq!(first("writer"), "sleep\0infinity\0");
    assert_eq!(first("web"), "httpd\0-f\0-p\x008080\0-h\0/shared\0");
    // The reader of the volume cannot write to it.
    let refused = pod.stage_of("web").try_exec("web", &["touch", "/shared/x"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("Read-only file system"), "{said}");
}
