//! Requests to the API server of the cluster that this Pod runs in. Never through a proxy.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::base::failure::{Failure, Kind};
use crate::base::http::probe::Reply;
use crate::base::http::{Check, Roots, Trust, retry_after, tls_config};
use crate::base::text::{cut, one_line};
use crate::commands::wait_for::attempt::Attempt;
use crate::commands::wait_for::host::{Host, read_host};
use crate::commands::wait_for::setup::Setup;
use crate::commands::wait_for::target::Target;
use crate::commands::wait_for::verdict::{Cause, Unready};
use crate::commands::wait_for::web::{Ask, EITHER_VERSION, Site};

/// Where the API server is for those whom the environment does not tell.
const USUAL_HOST: &str = "kubernetes.default.svc";

/// One object, or one page of a list; bytes.
const MAX_BODY: usize = 1 << 20;

/// So many objects in a page: with all that Kubernetes notes of a Pod they fit into one answer.
const PAGE: usize = 40;

/// The label that ties an `EndpointSlice` to its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// All but what RFC 3986 calls unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Objects of a list.
pub(super) type Listed = Vec<Value>;

/// The API server, and who asks it.
pub(super) struct Api {
    site: Site,
    namespace: String,
    /// Read again for each attempt: tokens rotate.
    token: PathBuf,
}

impl Api {
    /// Reads the service account's folder.
    ///
    /// # Errors
    /// `Usage` when there is none, or the API server's address makes no sense.
    pub(super) fn new(
        namespace: &str,
        target: &Target,
        setup: &Setup<'_>,
    ) -> Result<Self, Failure> {
        let (token, authority) = super::account_files(setup.service_account, target)?;
        let trust = Trust::read(&Roots::Path(authority))?;
        let config = tls_config(Some(&trust), Check::Full, EITHER_VERSION)?;
        let text = |name: &str| {
            setup
                .environment
                .get(name)
                .map(|value| value.to_string_lossy().into_owned())
        };
        let host = text("KUBERNETES_SERVICE_HOST").unwrap_or_else(|| USUAL_HOST.to_string());
        let port = match text("KUBERNETES_SERVICE_PORT") {
            None => 443,
            Some(text) => text.parse().map_err(|_| {
                target.wrong(
                    "the variable KUBERNETES_SERVICE_PORT is no port",
                    "unset it",
                )
            })?,
        };
        Ok(Self {
            site: Site::direct(
                read_address(&host, target)?,
                port,
                Some(config),
                "Kubernetes",
            ),
            namespace: namespace.to_string(),
            token,
        })
    }

    /// One object, if it exists.
    pub(super) async fn get(
        &self,
        attempt: &Attempt<'_>,
        plural: &str,
        name: &str,
    ) -> Result<Option<Value>, Unready> {
        let path = format!("{}/{name}", self.path(plural));
        let reply = self.send(attempt, &path).await?;
        match reply.status {
            200 => json(&reply).map(Some),
            404 => Ok(None),
            _ => Err(self.refusal(&reply, "get", plural)),
        }
    }

    /// The objects that labels select.
    pub(super) async fn list(
        &self,
        attempt: &Attempt<'_>,
        plural: &str,
        selector: &str,
    ) -> Result<Listed, Unready> {
        let selector = utf8_percent_encode(selector, ESCAPED).to_string();
        let mut listed = Vec::new();
        let mut next = String::new();
        loop {
            let path = format!(
                "{}?limit={PAGE}&labelSelector={selector}{next}",
                self.path(plural)
            );
            let reply = self.send(attempt, &path).await?;
            if reply.status != 200 {
                return Err(self.refusal(&reply, "list", plural));
            }
            let mut page = json(&reply)?;
            if let Value::Array(items) = page["items"].take() {
                listed.extend(items);
            }
            match page["metadata"]["continue"].as_str() {
                None | Some("") => return Ok(listed),
                Some(mark) => {
                    let mark = utf8_percent_encode(mark, ESCAPED);
                    next = format!("&continue={mark}");
                }
            }
        }
    }

    /// The slices of some Services.
    pub(super) async fn slices(
        &self,
        attempt: &Attempt<'_>,
        services: &[&str],
    ) -> Result<Listed, Unready> {
        let selector = match services {
            [one] => format!("{SERVICE_NAME}={one}"),
            all => format!("{SERVICE_NAME} in ({})", all.join(",")),
        };
        self.list(attempt, "endpointslices", &selector).await
    }

    fn path(&self, plural: &str) -> String {
        format!("{}/namespaces/{}/{plural}", group(plural).1, self.namespace)
    }

