//! `k8s://`, against an API server that answers as a script says.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::run::{ACCOUNT, Files, together};
use super::{AT_ONCE, Wait, wait_for};
use crate::support::authority::Authority;
use crate::support::machine_to_itself;
use crate::support::tls_front::TlsFront;
use crate::support::wire::{Request, Response};
use crate::support::{Outcome, Proxy, Reply};

/// An API server and the folder that a Pod would have.
struct Cluster {
    proxy: Proxy,
    front: TlsFront,
    account: Files,
    _authority: Authority,
}

impl Cluster {
    fn new<S>(script: S) -> Self
    where
        S: Fn(&Request, usize) -> (u16, Value) + Send + Sync + 'static,
    {
        Self::replying(move |request, turn| {
            let (status, body) = script(request, turn);
            Reply::Say(Response::json(status, &body.to_string()))
        })
    }

    fn replying<S>(script: S) -> Self
    where
        S: Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    {
        let proxy = Proxy::alone(script);
        let authority = Authority::new();
        let front = TlsFront::before(proxy.address(), &authority, "good");
        let account = Files::new();
        account.put("token", ACCOUNT);
        account.put("namespace", "prod");
        fs::copy(authority.root(), account.path("ca.crt")).expect("a copy");
        Self {
            proxy,
            front,
            account,
            _authority: authority,
        }
    }

    /// One object, always.
    fn of(object: Value) -> Self {
        Self::new(move |_, _| (200, object.clone()))
    }

    fn asks<'p>(&self, object: &str) -> Wait<'p> {
        let address = self.front.address();
        wait_for([format!("k8s://{object}")])
            .args(["--service-account-dir", &self.account.at("")])
            .env("KUBERNETES_SERVICE_HOST", address.ip().to_string())
            .env("KUBERNETES_SERVICE_PORT", address.port().to_string())
    }

    /// The path and query of the first request.
    fn asked(&self) -> String {
        let target = self.proxy.seen()[0].request.target.clone();
        percent_decode_str(&target).decode_utf8_lossy().into_owned()
    }
}

/// Never ready, for a cause that holds these words.
#[track_caller]
fn waits(cluster: &Cluster, object: &str, cause: &str) -> Outcome {
    let out = cluster.asks(object).args(["--timeout=600ms"]).run();
    out.fails(69).says(cause);
    out
}

fn condition(kind: &str, status: &str) -> Value {
    json!({"type": kind, "status": status, "reason": "AsScripted", "message": "no remark"})
}

fn pod(phase: &str, ready: &str) -> Value {
    json!({"kind": "Pod", "metadata": {"name": "x", "namespace": "prod"},
           "status": {"phase": phase, "conditions": [condition("Ready", ready)]}})
}

fn job(conditions: &[Value]) -> Value {
    json!({"kind": "Job", "metadata": {"name": "seed"}, "status": {"conditions": conditions}})
}

fn refusal(status: u16, reason: &str) -> (u16, Value) {
    let message = format!("as scripted: {reason}");
    (
        status,
        json!({"kind": "Status", "status": "Failure", "reason": reason, "code": status, "message": message}),
    )
}

fn list(items: &[Value]) -> Value {
    json!({"kind": "List", "metadata": {}, "items": items})
}

fn slice(endpoints: &[Value]) -> Value {
    json!({"kind": "EndpointSlice", "metadata": {"labels": {"kubernetes.io/service-name": "db"}},
           "endpoints": endpoints})
}

#[test]
fn case_72_a_pod() {
    let cluster = Cluster::of(pod("Running", "True"));
    cluster.asks("prod/pods/x").run().succeeds();
    assert_eq!(cluster.asked(), "/api/v1/namespaces/prod/pods/x");
    let bearer = format!("Bearer {ACCOUNT}");
    let seen = &cluster.proxy.seen()[0].request;
    assert_eq!(seen.header("authorization"), Some(&*bearer));
    assert_eq!(seen.method, "GET");
    Cluster::of(pod("Succeeded", "False"))
        .asks("prod/pods/x")
        .run()
        .succeeds();
    waits(&Cluster::of(pod("Running", "False")), "prod/pods/x", "");
    let mut leaving = pod("Running", "True");
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    waits(&Cluster::of(leaving), "prod/pods/x", "");
    Cluster::of(pod("Failed", "False"))
        .asks("prod/pods/x")
        .run()
        .fails(1);
}

