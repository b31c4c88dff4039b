//! The house's own rules, beyond what Pod Security asks.

use k8s_openapi::api::core::v1::{Container, PodSpec, Probe};

use super::{Rule, each, pod_if, probes, security, security_mut};

/// What a Pod may do when a container ends.
const RESTART_POLICIES: &[&str] = &["Always", "OnFailure", "Never"];

/// The house's own rules.
pub const HOUSE: &[Rule] = &[
    Rule {
        name: "image-tag",
        broken: |spec| each(spec, |it| !pinned(it.image.as_deref().unwrap_or_default())),
        examples: &[
            |spec| spec.containers[0].image = Some("registry:5000/app".to_string()),
            |spec| spec.containers[0].image = Some("registry:5000/app:latest".to_string()),
            |spec| spec.containers[0].image = None,
        ],
    },
    Rule {
        name: "podinit-version",
        broken: |spec| {
            let ours = concat!("ghcr.io/podinit/podinit:", env!("CARGO_PKG_VERSION"));
            each(spec, |it| {
                it.image
                    .as_deref()
                    .is_some_and(|it| it.contains("podinit") && it != ours)
            })
        },
        examples: &[
            |spec| spec.containers[0].image = Some("ghcr.io/podinit/podinit:0.0.1".to_string()),
            |spec| spec.containers[0].image = Some("podinit:0.1.0".to_string()),
        ],
    },
    Rule {
        name: "resources",
        broken: |spec| {
            each(spec, |it| {
                let resources = it.resources.clone().unwrap_or_default();
                let requests = resources.requests.unwrap_or_default();
                let limits = resources.limits.unwrap_or_default();
                !requests.contains_key("cpu")
                    || !requests.contains_key("memory")
                    || !limits.contains_key("memory")
            })
        },
        examples: &[
            |spec| spec.containers[0].resources = None,
            |spec| spec.containers[0].resources.get_or_insert_default().limits = None,
            |spec| {
                spec.containers[0]
                    .resources
                    .get_or_insert_default()
                    .requests = None;
            },
        ],
    },
    Rule {
        name: "read-only-root",
        broken: |spec| {
            each(spec, |it| {
                security(it).and_then(|it| it.read_only_root_filesystem) != Some(true)
            })
        },
        examples: &[|spec| security_mut(&mut spec.containers[0]).read_only_root_filesystem = None],
    },
    Rule {
        name: "termination-message",
        broken: |spec| {
            each(spec, |it| {
                it.termination_message_policy.as_deref() != Some("FallbackToLogsOnError")
            })
        },
        examples: &[|spec| spec.containers[0].termination_message_policy = None],
    },
    Rule {
        name: "init-probes",
        // The API refuses probes on an init container that is not a sidecar.
        broken: |spec| {
            let init = spec.init_containers.iter().flatten();
            let plain = init.filter(|it| it.restart_policy.as_deref() != Some("Always"));
            plain
                .filter(|it| probes(it).next().is_some())
                .map(|it| it.name.clone())
                .collect()
        },
        examples: &[
            |spec| first_init(spec).readiness_probe = Some(Probe::default()),
            |spec| first_init(spec).startup_probe = Some(Probe::default()),
        ],
    },
    Rule {
        name: "restart-policy",
        broken: |spec| {
            let illegal =
                |policy: Option<&str>| policy.is_some_and(|it| !RESTART_POLICIES.contains(&it));
            let mut places = each(spec, |it| illegal(it.restart_policy.as_deref()));
            places.extend(pod_if(illegal(spec.restart_policy.as_deref())));
            places
        },
        examples: &[
            |spec| spec.restart_policy = Some("OnError".to_string()),
            |spec| first_init(spec).restart_policy = Some("on-failure".to_string()),
            |spec| spec.containers[0].restart_policy = Some(String::new()),
        ],
    },
    Rule {
        name: "no-shell",
        // podinit's image has an entry point and no shell; a command would replace the one and need the other.
        broken: |spec| {
            let shell = |words: &Option<Vec<String>>| {
                words
                    .iter()
                    .flatten()
                    .any(|word| ["sh", "/bin/sh", "bash", "/bin/bash"].contains(&word.as_str()))
            };
            each(spec, |it| {
                let podinit = it.image.as_deref().is_some_and(|it| it.contains("podinit"));
                shell(&it.command) || shell(&it.args) || podinit && it.command.is_some()
            })
        },
        examples: &[
            |spec| {
                spec.containers[0].command = Some(vec![
                    "sh".to_string(),
                    "-c".to_string(),
                    "podinit".to_string(),
                ]);
            },
            |spec| first_init(spec).command = Some(vec!["/podinit".to_string()]),
        ],
    },
];

fn pinned(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    name.split_once(':')
        .is_some_and(|(_, tag)| !tag.is_empty() && tag != "latest")
}

fn first_init(spec: &mut PodSpec) -> &mut Container {
    &mut spec.init_containers.get_or_insert_default()[0]
}
