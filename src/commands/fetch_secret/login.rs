//! The login: unwraps what is wrapped, asks for a token, and explains a refusal.

use std::time::Duration;

use http::Method;
use serde::Deserialize;
use tokio::time::Instant;
use tracing::{info, warn};

use super::answer::{self, Login as Answer};
use super::auth::{Claims, Login, Request, Wrapped};
use super::refusal;
use super::token::{Held, Maker};
use super::vault::{Place, Vault};
use super::wire::Reply;
use crate::base::failure::{Failure, Kind};
use crate::base::retry::pause;
use crate::base::secret::Secret;

/// How long a bare 403 may still be trouble of the server's own.
const AMBIGUOUS: Duration = Duration::from_secs(15);

/// What is done with a wrapping token, for messages.
const LOOK_UP: &str = "look up the wrapped secret ID";
const UNWRAP: &str = "unwrap the secret ID";

/// Between two attempts of an ambiguous login.
const AGAIN: Duration = Duration::from_secs(1);

/// Logs in at `mount`, which is encoded.
///
/// # Errors
/// `Denied` for a refusal, `Missing` without a Vault there, `Unavailable` at the deadline.
pub(super) async fn log_in(
    login: &mut dyn Login,
    mount: &str,
    vault: &Vault,
) -> Result<Held, Failure> {
    let attempt = format!("log in to {} at auth/{mount}{}", vault.address, login.who());
    if let Some(wrapped) = login.wrapped() {
        login.unwrap(unwrap(&wrapped, mount, vault).await?);
    }
    attempt_until_clear(login, mount, vault, &attempt).await
}

async fn attempt_until_clear(
    login: &dyn Login,
    mount: &str,
    vault: &Vault,
    attempt: &str,
) -> Result<Held, Failure> {
    let explain = |failure: Failure| failure.context(attempt);
    let mut since: Option<Instant> = None;
    loop {
        let request = login.request(mount)?;
        for credential in &request.credentials {
            vault.known.learn(credential.clone());
        }
        let asked = Instant::now();
        let reply = match ask(&request, vault, attempt).await {
            // The last clear word was a refusal.
            Err(failure) if since.is_some() && failure.kind() == Kind::Unavailable => {
                return Err(Failure::new(Kind::Denied, failure.to_string()).hint(ambiguous_hint()));
            }
            other => other?,
        };
        if reply.status == 200 {
            return read(&reply, asked, vault).map_err(explain);
        }
        let words = vault.told(&reply);
        let is_bare = login.is_ambiguous() && words == "403 permission denied";
        let first = *since.get_or_insert_with(Instant::now);
        if !is_bare {
            return Err(explain(refused(
                &reply,
                words,
                request.claims.as_ref(),
                vault,
            )));
        }
        let is_over = first.elapsed() >= AMBIGUOUS;
        if first.elapsed() < AGAIN {
            info!(
                "waiting: {attempt}: {words}; the server may fail to ask Kubernetes about the token"
            );
        }
        if is_over || pause(&vault.deadline, AGAIN).await.is_err() {
            return Err(explain(bare(words, request.claims.as_ref())));
        }
    }
}

async fn ask(request: &Request, vault: &Vault, attempt: &str) -> Result<Reply, Failure> {
    let mut call = vault.new_call(Method::POST, request.path.clone(), Place::Login, None);
    call.body = Some(request.body.clone());
    vault.settle(call, attempt).await
}

fn read(reply: &Reply, asked: Instant, vault: &Vault) -> Result<Held, Failure> {
    let body = reply.body.expose();
    let Some((answer, warnings)) = answer::login(body) else {
        return Err(answer::not_json(&reply.media, body.len()));
    };
    for warning in warnings {
        warn!("the server says: {}", vault.known.clean(&warning));
    }
    match answer {
        Answer::SecondFactor => Err(Failure::new(Kind::Denied, "a second factor is asked for")
            .hint("exempt this login from the MFA enforcement: nobody is there to answer")),
        Answer::Token(token) => {
            vault.known.learn(token.secret.clone());
            Ok(Held {
                secret: token.secret,
                maker: Maker::Podinit {
                    at: asked,
                    seconds: token.seconds,
                    is_batch: token.is_batch,
                },
                uses: token.uses,
            })
        }
    }
}

fn refused(reply: &Reply, words: String, claims: Option<&Claims>, vault: &Vault) -> Failure {
    match reply.status {
        400 | 401 | 403 => {
            if let Some(audience) = claims.and_then(|claims| claims.audience.as_deref())
                && words.contains("audience")
            {
                return Failure::new(
                    Kind::Denied,
                    format!("{words}; the token's audience is {audience}"),
                )
                .hint("mount a projected service account token with the audience of the role, and name it with --jwt-file");
            }
            Failure::new(Kind::Denied, words).hint(hint(reply))
        }
        404 => refusal::no_api(&words, vault.auth_namespace.as_deref()),
        _ => refusal::other(reply, words),
    }
}

/// By the server's words; nothing of them is shown twice.
fn hint(reply: &Reply) -> &'static str {
    let words = answer::errors(reply.body.expose()).unwrap_or_default();
    let words = words.to_lowercase();
    if words.contains("secret id") || words.contains("secret_id") {
        "check role ID and secret ID: one is wrong, or the secret ID is used up or expired"
    } else if words.contains("role") || words.contains("authorized") {
        "check --role, and what the role is bound to: service account, namespace, claims"
    } else if words.contains("expired") {
        "the token has expired: mount one that the kubelet renews"
    } else {
        "check the credential, --role and --auth-path"
    }
}

