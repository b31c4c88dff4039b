//! What every Pod spec in manifests/ keeps. Pure: a rule sees one spec and names the places that break it.

mod house;
mod restricted;

use k8s_openapi::api::core::v1::{Container, PodSecurityContext, PodSpec, Probe, SecurityContext};

use super::files::{Object, all as all_files, containers, one, parse};

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

/// What the service accounts of a file break: each is used by a Pod of the file and hands out no token by itself,
/// and each Pod's is in the file.
fn account_findings(objects: &[Object]) -> Vec<String> {
    let used: Vec<&str> = objects
        .iter()
        .filter_map(Object::pod)
        .filter_map(|(_, spec)| spec.service_account_name.as_deref())
        .collect();
    let mut made = Vec::new();
    let mut found = Vec::new();
    for object in objects {
        if let Object::ServiceAccount(account) = object {
            let name = account.metadata.name.as_deref().unwrap_or_default();
            made.push(name);
            if account.automount_service_account_token != Some(false) {
                found.push(format!("{name} hands out its token"));
            }
            if !used.contains(&name) {
                found.push(format!("{name} is not used"));
            }
        }
    }
    let missing = used.iter().filter(|name| !made.contains(name));
    found.extend(missing.map(|name| format!("{name} is not there")));
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
fn every_service_account_is_used_and_hands_out_nothing() {
    for file in all_files() {
        assert_eq!(account_findings(&file.objects), [""; 0], "{}", file.name());
    }
    let good = one("fetch-secret-vault.yaml").text;
    for (from, to, finding) in [
        (
            "automountServiceAccountToken: false\n---",
            "---",
            "app hands out its token",
        ),
        (
            "serviceAccountName: app",
            "hostname: app",
            "app is not used",
        ),
        ("\n  name: app\n", "\n  name: other\n", "app is not there"),
    ] {
        assert!(good.contains(from), "{from:?}");
        let bad = parse(&good.replace(from, to)).expect("a manifest");
        let found = account_findings(&bad);
        assert!(found.iter().any(|it| it == finding), "{found:?}");
    }
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
