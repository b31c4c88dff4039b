//! The files of manifests/ and its folders, read into the Kubernetes API's own types. What kubectl's kustomize reads,
//! a `kustomization.yaml`, is no object of the API and is not among them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, PodSpec, Service, ServiceAccount};
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
    Job(Box<Job>),
    ConfigMap(Box<ConfigMap>),
    Service,
    ServiceAccount(Box<ServiceAccount>),
}

impl Manifest {
    /// The path below manifests/.
    pub fn name(&self) -> &str {
        let path = self.path.strip_prefix(folder()).unwrap_or(&self.path);
        path.to_str().expect("a UTF-8 path")
    }

    /// The objects that run containers: name and Pod spec.
    pub fn pods(&self) -> Vec<(&str, &PodSpec)> {
        self.objects.iter().filter_map(Object::pod).collect()
    }

    /// The comment that the file begins with, on one line.
    pub fn comment(&self) -> String {
        let lines = self.text.lines().map_while(|line| line.strip_prefix('#'));
        lines.map(str::trim).collect::<Vec<_>>().join(" ")
    }

    /// The files of the ConfigMap of this name, if there is one.
    pub fn config_map(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let found = self.objects.iter().find_map(|object| match object {
            Object::ConfigMap(it) if it.metadata.name.as_deref() == Some(name) => Some(it),
            _ => None,
        });
        found.map(|it| it.data.clone().unwrap_or_default())
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
    /// The name and the Pod spec of an object that runs containers.
    pub fn pod(&self) -> Option<(&str, &PodSpec)> {
        let (meta, spec) = match self {
            Self::Pod(it) => (&it.metadata, it.spec.as_ref()),
            Self::Deployment(it) => (&it.metadata, it.spec.template.spec.as_ref()),
            Self::DaemonSet(it) => (&it.metadata, it.spec.template.spec.as_ref()),
            Self::Job(it) => (
                &it.metadata,
                it.spec.as_ref().and_then(|it| it.template.spec.as_ref()),
            ),
            Self::ConfigMap(_) | Self::Service | Self::ServiceAccount(_) => return None,
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

/// Where they lie.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests")
}

/// All manifests, those of the folders below too; there is at least one in each.
pub fn all() -> Vec<Manifest> {
    let paths = below(&folder());
    for part in ["", "patterns"] {
        let part = folder().join(part);
        let is_in = |path: &PathBuf| path.parent() == Some(&part);
        assert!(paths.iter().any(is_in), "{} is empty", part.display());
    }
    paths.into_iter().map(read).collect()
}

/// Every file below a folder that kustomize does not read, sorted.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry of a folder").path())
        .flat_map(|path| {
            if path.is_dir() {
                below(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| !path.ends_with("kustomization.yaml"))
        .collect();
    paths.sort();
    paths
}

/// The manifest of this path below manifests/.
pub fn one(name: &str) -> Manifest {
    read(folder().join(name))
}

fn read(path: PathBuf) -> Manifest {
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    rendered(path, text)
}

/// What a program has made of the files at this path.
pub fn rendered(path: PathBuf, text: String) -> Manifest {
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
        "Job" => typed(document).map(Object::Job),
        "ConfigMap" => typed(document).map(Object::ConfigMap),
        "Service" => typed::<Service>(document).map(|_| Object::Service),
        "ServiceAccount" => typed(document).map(Object::ServiceAccount),
        other => Err(format!("no rules for kind {other:?}")),
    }
}

/// A value as the API's own type; an unknown field is an error that names it.
pub fn typed<T: DeserializeOwned>(document: Value) -> Result<Box<T>, String> {
    let mut unknown = Vec::new();
    let object = serde_ignored::deserialize(document, |path| unknown.push(path.to_string()))
        .map_err(|error| error.to_string())?;
    if unknown.is_empty() {
        Ok(Box::new(object))
    } else {
        Err(format!("unknown fields: {unknown:?}"))
    }
}
