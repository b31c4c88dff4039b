//! Which API path stands behind a PATH: the type of its mount decides, never its look. Pure, but for
//! the question.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;

use http::Method;
use serde::Deserialize;

use super::answer;
use super::refusal;
use super::spec::{ApiPath, Ask, encode};
use super::vault::{Place, Vault};
use super::wire::Reply;
use crate::base::failure::{Failure, Kind};
use crate::base::secret::Secret;

/// What the server says of a mount.
#[derive(Debug, Clone, Deserialize)]
struct Told {
    path: String,
    #[serde(rename = "type")]
    kind: String,
    options: Option<BTreeMap<String, String>>,
}

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    head: ApiPath,
    kind: String,
    is_versioned: bool,
}

/// One request; equal ones are made once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Api {
    pub(super) path: ApiPath,
    pub(super) version: Option<NonZeroU64>,
    pub(super) write: Option<BTreeMap<String, String>>,
    /// The secret lies one level deeper, beside what is told of its version.
    pub(super) is_versioned: bool,
    /// Reading it has no effect: it may be read beside others.
    pub(super) is_static: bool,
    pub(super) is_pki: bool,
}

/// Its parameters may hold secrets.
impl fmt::Debug for Api {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Api({})", self.path)
    }
}

impl Api {
    /// The path and query for the wire.
    pub(super) fn wire(&self) -> String {
        let path = self.path.wire();
        match self.version {
            Some(version) => format!("{path}?version={version}"),
            None => path,
        }
    }

    /// What a policy has to grant for it.
    pub(super) fn capability(&self) -> &'static str {
        if self.write.is_some() {
            "update"
        } else {
            "read"
        }
    }

    #[cfg(test)]
    pub(super) fn plain(path: &str) -> Self {
        Self {
            path: path.parse().unwrap(),
            version: None,
            write: None,
            is_versioned: false,
            is_static: true,
            is_pki: false,
        }
    }
}

/// The mounts that are known so far.
#[derive(Debug, Default)]
pub(super) struct Mounts(Vec<Mount>);

impl Mounts {
    /// The request behind `ask`; each mount is asked for once.
    ///
    /// # Errors
    /// `Denied` if the server does not tell, `Usage` for parameters that have no meaning there.
    pub(super) async fn resolve(
        &mut self,
        ask: &Ask,
        vault: &Vault,
        token: &Secret,
    ) -> Result<Api, Failure> {
        let known = self
            .0
            .iter()
            .find(|mount| ask.path.rest_below(&mount.head).is_some());
        let mount = if let Some(mount) = known {
            mount.clone()
        } else {
            let mount = look_up(&ask.path, vault, token).await?;
            self.0.push(mount.clone());
            mount
        };
        mount.api(ask)
    }
}

async fn look_up(path: &ApiPath, vault: &Vault, token: &Secret) -> Result<Mount, Failure> {
    let attempt = format!("find the mount of {path} at {}", vault.address);
    let question = format!("sys/internal/ui/mounts/{}", path.wire());
    let call = vault.new_call(Method::GET, question, Place::Secrets, Some(token));
    let reply = vault.settle(call, &attempt).await?;
    read(&reply, path, vault).map_err(|failure| failure.context(attempt))
}

fn read(reply: &Reply, path: &ApiPath, vault: &Vault) -> Result<Mount, Failure> {
    if reply.status != 200 {
        let namespace = vault.namespace.as_deref();
        return Err(refusal::mount(
            reply,
            &path.to_string(),
            namespace,
            &vault.known,
        ));
    }
    let body = reply.body.expose();
    answer::data(body)
        .and_then(|told| Mount::of(told, path))
        .ok_or_else(|| answer::not_json(&reply.media, body.len()))
}

impl Mount {
    fn of(told: Told, path: &ApiPath) -> Option<Self> {
        let (head, _) = path.split_at_mount(&told.path)?;
        let version = told
            .options
            .as_ref()
            .and_then(|options| options.get("version"));
        Some(Self {
            head,
            is_versioned: told.kind == "kv" && version.is_some_and(|version| version == "2"),
            kind: told.kind,
        })
    }