#[test]
fn case_72_a_job() {
    let _turn = machine_to_itself();
    let done = Cluster::of(job(&[condition("Complete", "True")]));
    done.asks("prod/jobs/seed").run().succeeds();
    assert_eq!(done.asked(), "/apis/batch/v1/namespaces/prod/jobs/seed");
    let failed = Cluster::of(job(&[condition("Failed", "True")]));
    let out = failed.asks("prod/jobs/seed").run();
    out.fails(1)
        .within(AT_ONCE)
        .says("AsScripted")
        .says("no remark");
    waits(&Cluster::of(job(&[])), "prod/jobs/seed", "");
    waits(
        &Cluster::of(json!({"kind": "Job", "metadata": {"name": "seed"}, "status": {}})),
        "prod/jobs/seed",
        "",
    );
    waits(
        &Cluster::of(job(&[condition("Complete", "False")])),
        "prod/jobs/seed",
        "",
    );
    let absent = Cluster::new(|_, _| refusal(404, "NotFound"));
    absent.asks("prod/jobs/seed?missing=ok").run().succeeds();
    waits(&absent, "prod/jobs/seed", "does not exist");
}

#[test]
fn case_72_refusals() {
    let _turn = machine_to_itself();
    let forbidden = Cluster::new(|_, _| refusal(403, "Forbidden"));
    for (object, resource, verb) in [
        ("prod/pods/x", "pods", "get"),
        ("prod/pods?selector=app=db", "pods", "list"),
        ("prod/jobs/x", "jobs", "get"),
        ("prod/services/db", "endpointslices", "list"),
        ("prod/deployments/x", "deployments", "get"),
    ] {
        let out = forbidden.asks(object).run();
        out.fails(77)
            .within(AT_ONCE)
            .says(resource)
            .says(verb)
            .says("prod");
        out.hints("Role")
            .hints("RoleBinding")
            .hints(resource)
            .hints(verb);
    }
    Cluster::new(|_, _| refusal(401, "Unauthorized"))
        .asks("prod/pods/x")
        .run()
        .fails(77);
    Cluster::new(|_, _| refusal(400, "BadRequest"))
        .asks("prod/pods/x")
        .run()
        .fails(64);
    for (status, cause) in [(404, "does not exist"), (500, "500"), (503, "503")] {
        let cluster = Cluster::new(move |_, _| refusal(status, "Whatever"));
        waits(&cluster, "prod/pods/x", cause);
    }
}

#[test]
fn a_pause_that_the_server_asks_for_is_kept() {
    let cluster = Cluster::replying(|_, turn| {
        let busy = Response::json(429, "{}").with("Retry-After", "1");
        Reply::Say(if turn == 0 {
            busy
        } else {
            Response::json(200, &pod("Running", "True").to_string())
        })
    });
    cluster.asks("prod/pods/x").run().succeeds();
    let seen = cluster.proxy.seen();
    assert!(seen[1].at - seen[0].at >= std::time::Duration::from_secs(1));
}

#[test]
fn case_72_a_selection() {
    waits(&Cluster::of(list(&[])), "prod/pods?selector=app=db", "");
    let both = Cluster::of(list(&[pod("Running", "True"), pod("Succeeded", "False")]));
    both.asks("prod/pods?selector=app=db,tier=1")
        .run()
        .succeeds();
    let asked = both.asked();
    assert!(
        asked.starts_with("/api/v1/namespaces/prod/pods?"),
        "{asked}"
    );
    assert!(asked.contains("labelSelector=app=db,tier=1"), "{asked}");
    waits(
        &Cluster::of(list(&[pod("Running", "True"), pod("Running", "False")])),
        "prod/pods?selector=app=db",
        "",
    );
    // Who has failed or leaves is left out, and at least one must remain.
    let mut leaving = pod("Running", "False");
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let rest = Cluster::of(list(&[
        pod("Failed", "False"),
        leaving.clone(),
        pod("Running", "True"),
    ]));
    rest.asks("prod/pods?selector=app=db").run().succeeds();
    waits(
        &Cluster::of(list(&[pod("Failed", "False"), leaving])),
        "prod/pods?selector=app=db",
        "",
    );
}

