//! `k8s://`: Pods, Jobs, Services and Deployments, by plain GETs with the Pod's own token.

mod ask;
mod readiness;

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use self::ask::{Api, Listed};
use self::readiness::{Readiness, deployment, job, pod, pods, services};
use super::{Probe, Protocol, Shape, User, scheme};
use crate::base::failure::{Failure, Kind};
use crate::base::text::{nearest, one_line};
use crate::commands::wait_for::attempt::Attempt;
use crate::commands::wait_for::setup::Setup;
use crate::commands::wait_for::target::Target;
use crate::commands::wait_for::verdict::{Cause, Found, Goal, Unready};

pub(super) const PROTOCOL: Protocol = Protocol {
    schemes: &[scheme("k8s", None, false)],
    shape: Shape::Namespace,
    keys: &["selector", "missing"],
    is_shared: false,
    is_query_theirs: false,
    user: User::None,
    example: "k8s://prod/jobs/seed?missing=ok",
    about: "a Pod, Job, Service or Deployment is ready; or ?selector=",
    prepare,
};

/// A kind of object, as URLs have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resource {
    Pods,
    Jobs,
    Services,
    Deployments,
}

const RESOURCES: [(&str, Resource); 4] = [
    ("pods", Resource::Pods),
    ("jobs", Resource::Jobs),
    ("services", Resource::Services),
    ("deployments", Resource::Deployments),
];

/// One object, or those that labels select.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Which {
    Named(String),
    Selected(String),
}

struct K8s {
    api: Api,
    resource: Resource,
    which: Which,
    is_absence_fine: bool,
}

fn prepare(target: &Target, setup: &Setup<'_>) -> Result<Box<dyn Probe>, Failure> {
    const HINT: &str = "write k8s://NAMESPACE/pods/NAME or k8s://NAMESPACE/pods?selector=a=b; jobs, services \
                        and deployments too";
    let namespace = target.host.to_string();
    let path = target.decoded_path()?;
    let mut parts = path.split('/');
    let kind = parts.next().unwrap_or_default();
    let Some((_, resource)) = RESOURCES.iter().find(|(name, _)| *name == kind) else {
        let names = RESOURCES.map(|(name, _)| name);
        let hint = match nearest(kind, names, 3).filter(|_| !kind.is_empty()) {
            Some(name) => format!("did you mean {name}"),
            None => HINT.to_string(),
        };
        return Err(target.wrong(format!("`{}` is no kind of object", one_line(kind)), hint));
    };
    let name = parts.next().filter(|name| !name.is_empty());
    if parts.next().is_some() {
        return Err(target.wrong("there is more than a name behind the kind", HINT));
    }
    for text in std::iter::once(namespace.as_str()).chain(name) {
        if !is_name(text) {
            return Err(target.wrong(
                format!("`{}` is no name of a Kubernetes object", one_line(text)),
                "small letters, digits, `-` and `.`",
            ));
        }
    }
    let selector = target.text("selector")?;
    let which = match (name, selector) {
        (Some(name), None) => Which::Named(name.to_string()),
        (None, Some(selector)) if !selector.is_empty() => Which::Selected(selector.to_string()),
        (Some(_), Some(_)) => {
            return Err(target.wrong("a name and a selector exclude each other", HINT));
        }
        (None, _) => return Err(target.wrong("it needs a name or a selector", HINT)),
    };
    let is_absence_fine = match target.text("missing")? {
        None => false,
        Some("ok") if *resource == Resource::Jobs && matches!(which, Which::Named(_)) => true,
        Some("ok") => {
            return Err(target.wrong(
                "?missing=ok is for one Job",
                "such as k8s://prod/jobs/seed?missing=ok",
            ));
        }
        Some(_) => return Err(target.wrong("?missing= only takes ok", "?missing=ok")),
    };
    if is_absence_fine && setup.goal == Goal::Gone {
        return Err(target.wrong("?missing=ok contradicts --gone", "leave one of them out"));
    }
    Ok(Box::new(K8s {
        api: Api::new(&namespace, target, setup)?,
        resource: *resource,
        which,
        is_absence_fine,
    }))
}

/// RFC 1123, as Kubernetes has it.
fn is_name(text: &str) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 253
        && is_end(bytes.first())
        && is_end(bytes.last())
        && bytes.iter().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
        })
}

