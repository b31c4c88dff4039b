//! What a status of Vault's API means: one table for what is asked again, one judge for each kind of
//! request. Pure.

use super::answer;
use super::mount::Api;
use super::wire::Reply;
use super::words::Known;
use crate::base::failure::{Failure, Kind};
use crate::base::http::kind_of;

/// Answers that may be others soon: out of step (412), too many (429), standby (472, 473), trouble
/// within or on the way (5xx).
pub(super) const RETRIED: [u16; 8] = [412, 429, 472, 473, 500, 502, 503, 504];

/// `403 permission denied`: status and the server's words, which are safe to show.
pub(super) fn told(reply: &Reply, known: &Known) -> String {
    let words = answer::errors(reply.body.expose()).unwrap_or_default();
    let words = known.clean(&words);
    let reason = http::StatusCode::from_u16(reply.status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default();
    if words.is_empty() {
        format!("{} {}", reply.status, reason.to_lowercase())
    } else {
        format!("{} {words}", reply.status)
    }
}

/// An answer that may be another one soon.
pub(super) fn not_ready(reply: &Reply, known: &Known) -> Failure {
    let failure = Failure::new(Kind::Unavailable, told(reply, known));
    match reply.pause {
        Some(pause) => failure.not_before(pause),
        None => failure,
    }
}

/// What `sys/health` says of a server that answers 503.
pub(super) fn health(status: u16) -> Option<Failure> {
    let (state, hint) = match status {
        503 => (
            "the server is sealed",
            "unseal it, or wait for its auto-unseal",
        ),
        501 => (
            "the server is not initialised",
            "initialise it: bao operator init, or vault operator init",
        ),
        429 | 472 | 473 => (
            "the server is a standby",
            "address the active node's Service with --addr",
        ),
        _ => return None,
    };
    Some(Failure::new(Kind::Unavailable, state).hint(hint))
}

/// What a plain HTTP request to a TLS port is answered with by Go's server.
pub(super) fn is_tls_port(reply: &Reply) -> bool {
    const WORDS: &[u8] = b"HTTP request to an HTTPS server";
    reply.status == 400
        && reply
            .body
            .expose()
            .windows(WORDS.len())
            .any(|window| window == WORDS)
}

/// Why the mount of a path is not told.
pub(super) fn mount(reply: &Reply, path: &str, namespace: Option<&str>, known: &Known) -> Failure {
    let words = told(reply, known);
    match reply.status {
        403 => Failure::new(Kind::Denied, words).hint(format!(
            "either no secrets engine is mounted there, or the token has no policy for anything below it, such as path \"{path}\" {{ capabilities = [\"read\"] }}"
        )),
        404 => no_api(&words, namespace),
        _ => other(reply, words),
    }
}

/// A 404 where every Vault has an answer.
pub(super) fn no_api(words: &str, namespace: Option<&str>) -> Failure {
    match namespace {
        Some(namespace) => Failure::new(
            Kind::Missing,
            format!(
                "{words}: no namespace {namespace} (--namespace or --auth-namespace), or no Vault API there"
            ),
        )
        .hint("correct the namespace, or --addr"),
        None => Failure::new(
            Kind::Missing,
            format!("{words}: no Vault API at that address"),
        )
        .hint("check --addr and --auth-path"),
    }
}

/// Why there is no secret. `uses` is how often the token may be used, if that is limited.
pub(super) fn secret(reply: &Reply, api: &Api, uses: u64, known: &Known) -> Failure {
    let words = told(reply, known);
    let capability = api.capability();
    match reply.status {
        405 => Failure::new(Kind::Usage, words)
            .hint("a write needs a parameter, or a bare question mark: PATH?"),
        401 | 403 => {
            let mut hint = format!(
                "add to the policy: path \"{}\" {{ capabilities = [\"{capability}\"] }}",
                api.path
            );
            if uses > 0 {
                hint.push_str(&format!(
                    "; the token may be used {uses} times only: set token_num_uses=0"
                ));
            }
            Failure::new(
                Kind::Denied,
                format!("{words}, needs the capability {capability}"),
            )
            .hint(hint)
        }
        404 => {
            let lost = answer::lost_version(reply.body.expose());
            match (lost, api.version) {
                (Some(lost), _) => Failure::new(Kind::Missing, lost)
                    .hint("undelete it, or ask for another one with ?version=N"),
                (None, Some(version)) => {
                    Failure::new(Kind::Missing, format!("there is no version {version}"))
                }
                (None, None) if words == "404 not found" => {
                    Failure::new(Kind::Missing, "there is no such secret")
                }
                (None, None) => Failure::new(Kind::Missing, words),
            }
        }
        _ => other(reply, words),
    }
}

/// A status that has no meaning of its own here.
pub(super) fn other(reply: &Reply, words: String) -> Failure {
    let kind = kind_of(reply.status).unwrap_or(Kind::Corrupt);
    Failure::new(kind, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status,
            body: Secret::new(body),
            media: "application/json".into(),
            pause: None,
        }
    }

    #[test]
    fn a_refused_secret_has_its_kind_and_its_mend() {
        let api = Api::plain("secret/data/app");
        let known = Known::default();
        let body = r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#;
        for (status, body, kind, words, mend) in [
            (
                400,
                body,
                Kind::Usage,
                "400 1 error occurred: * permission denied",
                "",
            ),
            (405, "{}", Kind::Usage, "405 method not allowed", "PATH?"),
            (
                403,
                body,
                Kind::Denied,
                "read",
                "path \"secret/data/app\" { capabilities = [\"read\"] }",
            ),
            (404, r#"{"errors":[]}"#, Kind::Missing, "no such secret", ""),
        ] {
            let failure = secret(&reply(status, body), &api, 0, &known);
            assert_eq!(failure.kind(), kind, "{status}");
            assert!(failure.to_string().contains(words), "{failure}");
            assert!(
                failure.mend().unwrap_or_default().contains(mend),
                "{status}"
            );
        }
        let failure = secret(&reply(403, body), &api, 2, &known);
        assert!(failure.mend().unwrap().contains("token_num_uses=0"));
    }

    #[test]
    fn health_tells_sealed_from_not_initialised() {
        let words = |status| health(status).map(|failure| failure.to_string());
        assert_eq!(words(503).unwrap(), "the server is sealed");
        assert_eq!(words(501).unwrap(), "the server is not initialised");
        assert_eq!(words(472).unwrap(), "the server is a standby");
        assert_eq!(words(200), None);
    }

    #[test]
    fn what_a_server_asks_to_wait_is_kept() {
        let mut reply = reply(429, "{}");
        reply.pause = Some(std::time::Duration::from_secs(3));
        let failure = not_ready(&reply, &Known::default());
        assert_eq!(failure.pause().as_secs(), 3);
        assert_eq!(failure.to_string(), "429 too many requests");
    }

    #[test]
    fn a_missing_namespace_is_named() {
        let known = Known::default();
        let failure = mount(&reply(404, "{}"), "secret/app", Some("nope"), &known);
        assert_eq!(failure.kind(), Kind::Missing);
        assert!(failure.to_string().contains("nope"));
        let failure = mount(&reply(403, "{}"), "nosuch/x", None, &known);
        let mend = failure.mend().unwrap();
        assert!(mend.contains("mounted") && mend.contains("policy"));
    }
}