fn ambiguous_hint() -> &'static str {
    "one of three: the token has expired, no auth method is mounted at that path, or the server cannot reach TokenReview"
}

fn bare(words: String, claims: Option<&Claims>) -> Failure {
    let mut words = words;
    if let Some(claims) = claims {
        let subject = claims.subject.as_deref().unwrap_or("nobody");
        let expiry = claims.expiry.as_deref().unwrap_or("an unknown time");
        words.push_str(&format!("; the token is of {subject} and ends at {expiry}"));
    }
    Failure::new(Kind::Denied, words).hint(ambiguous_hint())
}

/// What the server tells of a wrapping token.
#[derive(Deserialize)]
struct Wrapping {
    creation_path: String,
    creation_time: Option<String>,
}

#[derive(Deserialize)]
struct SecretId {
    secret_id: Option<String>,
}

/// Asks where a wrapping token comes from, without using it up.
///
/// # Errors
/// `Denied` for one that is invalid, or of another path.
pub(super) async fn check_wrapping(
    wrapped: &Wrapped,
    mount: &str,
    vault: &Vault,
) -> Result<(), Failure> {
    vault.known.learn(wrapped.token.clone());
    let token = String::from_utf8_lossy(wrapped.token.expose()).into_owned();
    let body = Secret::new(serde_json::json!({ "token": token }).to_string());
    drop(zeroize::Zeroizing::new(token));
    let path = "sys/wrapping/lookup".to_string();
    let mut call = vault.new_call(Method::POST, path, Place::Login, None);
    call.body = Some(body);
    let reply = vault.settle(call, LOOK_UP).await?;
    if reply.status != 200 {
        return Err(not_valid(&reply, vault).context(LOOK_UP));
    }
    let told: Wrapping = answer::data(reply.body.expose())
        .ok_or_else(|| answer::not_json(&reply.media, reply.body.expose().len()))?;
    if comes_from(&told.creation_path, mount, wrapped.role.as_deref()) {
        return Ok(());
    }
    let created = told.creation_time.unwrap_or_default();
    Err(Failure::new(
        Kind::Denied,
        format!(
            "the wrapping token was created at {}, not at a secret ID of this role{}",
            vault.known.clean(&told.creation_path),
            if created.is_empty() {
                created
            } else {
                format!(" ({})", vault.known.clean(&created))
            }
        ),
    )
    .hint("possible interception: find out who unwrapped it, then issue a new one"))
}

fn not_valid(reply: &Reply, vault: &Vault) -> Failure {
    let words = vault.told(reply);
    match reply.status {
        400 | 401 | 403 => Failure::new(
            Kind::Denied,
            format!("the wrapping token is not valid, used before or expired: possible interception: {words}"),
        )
        .hint("find out who unwrapped it, then issue a new one"),
        404 => refusal::no_api(&words, vault.auth_namespace.as_deref()),
        _ => refusal::other(reply, words),
    }
}

/// Whether `path` is that of a secret ID of `role` at `mount`, or of any one role.
fn comes_from(path: &str, mount: &str, role: Option<&str>) -> bool {
    let Some(rest) = path.strip_prefix(&format!("auth/{mount}/role/")) else {
        return false;
    };
    let Some((found, end)) = rest.split_once('/') else {
        return false;
    };
    let is_role = role.map_or(!found.is_empty(), |role| role == found);
    is_role && matches!(end, "secret-id" | "custom-secret-id")
}

async fn unwrap(wrapped: &Wrapped, mount: &str, vault: &Vault) -> Result<Secret, Failure> {
    check_wrapping(wrapped, mount, vault).await?;
    let path = "sys/wrapping/unwrap".to_string();
    let call = vault.new_call(Method::POST, path, Place::Login, Some(&wrapped.token));
    let reply = vault.settle(call, UNWRAP).await?;
    if reply.status != 200 {
        return Err(not_valid(&reply, vault).context(UNWRAP));
    }
    let found: Option<SecretId> = answer::data(reply.body.expose());
    found
        .and_then(|found| found.secret_id)
        .filter(|id| !id.is_empty())
        .map(Secret::new)
        .ok_or_else(|| {
            Failure::new(Kind::Denied, "the wrapping token holds no secret ID")
                .hint("issue a new one; find out who unwrapped it")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapping_token_has_to_come_from_the_roles_own_path() {
        for (path, role, is_right) in [
            ("auth/approle/role/app/secret-id", Some("app"), true),
            ("auth/approle/role/app/custom-secret-id", Some("app"), true),
            ("auth/approle/role/app/secret-id", None, true),
            ("auth/approle/role/other/secret-id", Some("app"), false),
            ("auth/approle/role//secret-id", None, false),
            ("auth/approle/role/a/b/secret-id", None, false),
            ("auth/other/role/app/secret-id", None, false),
            ("cubbyhole/secret-id", None, false),
        ] {
            assert_eq!(comes_from(path, "approle", role), is_right, "{path}");
        }
    }

    #[test]
    fn a_bare_refusal_tells_what_the_token_says() {
        let claims = Claims {
            subject: Some("system:sa".into()),
            ..Claims::default()
        };
        let failure = bare("403 permission denied".into(), Some(&claims));
        assert_eq!(failure.kind(), Kind::Denied);
        assert!(failure.to_string().contains("system:sa"));
        assert!(failure.mend().unwrap().contains("TokenReview"));
    }
}