    fn api(&self, ask: &Ask) -> Result<Api, Failure> {
        let is_static = matches!(self.kind.as_str(), "kv" | "cubbyhole");
        if let (true, Some(write)) = (is_static, &ask.write) {
            let names: Vec<String> = write.keys().map(|name| encode(name)).collect();
            return Err(Failure::new(
                Kind::Usage,
                format!(
                    "the parameters `{}` would write to {} on the {} mount {}/",
                    names.join(", "),
                    ask.path,
                    self.kind,
                    self.head
                ),
            )
            .hint("did you mean version=? only version, decode and mode are not sent"));
        }
        let rest = ask
            .path
            .rest_below(&self.head)
            .unwrap_or_else(|| ask.path.clone());
        let folder = rest
            .first_folder()
            .filter(|folder| ["data", "metadata", "subkeys"].contains(folder));
        let (path, is_data) = match (self.is_versioned, folder) {
            (false, _) => (ask.path.clone(), false),
            (true, None) => (self.head.with("data", &rest), true),
            (true, Some(folder)) => (ask.path.clone(), folder == "data"),
        };
        if ask.version.is_some() && (!self.is_versioned || folder == Some("metadata")) {
            return Err(Failure::new(
                Kind::Usage,
                format!(
                    "`version=` has no meaning for {} on the {} mount {}/",
                    ask.path, self.kind, self.head
                ),
            )
            .hint("only KV version 2 keeps versions"));
        }
        Ok(Api {
            path,
            version: ask.version,
            write: ask.write.clone(),
            is_versioned: is_data,
            is_static,
            is_pki: self.kind == "pki",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::SecretSpec;
    use super::*;

    fn ask(text: &str) -> Ask {
        text.parse::<SecretSpec>().unwrap().ask
    }

    fn mount(path: &str, kind: &str, version: &str, asked: &str) -> Mount {
        let told = Told {
            path: path.into(),
            kind: kind.into(),
            options: Some([("version".to_string(), version.to_string())].into()),
        };
        Mount::of(told, &ask(asked).path).unwrap()
    }

    #[test]
    fn data_is_inserted_on_version_2_only_and_only_once() {
        for (head, version, asked, path, is_versioned) in [
            ("deep/path/", "2", "deep/path/t", "deep/path/data/t", true),
            (
                "deep/path/",
                "2",
                "deep/path/data/t",
                "deep/path/data/t",
                true,
            ),
            (
                "secret/",
                "2",
                "secret/datafoo/bar",
                "secret/data/datafoo/bar",
                true,
            ),
            (
                "secret/",
                "2",
                "secret/metadata/app",
                "secret/metadata/app",
                false,
            ),
            (
                "secret/",
                "2",
                "secret/subkeys/app",
                "secret/subkeys/app",
                false,
            ),
            ("secret/", "2", "secret/data", "secret/data/data", true),
            ("kv1/", "1", "kv1/data/x", "kv1/data/x", false),
            (
                "secret/",
                "2",
                "team1/secret/app",
                "team1/secret/data/app",
                true,
            ),
        ] {
            let api = mount(head, "kv", version, asked).api(&ask(asked)).unwrap();
            assert_eq!(
                (api.path.to_string().as_str(), api.is_versioned),
                (path, is_versioned)
            );
        }
        let api = mount("secret/", "kv", "2", "secret/a").api(&ask("x=secret/a?version=3#k"));
        assert_eq!(api.unwrap().wire(), "secret/data/a?version=3");
    }

    #[test]
    fn a_parameter_never_writes_to_a_store() {
        for (kind, version, asked) in [
            ("kv", "2", "secret/app?foo=b"),
            ("kv", "1", "secret/app?vesion=3"),
            ("cubbyhole", "", "secret/app?"),
            ("kv", "1", "secret/app?version=2"),
            ("kv", "2", "secret/metadata/app?version=2"),
            ("pki", "", "secret/app?version=2"),
        ] {
            let failure = mount("secret/", kind, version, asked)
                .api(&ask(asked))
                .unwrap_err();
            assert_eq!(failure.kind(), Kind::Usage, "{asked}");
        }
        let asked = "pki/issue/web?ttl=1h";
        let api = mount("pki/", "pki", "", asked).api(&ask(asked)).unwrap();
        assert!(!api.is_static && api.is_pki && api.capability() == "update");
    }
}
