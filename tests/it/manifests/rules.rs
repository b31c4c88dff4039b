//! What every Pod spec in manifests/ keeps. Pure: a rule sees one spec and names the places that break it.

mod house;
mod restricted;

use k8s_openapi::api::core::v1::{Container, PodSecurityContext, PodSpec, Probe, SecurityContext};

use super::files::{containers, one};

/// One rule over a Pod spec.
pub struct Rule {
    pub name: &'static str,
    /// The places of a spec that break the rule: a container's name, "pod", or a volume.
    pub broken: fn(&PodSpec) -> Vec<String>,
    /// Changes to a good spec, each of which must break the rule.
    pub examples: &'static [fn(&mut PodSpec)],
}

/// Every rule there is.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    restricted::RESTRICTED.iter().chain(house::HOUSE)
}

/// What a spec breaks: place and rule, sorted.
pub fn findings(spec: &PodSpec) -> Vec<(String, &'static str)> {
    let mut found: Vec<_> = all()
        .flat_map(|rule| {
            (rule.broken)(spec)
                .into_iter()
                .map(|place| (place, rule.name))
        })
        .collect();
    found.sort();
    found
}

fn each(spec: &PodSpec, broken: impl Fn(&Container) -> bool) -> Vec<String> {
    containers(spec)
        .filter(|it| broken(it))
        .map(|it| it.name.clone())
        .collect()
}

fn pod_if(broken: bool) -> Vec<String> {
    if broken {
        vec!["pod".to_string()]
    } else {
        Vec::new()
    }
}

fn security(container: &Container) -> Option<&SecurityContext> {
    container.security_context.as_ref()
}

fn pod(spec: &PodSpec) -> Option<&PodSecurityContext> {
    spec.security_context.as_ref()
}

fn probes(container: &Container) -> impl Iterator<Item = &Probe> {
    [
        &container.liveness_probe,
        &container.readiness_probe,
        &container.startup_probe,
    ]
    .into_iter()
    .flatten()
}

fn pod_mut(spec: &mut PodSpec) -> &mut PodSecurityContext {
    spec.security_context.get_or_insert_default()
}

fn security_mut(container: &mut Container) -> &mut SecurityContext {
    container.security_context.get_or_insert_default()
}

#[test]
fn every_rule_bites() {
    let good = one("sysctl-pod-scope.yaml").pod("pod-scope").clone();
    assert_eq!(findings(&good), []);
    for rule in all() {
        assert!(!rule.examples.is_empty(), "{} has no example", rule.name);
        for (number, example) in rule.examples.iter().enumerate() {
            let mut bad = good.clone();
            example(&mut bad);
            assert!(
                !(rule.broken)(&bad).is_empty(),
                "{} lets its example {number} pass",
                rule.name
            );
        }
    }
}

#[test]
fn a_rule_sees_init_containers_too() {
    let mut bad = one("sysctl-pod-scope.yaml").pod("pod-scope").clone();
    let init = &mut bad.init_containers.get_or_insert_default()[0];
    security_mut(init).privileged = Some(true);
    assert_eq!(
        findings(&bad),
        [("check-sysctls".to_string(), "privileged")]
    );
}