#[async_trait(?Send)]
impl Probe for K8s {
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found {
        self.look(attempt).await
    }

    fn proves(&self) -> String {
        let what = match self.resource {
            Resource::Pods => "Ready or Succeeded",
            Resource::Jobs => "Complete",
            Resource::Services => "backed by a ready endpoint",
            Resource::Deployments => "rolled out",
        };
        match &self.which {
            Which::Named(_) if self.is_absence_fine => format!("it is {what}, or absent"),
            Which::Named(_) => format!("it is {what}"),
            Which::Selected(_) => format!("all that are selected, at least one, are {what}"),
        }
    }
}

impl K8s {
    async fn look(&self, attempt: &Attempt<'_>) -> Found {
        let found = match (self.resource, &self.which) {
            (Resource::Services, Which::Named(name)) => {
                let slices = self.api.slices(attempt, &[name.as_str()]).await?;
                if slices.is_empty() {
                    return Err(Cause::new("the Service does not exist, or has no endpoint")
                        .absence()
                        .into());
                }
                services(std::slice::from_ref(name), &slices)
            }
            (Resource::Services, Which::Selected(selector)) => {
                let listed = self.list(attempt, selector).await?;
                let names: Vec<String> = listed.iter().map(readiness::name).collect();
                let refs: Vec<&str> = names.iter().map(String::as_str).collect();
                services(&names, &self.api.slices(attempt, &refs).await?)
            }
            (_, Which::Named(name)) => {
                let Some(object) = self.api.get(attempt, self.plural(), name).await? else {
                    if self.is_absence_fine {
                        return Ok(());
                    }
                    return Err(Cause::new("status 404: it does not exist").absence().into());
                };
                self.judge(&object, true)
            }
            (Resource::Pods, Which::Selected(selector)) => {
                pods(&self.list(attempt, selector).await?)
            }
            (_, Which::Selected(selector)) => {
                let listed = self.list(attempt, selector).await?;
                let judged = listed
                    .iter()
                    .map(|object| self.judge(object, false).named(&readiness::name(object)));
                readiness::all(judged)
            }
        };
        match found {
            Readiness::Ready => Ok(()),
            Readiness::Not(words) => Err(Cause::new(words).into()),
            Readiness::Failed(words) => Err(Failure::new(Kind::Unmet, words)
                .hint("look into its log: kubectl logs; waiting longer is in vain")
                .into()),
        }
    }

    fn plural(&self) -> &'static str {
        let of = |(_, resource): &&(&str, Resource)| *resource == self.resource;
        RESOURCES.iter().find(of).map_or("", |(name, _)| name)
    }

    async fn list(&self, attempt: &Attempt<'_>, selector: &str) -> Result<Listed, Unready> {
        let listed = self.api.list(attempt, self.plural(), selector).await?;
        if listed.is_empty() {
            let words = format!(
                "no {} with the labels {}",
                self.plural(),
                one_line(selector)
            );
            return Err(Cause::new(words).absence().into());
        }
        Ok(listed)
    }

    fn judge(&self, object: &serde_json::Value, is_named: bool) -> Readiness {
        match self.resource {
            Resource::Pods => pod(object, is_named),
            Resource::Jobs => job(object),
            Resource::Deployments => deployment(object),
            Resource::Services => Readiness::Ready,
        }
    }
}

/// What the service account brings: the folder that Kubernetes mounts.
fn account_files(folder: &Path, target: &Target) -> Result<(PathBuf, PathBuf), Failure> {
    let file = |name: &str| {
        let path = folder.join(name);
        let is_there = std::fs::read(&path).is_ok_and(|bytes| !bytes.is_empty());
        if is_there {
            return Ok(path);
        }
        Err(target.wrong(
            format!("no service account: no {name} in {}", folder.display()),
            "set automountServiceAccountToken: true in the Pod, or give --service-account-dir",
        ))
    };
    Ok((file("token")?, file("ca.crt")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_kubernetes() {
        for good in ["a", "seed-1", "a.b", "0"] {
            assert!(is_name(good), "{good}");
        }
        for wrong in ["", "A", "-a", "a-", "a_b", "a b", "a/b", "."] {
            assert!(!is_name(wrong), "{wrong}");
        }
    }
}
