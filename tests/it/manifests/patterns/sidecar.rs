//! The sidecar that streams a log file.

use serde_json::Value;

use super::super::kubelet::Kubelet;
use super::printed;

/// The messages that the sidecar has printed, once there are this many; every line is JSON.
fn messages(pod: &Kubelet, count: usize) -> Vec<String> {
    let (lines, _) = printed(pod, "stream-logs", |stdout, _| {
        stdout.lines().count() >= count && stdout.ends_with('\n')
    });
    let message = |line: &str| -> String {
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        line["message"].as_str().expect("a message").to_string()
    };
    lines.lines().map(message).collect()
}

#[test]
fn the_log_file_is_streamed_by_the_sidecar() {
    let mut pod = Kubelet::of("patterns/sidecar-logs.yaml");
    pod.start();
    assert_eq!(messages(&pod, 1), ["started"]);
    let log = |message: &str| pod.exec("elasticsearch", &["/busybox", "sh", "/log", message]);
    log("as it happens");
    assert_eq!(messages(&pod, 2), ["started", "as it happens"]);
    // As Elasticsearch rotates its log: a new file takes the name of the old one.
    let file = "/usr/share/elasticsearch/logs/docker-cluster_server.json";
    pod.exec(
        "elasticsearch",
        &["/busybox", "mv", file, &format!("{file}.1")],
    );
    log("in a new file");
    assert_eq!(
        messages(&pod, 3),
        ["started", "as it happens", "in a new file"]
    );
    // Elasticsearch itself says nothing on stdout, and the sidecar can write nothing.
    assert_eq!(pod.stage_of("elasticsearch").logs("elasticsearch").0, "");
    let refused = pod
        .stage_of("stream-logs")
        .try_exec("stream-logs", &["touch", "/logs/x"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("Read-only file system"), "{said}");
}
