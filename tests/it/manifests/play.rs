//! The manifests run for real: podman, runc, the image built from the tested binary, this machine as the node.
//!
//! Elasticsearch can't be had here. A small static stand-in under its name refuses a low `vm.max_map_count` as
//! Elasticsearch's bootstrap check does, then answers on 9200.
//!
//! Pod templates are played as Pods that are never restarted: podman 4.3 plays no DaemonSet, and under a Deployment's
//! restartPolicy Always it restarts init containers that are done, so that the app starts late or not at all.

use k8s_openapi::api::core::v1::{Pod, PodSpec};

use super::files::one;
use super::podman::{Played, say};
use crate::support::node::NodeKey;

const MAX_MAP_COUNT: &str = "/proc/sys/vm/max_map_count";

#[test]
fn the_privileged_pod_raises_the_node_before_elasticsearch_starts() {
    let key = NodeKey::borrow(MAX_MAP_COUNT);
    key.set("65530");
    let mut pod = play(
        "elasticsearch",
        one("sysctl-elasticsearch.yaml")
            .pod("elasticsearch")
            .clone(),
    );
    pod.expect_started();
    assert_eq!(key.read(), "262144");
    let (stdout, _) = pod.logs("raise-max-map-count");
    assert_eq!(stdout, "vm.max_map_count: 65530 -> 262144 (node-wide)\n");
    let (init, app) = (pod.state("raise-max-map-count"), pod.state("elasticsearch"));
    assert_eq!(init.exit_code, 0);
    assert!(
        init.finished <= app.started,
        "the app started before the init container was done"
    );
    let answer = say([
        "exec",
        &pod.container("elasticsearch"),
        "/busybox",
        "sh",
        "/ask",
    ]);
    assert!(answer.contains("You Know, for Search"), "{answer}");
}

#[test]
fn a_higher_node_is_never_lowered() {
    let key = NodeKey::borrow(MAX_MAP_COUNT);
    key.set("1048576");
    let spec = one("sysctl-elasticsearch.yaml")
        .pod("elasticsearch")
        .clone();
    let mut pod = play("higher-node", spec);
    pod.expect_started();
    assert_eq!(key.read(), "1048576");
    assert_eq!(
        pod.logs("raise-max-map-count").0,
        "vm.max_map_count: kept 1048576, asked >= 262144 (node-wide)\n"
    );
    assert_eq!(pod.state("elasticsearch").status, "running");
}

#[test]
fn without_privilege_the_pod_fails_and_says_what_it_needs() {
    for (name, privileged, user) in [
        ("not-privileged", None, 0),
        ("privileged-not-root", Some(true), 65532),
        ("neither", None, 65532),
    ] {
        let key = NodeKey::borrow(MAX_MAP_COUNT);
        key.set("65530");
        let mut spec = one("sysctl-elasticsearch.yaml")
            .pod("elasticsearch")
            .clone();
        let init = &mut spec.init_containers.get_or_insert_default()[0];
        let security = init.security_context.get_or_insert_default();
        (security.privileged, security.run_as_user) = (privileged, Some(user));
        let mut pod = play(name, spec);
        assert!(!pod.finish().status.success(), "{name}: the Pod started");
        assert_eq!(pod.state("raise-max-map-count").exit_code, 77, "{name}");
        let (_, stderr) = pod.logs("raise-max-map-count");
        let last = stderr.lines().last().unwrap_or_default();
        for part in [
            "podinit sysctl: denied (77): ",
            "privileged: true",
            "runAsUser: 0",
        ] {
            assert!(last.contains(part), "{name}: no {part:?} in {last:?}");
        }
        assert_eq!(key.read(), "65530", "{name}");
        assert_eq!(
            pod.state("elasticsearch").status,
            "created",
            "{name}: the app was started"
        );
    }
}

#[test]
fn an_app_waits_unprivileged_until_the_daemonset_has_prepared_the_node() {
    let key = NodeKey::borrow(MAX_MAP_COUNT);
    key.set("65530");
    let manifest = one("sysctl-daemonset.yaml");
    let mut app = play("waiting-app", manifest.pod("app").clone());
    app.wait_until_running("wait-for-node");
    assert!(app.is_starting(), "the app did not wait");
    assert_eq!(app.state("app").status, "created");
    let mut daemon = play("prepare-node", manifest.pod("prepare-node").clone());
    daemon.expect_started();
    assert_eq!(key.read(), "262144");
    app.expect_started();
    let (raised, waited) = (
        daemon.state("raise-max-map-count"),
        app.state("wait-for-node"),
    );
    assert_eq!((raised.exit_code, waited.exit_code), (0, 0));
    assert!(
        waited.finished > raised.started,
        "the app was let go before the node was prepared"
    );
    assert_eq!(app.state("app").status, "running");
}

#[test]
fn pod_scope_sysctls_are_confirmed_without_privilege() {
    let spec = one("sysctl-pod-scope.yaml").pod("pod-scope").clone();
    let mut pod = play("pod-scope", spec);
    pod.expect_started();
    let (stdout, _) = pod.logs("check-sysctls");
    assert_eq!(
        stdout,
        "net.ipv4.ip_local_port_range: already 10240 65535 (this pod's network)\n\
         net.ipv4.ip_unprivileged_port_start: already 80 (this pod's network)\n\
         net.ipv4.tcp_keepalive_time: already 300 (this pod's network)\n"
    );
    assert_eq!(pod.state("app").status, "running");
}

#[test]
fn a_pod_whose_sysctls_were_left_out_does_not_start() {
    let mut spec = one("sysctl-pod-scope.yaml").pod("pod-scope").clone();
    spec.security_context.get_or_insert_default().sysctls = None;
    let mut pod = play("pod-scope-unset", spec);
    assert!(!pod.finish().status.success(), "the Pod started");
    assert_eq!(pod.state("check-sysctls").exit_code, 1);
    let (stdout, _) = pod.logs("check-sysctls");
    assert!(
        stdout
            .contains("net.ipv4.tcp_keepalive_time: is 7200, asked <= 300 (this pod's network)\n"),
        "{stdout}"
    );
    assert_eq!(pod.state("app").status, "created");
}

/// Plays a spec as a Pod of its own name that is never restarted.
fn play(name: &str, mut spec: PodSpec) -> Played {
    spec.restart_policy = Some("Never".to_string());
    unpublish(&mut spec);
    let sysctls = spec
        .security_context
        .as_ref()
        .and_then(|it| it.sysctls.clone())
        .unwrap_or_default();
    let name = format!("{name}-{}", std::process::id());
    let mut pod = Pod {
        spec: Some(spec),
        ..Pod::default()
    };
    pod.metadata.name = Some(name.clone());
    let yaml = serde_json::to_string(&pod).expect("a Pod is JSON, and JSON is YAML");
    Played::start(&name, &yaml, &sysctls)
}

/// Takes the ports away: podman 4.3 publishes a containerPort on the machine, which a Pod without network cannot have.
fn unpublish(spec: &mut PodSpec) {
    for container in &mut spec.containers {
        container.ports = None;
    }
}
