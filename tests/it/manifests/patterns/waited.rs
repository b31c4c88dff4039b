//! The patterns in which an init container waits for a native sidecar: the Redis cache and the metrics adapter.

use std::fs;

use super::super::kubelet::{INSIDE, Kubelet};
use super::super::podman::State;

/// What has to be seen of a sidecar that is waited for: it runs, then the init container ends well, then the app starts.
fn assert_order(pod: &Kubelet, sidecar: &str, init: &str) -> State {
    let state = |container: &str| pod.stage_of(container).state(container);
    let (waited, app) = (state(init), state("app"));
    assert_eq!((waited.exit_code, app.status.as_str()), (0, "running"));
    assert_eq!(state(sidecar).status, "running");
    assert!(
        state(sidecar).started <= waited.started,
        "{sidecar} came late"
    );
    assert!(waited.finished <= app.started, "the app did not wait");
    app
}

#[test]
fn the_app_starts_when_its_cache_answers() {
    let mut pod = Kubelet::of("patterns/sidecar-redis-cache.yaml");
    pod.start();
    assert_order(&pod, "cache", "wait-for-cache");
    assert_eq!(pod.exec("cache", &["redis-cli", "ping"]), "PONG\n");
    // It is the Pod's alone. curl's 7: nobody listens.
    let ask = format!("curl -sS --max-time 10 telnet://{INSIDE}:6379 2>&1 || echo \"curl: $?\"");
    let said = pod.outside().sh(&ask);
    assert!(said.ends_with("curl: 7\n"), "{said}");
}

#[test]
fn without_its_cache_the_app_never_starts() {
    let mut pod = Kubelet::of("patterns/sidecar-redis-cache.yaml");
    // Redis at another port, as a slip in its arguments would have it.
    let init = pod.spec.init_containers.get_or_insert_default();
    let args = init[0].args.get_or_insert_default();
    args.extend(["--port", "6380"].map(String::from));
    pod.replace("--timeout=2m", "--timeout=1s");
    let stage = pod.start_until(1);
    assert!(!stage.finish().status.success(), "the Pod started");
    assert_eq!(stage.state("wait-for-cache").exit_code, 69);
    assert_eq!(stage.state("app").status, "created");
    let (_, stderr) = stage.logs("wait-for-cache");
    let last = stderr.lines().last().unwrap_or_default();
    assert!(
        last.contains("podinit wait-for: unavailable (69): "),
        "{last}"
    );
    assert!(last.contains("redis://localhost:6379"), "{last}");
}

#[test]
fn the_exporter_speaks_prometheus_for_elasticsearch() {
    let mut pod = Kubelet::of("patterns/adapter-metrics.yaml");
    pod.start();
    let app = assert_order(&pod, "elasticsearch", "wait-for-elasticsearch");
    let exporter = pod.stage_of("exporter").state("exporter");
    assert!(exporter.started <= app.started, "the exporter came late");
    // From outside of the Pod, as Prometheus asks; the exporter may still be starting.
    let metrics = pod.outside().sh(&format!(
        "curl -sS --max-time 20 --retry 100 --retry-delay 0 --retry-max-time 20 --retry-connrefused http://{INSIDE}:9114/metrics"
    ));
    for line in [
        r#"elasticsearch_cluster_health_status{cluster="elasticsearch",color="green"} 1"#,
        r#"elasticsearch_cluster_health_number_of_nodes{cluster="elasticsearch"} 1"#,
        "elasticsearch_cluster_health_up 1",
    ] {
        assert!(
            metrics.lines().any(|it| it == line),
            "no {line:?} in {metrics}"
        );
    }
    // Its text is what Prometheus reads: comments, or a name with a number.
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let number = line
            .rsplit(' ')
            .next()
            .and_then(|word| word.parse::<f64>().ok());
        assert!(number.is_some(), "{line}");
    }
    // Elasticsearch itself is not to be had from there.
    let ask = format!("curl -sS --max-time 10 http://{INSIDE}:9201/ 2>&1 || echo \"curl: $?\"");
    let said = pod.outside().sh(&ask);
    assert!(said.ends_with("curl: 7\n"), "{said}");
    // What it tells is what the stand-in serves.
    let served = fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/env/images/elasticsearch/www/_cluster/health"),
    );
    assert!(served.expect("a file").contains(r#""number_of_nodes":1,"#));
}
