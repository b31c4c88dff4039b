//! exit-code-rules.yaml: what its rules make of podinit's exit codes, and those codes from real runs before a real
//! OpenBao. podman knows neither kind of rule, so the test plays the kubelet and the Job controller by the API's words.

use std::fs;

use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::api::core::v1::Container;

use super::files::{Object, one};
use super::kubelet::Kubelet;
use crate::support::certificates::Identity;
use crate::support::{OpenBao, tokenreview};

const FILE: &str = "exit-code-rules.yaml";

const INIT: &str = "fetch-secrets";

/// Every code of the table in README.md but 0, and a stop by SIGTERM.
const CODES: &[i32] = &[1, 64, 65, 66, 69, 70, 74, 77, 143];

/// Whether the kubelet starts a container again: the first rule that matches, else the container's own policy.
fn restarts(container: &Container, code: i32) -> bool {
    let rules = container.restart_policy_rules.iter().flatten();
    let matching = rules.into_iter().find(|rule| {
        let codes = rule.exit_codes.as_ref().expect("codes");
        matches(
            &codes.operator,
            codes.values.as_deref().unwrap_or_default(),
            code,
        )
    });
    match (matching, container.restart_policy.as_deref()) {
        (Some(rule), _) => rule.action == "Restart",
        (None, policy) => policy.expect("rules ask for a policy") != "Never",
    }
}

fn matches(operator: &str, values: &[i32], code: i32) -> bool {
    match operator {
        "In" => values.contains(&code),
        "NotIn" => !values.contains(&code),
        other => panic!("no such operator: {other}"),
    }
}

/// What the Job controller does about a failed Pod whose container ended so; without a rule it counts.
fn action(job: &JobSpec, container: &str, code: i32) -> String {
    let policy = job.pod_failure_policy.as_ref().expect("a policy");
    let found = policy.rules.iter().find(|rule| {
        rule.on_exit_codes.as_ref().is_some_and(|codes| {
            let is_ours = codes
                .container_name
                .as_deref()
                .is_none_or(|name| name == container);
            is_ours && matches(&codes.operator, &codes.values, code)
        })
    });
    found.map_or("Count".to_string(), |rule| rule.action.clone())
}

fn init() -> Container {
    let manifest = one(FILE);
    let init = manifest.pod("exit-code-rules").init_containers.clone();
    init.expect("init containers")[0].clone()
}

fn job() -> JobSpec {
    let objects = one(FILE).objects.into_iter();
    let mut jobs = objects.filter_map(|object| match object {
        Object::Job(job) => job.spec,
        _ => None,
    });
    jobs.next().expect("a Job")
}

#[test]
fn only_what_can_heal_is_tried_again() {
    let again: Vec<i32> = CODES
        .iter()
        .copied()
        .filter(|code| restarts(&init(), *code))
        .collect();
    assert_eq!(again, [69]);
    let fails: Vec<i32> = CODES
        .iter()
        .copied()
        .filter(|code| action(&job(), INIT, *code) == "FailJob")
        .collect();
    assert_eq!(fails, [64, 65, 66, 70, 77]);
    // The rule is about podinit; what the work's own codes mean, the work knows.
    assert_eq!(action(&job(), "work", 77), "Count");
    // What the API asks of a Job with a podFailurePolicy, and of rules about containers: they exist.
    let spec = job().template.spec.expect("a Pod spec");
    assert_eq!(spec.restart_policy.as_deref(), Some("Never"));
    assert!(super::files::containers(&spec).any(|it| it.name == INIT));
}

/// The Pod of one of the two objects, before this server.
fn pod(object: &str, identity: &Identity, server: &OpenBao) -> Kubelet {
    let mut pod = Kubelet::before(one(FILE), object);
    pod.give(
        "vault-token",
        "token",
        &tokenreview::projected_token("app", "vault"),
    );
    let trusted = fs::read_to_string(&identity.authority).expect("a PEM");
    pod.give("vault-ca", "ca.crt", &trusted);
    pod.replace("https://vault.vault:8200", &server.tls_url());
    pod
}

#[test]
fn an_unreachable_server_is_tried_again_until_it_is_there() {
    let identity = Identity::new();
    let server = OpenBao::with_tls(&identity);
    for (object, app) in [("exit-code-rules", "app"), ("report", "work")] {
        let mut unreachable = pod(object, &identity, &server);
        unreachable.replace("--timeout=2m", "--timeout=300ms");
        let stage = unreachable.start_until(0);
        assert!(!stage.finish().status.success(), "the Pod started");
        let code = stage.state(INIT).exit_code;
        assert_eq!(stage.state(app).status, "created");
        assert!(restarts(&init(), code), "{code}");
        assert_eq!(action(&job(), INIT, code), "Count");
        let mut reachable = pod(object, &identity, &server);
        reachable.bring_in(identity.address);
        reachable.start();
        assert_eq!(reachable.stage_of(INIT).state(INIT).exit_code, 0);
        assert!(reachable.stage_of(app).state(app).started > 0);
    }
}

#[test]
fn a_wrong_role_ends_the_pod_and_the_job() {
    let identity = Identity::new();
    let server = OpenBao::with_tls(&identity);
    for object in ["exit-code-rules", "report"] {
        let mut pod = pod(object, &identity, &server);
        pod.bring_in(identity.address);
        pod.replace("--role=app", "--role=nope");
        let stage = pod.start_until(0);
        assert!(!stage.finish().status.success(), "the Pod started");
        let code = stage.state(INIT).exit_code;
        assert_eq!(code, 77);
        assert!(!restarts(&init(), code));
        assert_eq!(action(&job(), INIT, code), "FailJob");
    }
}