    async fn send(&self, attempt: &Attempt<'_>, path: &str) -> Result<Reply, Unready> {
        let token = std::fs::read_to_string(&self.token)
            .map_err(|error| Cause::new(format!("read the token: {error}")))?;
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
            .map_err(|_| Cause::new("the token of the service account is none"))?;
        value.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let ask = Ask {
            method: Method::GET,
            target: path.to_string(),
            headers,
            body: Bytes::new(),
            wanted: Some(MAX_BODY),
        };
        let reply = self
            .site
            .fetch(attempt, ask)
            .await
            .map_err(|unready| match unready {
                // That the API server is away proves nothing of its objects.
                Unready::Yet(cause) => Unready::Yet(cause.context("ask the API server").no_proof()),
                Unready::Final(failure) => Unready::Final(failure.context("ask the API server")),
            })?;
        if reply.is_longer {
            let words = format!("the answer is over {} MiB", MAX_BODY >> 20);
            return Err(Cause::new(words).into());
        }
        Ok(reply)
    }

    fn refusal(&self, reply: &Reply, verb: &str, plural: &str) -> Unready {
        let status = reply.status;
        let words = json(reply)
            .ok()
            .and_then(|it| it["message"].as_str().map(one_line));
        let words = words.map_or_else(String::new, |words| format!(": {}", cut(&words, 200)));
        let what = format!("{verb} {plural} in {}", self.namespace);
        match status {
            401 | 403 => {
                let account = std::fs::read_to_string(&self.token)
                    .ok()
                    .and_then(|token| account(&token))
                    .unwrap_or_else(|| "the service account".to_string());
                Failure::new(Kind::Denied, format!("status {status}{words}"))
                    .context(format!("{what} as {account}"))
                    .hint(self.role(verb, plural, &account))
                    .into()
            }
            400 => Failure::new(Kind::Usage, format!("status 400{words}"))
                .context(what)
                .hint("is the selector right? it is that of kubectl --selector")
                .into(),
            429 => Cause::new(format!("{what}: status 429{words}"))
                .not_before(retry_after(&reply.headers).unwrap_or_default())
                .into(),
            // The namespace may be on its way.
            404 => Cause::new(format!("{what}: status 404{words}"))
                .absence()
                .into(),
            _ => Cause::new(format!("{what}: status {status}{words}")).into(),
        }
    }

    /// A Role and its binding, ready to paste.
    fn role(&self, verb: &str, plural: &str, account: &str) -> String {
        let Self { namespace, .. } = self;
        let (group, _) = group(plural);
        let (own, name) = account
            .split_once('/')
            .unwrap_or((namespace.as_str(), "default"));
        format!(
            "kubectl apply -f - <<< '{{apiVersion: v1, kind: List, items: [{{apiVersion: \
             rbac.authorization.k8s.io/v1, kind: Role, metadata: {{name: podinit, namespace: {namespace}}}, \
             rules: [{{apiGroups: [\"{group}\"], resources: [{plural}], verbs: [{verb}]}}]}}, {{apiVersion: \
             rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: podinit, namespace: \
             {namespace}}}, roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: podinit}}, \
             subjects: [{{kind: ServiceAccount, name: {name}, namespace: {own}}}]}}]}}'"
        )
    }
}

fn read_address(host: &str, target: &Target) -> Result<Host, Failure> {
    if let Ok(address) = host.parse() {
        return Ok(Host::V6(address));
    }
    read_host(host).map_err(|_| {
        target.wrong(
            "the variable KUBERNETES_SERVICE_HOST is no host",
            "unset it",
        )
    })
}

/// The API group of a kind, and the beginning of its path.
fn group(plural: &str) -> (&'static str, &'static str) {
    match plural {
        "jobs" => ("batch", "/apis/batch/v1"),
        "deployments" => ("apps", "/apis/apps/v1"),
        "endpointslices" => ("discovery.k8s.io", "/apis/discovery.k8s.io/v1"),
        _ => ("", "/api/v1"),
    }
}

fn json(reply: &Reply) -> Result<Value, Unready> {
    serde_json::from_slice(&reply.body)
        .map_err(|_| Cause::new("the API server's answer is not JSON").into())
}

/// `namespace/name` of the service account that a token is for: its second part says so.
fn account(token: &str) -> Option<String> {
    let claims = token.trim().split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let name = claims["sub"]
        .as_str()?
        .strip_prefix("system:serviceaccount:")?;
    Some(one_line(&name.replace(':', "/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_whose_it_is() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"system:serviceaccount:prod:app"}"#);
        assert_eq!(account(&format!("x.{claims}.y\n")), Some("prod/app".into()));
        for wrong in ["", "x", "x.!.y", "x.e30.y"] {
            assert_eq!(account(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn each_kind_has_its_path() {
        let api = Api {
            site: Site::direct(Host::Name("h".into()), 443, None, "Kubernetes"),
            namespace: "prod".into(),
            token: PathBuf::new(),
        };
        assert_eq!(api.path("pods"), "/api/v1/namespaces/prod/pods");
        assert_eq!(api.path("jobs"), "/apis/batch/v1/namespaces/prod/jobs");
        let role = api.role("get", "jobs", "ci/app");
        let yaml = role.split_once('\'').unwrap().1.trim_end_matches('\'');
        let list: Value = serde_saphyr::from_str(yaml).unwrap();
        assert_eq!(list["items"][0]["rules"][0]["apiGroups"][0], "batch");
        assert_eq!(list["items"][1]["subjects"][0]["namespace"], "ci");
    }
}
