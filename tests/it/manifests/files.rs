//! The files of manifests/, read into the Kubernetes API's own types.

use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, Service};
use k8s_openapi::serde::de::DeserializeOwned;
use serde_json::Value;

/// One file of manifests/.
pub struct Manifest {
    pub path: PathBuf,
    pub text: String,
    pub objects: Vec<Object>,
}

/// One YAML document. A kind that is not listed here fails the reading: add it together with its rules.
pub enum Object {
    Pod(Box<Pod>),
    Deployment(Box<Deployment>),
    DaemonSet(Box<DaemonSet>),
    Service,
}

impl Manifest {
    pub fn name(&self) -> &str {
        self.path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a UTF-8 file name")
    }

    /// The objects that run containers: name and Pod spec.
    pub fn pods(&self) -> Vec<(&str, &PodSpec)> {
        self.objects.iter().filter_map(Object::pod).collect()
    }

    /// The spec of the one object of this name.
    pub fn pod(&self, name: &str) -> &PodSpec {
        self.pods()
            .into_iter()
            .find(|(found, _)| *found == name)
            .unwrap_or_else(|| panic!("{} has no {name}", self.name()))
            .1
    }
}

impl Object {
    fn pod(&self) -> Option<(&str, &PodSpec)> {
        let (meta, spec) = match self {
            Self::Pod(it) => (&it.metadata, it.spec.as_ref()),
            Self::Deployment(it) => (&it.metadata, it.spec.template.spec.as_ref()),
            Self::DaemonSet(it) => (&it.metadata, it.spec.template.spec.as_ref()),
            Self::Service => return None,
        };
        let name = meta.name.as_deref().expect("every object has a name");
        Some((
            name,
            spec.unwrap_or_else(|| panic!("{name} has no Pod spec")),
        ))
    }
}

/// Every container of a Pod, init containers first.
pub fn containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers
        .iter()
        .flatten()
        .chain(&spec.containers)
}

/// All manifests; there is at least one.
pub fn all() -> Vec<Manifest> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    let mut paths: Vec<PathBuf> = fs::read_dir(&directory)
        .expect("manifests/ exists")
        .map(|entry| entry.expect("an entry of manifests/").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "manifests/ is empty");
    paths.into_iter().map(read).collect()
}

/// The manifest of this file name.
pub fn one(name: &str) -> Manifest {
    read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("manifests")
            .join(name),
    )
}

fn read(path: PathBuf) -> Manifest {
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let objects = parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Manifest {
        path,
        text,
        objects,
    }
}

/// Every document of a YAML text; an unknown kind or field is an error that names it.
pub fn parse(text: &str) -> Result<Vec<Object>, String> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| error.to_string())?;
    documents.into_iter().map(object).collect()
}

fn object(document: Value) -> Result<Object, String> {
    match document["kind"].as_str().unwrap_or_default() {
        "Pod" => typed(document).map(Object::Pod),
        "Deployment" => typed(document).map(Object::Deployment),
        "DaemonSet" => typed(document).map(Object::DaemonSet),
        "Service" => typed::<Service>(document).map(|_| Object::Service),
        other => Err(format!("no rules for kind {other:?}")),
    }
}

fn typed<T: DeserializeOwned>(document: Value) -> Result<Box<T>, String> {
    let mut unknown = Vec::new();
    let object = serde_ignored::deserialize(document, |path| unknown.push(path.to_string()))
        .map_err(|error| error.to_string())?;
    if unknown.is_empty() {
        Ok(Box::new(object))
    } else {
        Err(format!("unknown fields: {unknown:?}"))
    }
}
