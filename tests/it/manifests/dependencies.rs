//! The wait-for manifest run for real: podman, the built image, PostgreSQL, Redis and nginx. The Pod has the host's
//! network, since the servers listen on loopback; their addresses take the place of the Services' names.

use k8s_openapi::api::core::v1::PodSpec;

use super::host::{on_host_network, refused, replace};
use super::play::play;
use crate::support::nginx::Nginx;
use crate::support::postgres::Postgres;
use crate::support::redis::Redis;

const INIT: &str = "wait-for-dependencies";

/// The manifest's Pod before these servers.
fn pod(database: &Postgres, cache: &Redis, api: &Nginx) -> PodSpec {
    let mut spec = on_host_network("wait-for-dependencies.yaml");
    for (name, address) in [
        ("database.app/app", format!("{}/app", database.address())),
        ("cache.app", cache.address().to_string()),
        ("http://api.app:8080", api.at("")),
    ] {
        replace(&mut spec, name, &address);
    }
    spec
}

#[test]
fn the_app_starts_when_database_cache_and_api_are_ready() {
    let mut database = Postgres::prepare("host all all all scram-sha-256", &[]);
    let cache = Redis::start(&[]);
    let api = Nginx::start();
    api.put("/ready", b"ready\n");
    let mut pod = play("dependencies", pod(&database, &cache, &api));
    pod.wait_until_running(INIT);
    assert!(pod.is_starting(), "the app did not wait for the database");
    assert_eq!(pod.state("app").status, "created");
    database.run();
    pod.expect_started();
    let (init, app) = (pod.state(INIT), pod.state("app"));
    assert_eq!((init.exit_code, app.status.as_str()), (0, "running"));
    assert!(
        init.finished <= app.started,
        "the app started before the init container was done"
    );
}

#[test]
fn what_is_not_ready_is_named_and_the_app_never_starts() {
    let database = Postgres::prepare("host all all all scram-sha-256", &[]);
    let cache = Redis::start(&[]);
    let api = Nginx::start();
    let mut spec = pod(&database, &cache, &api);
    replace(&mut spec, "--timeout=5m", "--timeout=1s");
    let mut pod = play("dependencies-missing", spec);
    let last = refused(&mut pod, INIT, 69);
    for part in [
        "podinit wait-for: unavailable (69): ",
        "2 of 3 targets not ready",
        &format!("postgres://{}", database.address()),
        "connection refused",
        "status 404",
    ] {
        assert!(last.contains(part), "no {part:?} in {last:?}");
    }
    assert!(!last.contains("redis://"), "{last}");
}
