//! The Kustomize component, rendered by kubectl: what it adds to a Deployment, checked as a manifest is, and run.

use std::fs;
use std::path::{Path, PathBuf};

use super::files::{Manifest, one};
use super::kubelet::Kubelet;
use super::{KEYSTORE, NODE_WIDE, broken_by, rendered_by, tool};
use crate::support::node::NodeKey;

/// The init container that the component adds.
const INIT: &str = "podinit-sysctl";

fn kustomized(folder: &Path) -> Manifest {
    rendered_by(tool("kubectl").arg("kustomize").arg(folder), folder)
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Renders these resources with the component, from a folder beside the manifests'.
fn with_component(resources: &str) -> Manifest {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
    fs::write(folder.path().join("resources.yaml"), resources).expect("it is written");
    // kustomize takes no absolute paths.
    let here = folder
        .path()
        .strip_prefix(source(""))
        .expect("a folder of this checkout");
    let up = "../".repeat(here.components().count());
    let text = format!(
        "resources: [resources.yaml]\ncomponents: [{up}manifests/components/podinit-sysctl]\n"
    );
    fs::write(folder.path().join("kustomization.yaml"), text).expect("it is written");
    kustomized(folder.path())
}

fn declared(rules: &[&'static str], container: &str) -> Vec<(String, &'static str)> {
    let place = |rule: &&'static str| (container.to_string(), *rule);
    rules.iter().map(place).collect()
}

#[test]
fn what_is_rendered_breaks_only_what_its_parts_declare() {
    let rendered = kustomized(&source("manifests"));
    let expected = [
        declared(KEYSTORE, "elasticsearch"),
        declared(NODE_WIDE, INIT),
    ];
    assert_eq!(broken_by(&rendered), expected.concat());
    let before = one("patterns/ambassador-tls.yaml");
    let spec = rendered.pod("elasticsearch").clone();
    let init: Vec<_> = spec
        .init_containers
        .iter()
        .flatten()
        .map(|it| &*it.name)
        .collect();
    assert_eq!(init, [INIT, "ambassador"]);
    // All else is as it was, but for mmap.
    let mut undone = spec.clone();
    undone.init_containers.get_or_insert_default().remove(0);
    let variables = undone.containers[0].env.get_or_insert_default();
    let mmap = variables
        .iter_mut()
        .find(|it| it.name == "node.store.allow_mmap");
    let mmap = mmap
        .expect("the variable")
        .value
        .replace("false".to_string());
    assert_eq!(mmap.as_deref(), Some("true"));
    variables.sort_by(|a, b| a.name.cmp(&b.name));
    let mut original = before.pod("elasticsearch").clone();
    original.containers[0]
        .env
        .get_or_insert_default()
        .sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(undone, original);
}

#[test]
fn any_deployment_gets_the_init_container_first_and_nothing_else_does() {
    // A Deployment with an init container of its own, beside a DaemonSet.
    let text = one("sysctl-daemonset.yaml").text;
    let rendered = with_component(&text);
    let names = |name: &str| -> Vec<String> {
        let init = rendered.pod(name).init_containers.iter().flatten();
        init.map(|it| it.name.clone()).collect()
    };
    assert_eq!(names("app"), [INIT, "wait-for-node"]);
    assert_eq!(names("prepare-node"), ["raise-max-map-count"]);
    let expected = [
        declared(NODE_WIDE, INIT),
        declared(NODE_WIDE, "raise-max-map-count"),
    ];
    assert_eq!(broken_by(&rendered), expected.concat());
    // And one with none.
    let (_, deployment) = text.split_once("---\n").expect("two objects");
    let (head, rest) = deployment
        .split_once("      initContainers:\n")
        .expect("an init container");
    let (_, containers) = rest.split_once("      containers:\n").expect("containers");
    let rendered = with_component(&format!("{head}      containers:\n{containers}"));
    let init = rendered
        .pod("app")
        .init_containers
        .clone()
        .unwrap_or_default();
    assert_eq!(init.len(), 1);
    assert_eq!(init[0].name, INIT);
    assert_eq!(broken_by(&rendered), declared(NODE_WIDE, INIT));
}

#[test]
fn the_rendered_pod_prepares_the_node_for_elasticsearch() {
    let key = NodeKey::borrow("/proc/sys/vm/max_map_count");
    key.set("65530");
    let mut pod = Kubelet::before(kustomized(&source("manifests")), "elasticsearch");
    // The ambassador is tried elsewhere; nginx asks for no more than a certificate to start.
    let tls = super::patterns::certificate_for("elasticsearch.default.svc");
    for (name, text) in [("tls.crt", &tls.certificate), ("tls.key", &tls.key)] {
        pod.give("elasticsearch-tls", name, text);
    }
    pod.start();
    assert_eq!(key.read(), "262144");
    assert_eq!(
        pod.stage_of(INIT).logs(INIT).0,
        "vm.max_map_count: 65530 -> 262144 (node-wide)\n"
    );
    // With mmap on, Elasticsearch would not have started on the node as it was.
    let answer = pod.exec("elasticsearch", &["/busybox", "sh", "/ask", "9201"]);
    assert!(answer.contains("You Know, for Search"), "{answer}");
}