#[test]
fn case_72_a_service() {
    let count = AtomicUsize::new(0);
    let cluster = Cluster::new(move |_, _| {
        let ready = count.fetch_add(1, Ordering::Relaxed) >= 3;
        (
            200,
            list(&[slice(&[
                json!({"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}),
            ])]),
        )
    });
    cluster.asks("prod/services/db").run().succeeds();
    let asked = cluster.asked();
    assert!(
        asked.starts_with("/apis/discovery.k8s.io/v1/namespaces/prod/endpointslices?"),
        "{asked}"
    );
    assert!(
        asked.contains("labelSelector=kubernetes.io/service-name=db"),
        "{asked}"
    );
    assert_eq!(cluster.proxy.seen().len(), 4);
    // Unset means ready.
    for conditions in [
        json!({}),
        Value::Null,
        json!({"ready": null, "serving": true}),
    ] {
        let endpoint = json!({"addresses": ["10.0.0.1"], "conditions": conditions});
        Cluster::of(list(&[slice(&[endpoint])]))
            .asks("prod/services/db")
            .run()
            .succeeds();
    }
    for slices in [
        list(&[]),
        list(&[slice(&[])]),
        list(&[slice(&[json!({"conditions": {"ready": false}})])]),
    ] {
        waits(&Cluster::of(slices), "prod/services/db", "");
    }
}

fn deployment(status: &Value, replicas: u64) -> Value {
    json!({"kind": "Deployment", "metadata": {"generation": 3},
           "spec": {"replicas": replicas}, "status": status})
}

#[test]
fn case_72_a_deployment() {
    let fine = json!({"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2,
                      "readyReplicas": 2, "availableReplicas": 2});
    let cluster = Cluster::of(deployment(&fine, 2));
    cluster.asks("prod/deployments/x").run().succeeds();
    assert_eq!(
        cluster.asked(),
        "/apis/apps/v1/namespaces/prod/deployments/x"
    );
    let with = |name: &str, value: u64| {
        let mut status = fine.clone();
        status[name] = json!(value);
        status
    };
    waits(
        &Cluster::of(deployment(&json!({"observedGeneration": 3}), 0)),
        "prod/deployments/x",
        "0",
    );
    for status in [
        with("observedGeneration", 2),
        with("replicas", 3),
        with("updatedReplicas", 1),
        with("readyReplicas", 1),
        with("availableReplicas", 1),
    ] {
        waits(
            &Cluster::of(deployment(&status, 2)),
            "prod/deployments/x",
            "",
        );
    }
    let mut stuck = with("readyReplicas", 1);
    stuck["conditions"] =
        json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
    waits(
        &Cluster::of(deployment(&stuck, 2)),
        "prod/deployments/x",
        "ProgressDeadlineExceeded",
    );
}

#[test]
fn a_token_is_read_anew_each_time() {
    let tokens = std::sync::Arc::new(Mutex::new(Vec::new()));
    let cluster = Cluster::new({
        let tokens = std::sync::Arc::clone(&tokens);
        move |request, _| {
            let token = request
                .header("authorization")
                .unwrap_or_default()
                .to_string();
            let mut tokens = tokens.lock().expect("nobody panicked");
            tokens.push(token.clone());
            let is_new = token.ends_with("-second");
            (200, pod("Running", if is_new { "True" } else { "False" }))
        }
    });
    let run = cluster.asks("prod/pods/x").spawn();
    cluster.proxy.wait_until(|seen| seen.len() >= 2);
    cluster.account.put("token", &format!("{ACCOUNT}-second\n"));
    run.finish().succeeds();
    let tokens = tokens.lock().expect("nobody panicked");
    assert!(tokens[0].ends_with(ACCOUNT), "{tokens:?}");
}

#[test]
fn the_server_is_verified_and_never_through_a_proxy() {
    let cluster = Cluster::of(pod("Running", "True"));
    let nobody = Proxy::alone(|_, _| Reply::Say(Response::text(503, "text/plain", "")));
    cluster
        .asks("prod/pods/x")
        .env("HTTPS_PROXY", nobody.url())
        .run()
        .succeeds();
    assert!(nobody.log().is_empty());
    // Neither flag opens this connection to a stranger.
    let stranger = Authority::new();
    fs::copy(stranger.root(), cluster.account.path("ca.crt")).expect("a copy");
    let out = cluster
        .asks("prod/pods/x")
        .args(["--insecure-skip-verify"])
        .run();
    out.fails(77);
}

#[test]
fn gone_is_what_is_not_found() {
    let absent = Cluster::new(|_, _| refusal(404, "NotFound"));
    let there = Cluster::of(pod("Running", "False"));
    let forbidden = Cluster::new(|_, _| refusal(403, "Forbidden"));
    absent.asks("prod/pods/x").args(["--gone"]).run().succeeds();
    let runs = [&there, &forbidden].map(|cluster| {
        cluster
            .asks("prod/pods/x")
            .args(["--gone", "--timeout=600ms"])
    });
    for out in together(runs) {
        assert_ne!(out.code, 0, "{out:?}");
    }
}
