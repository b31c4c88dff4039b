//! What an answer of Vault's API says, read from its bytes. Pure.

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::json::Json;
use crate::base::failure::{Failure, Kind};
use crate::base::secret::Secret;
use crate::base::text::{cut, one_line};

/// Keys named in a message.
const MAX_NAMED: usize = 10;

/// What surrounds every answer.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    auth: Option<Auth<'a>>,
    lease_id: Option<String>,
    lease_duration: Option<u64>,
    warnings: Option<Vec<String>>,
    errors: Option<Vec<String>>,
}

/// What a login gives.
#[derive(Deserialize)]
struct Auth<'a> {
    client_token: Option<String>,
    lease_duration: Option<u64>,
    token_type: Option<String>,
    num_uses: Option<u64>,
    #[serde(borrow)]
    mfa_requirement: Option<&'a RawValue>,
}

/// The part of an answer of KV version 2 that is the secret, and what is told of its version.
#[derive(Deserialize)]
struct Versioned<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    version: Option<u64>,
    #[serde(default)]
    deletion_time: String,
    #[serde(default)]
    destroyed: bool,
}

/// A secret as it came.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// Keys and values, and the very text they were read from.
    Object {
        entries: Vec<(String, Json)>,
        raw: Secret,
    },
    /// An answer that is not Vault's JSON, such as the PEM of `pki/ca/pem`.
    Plain { body: Secret, media: String },
}

/// An answered request.
#[derive(Debug, Clone)]
pub(super) struct Fetched {
    /// The API path that was asked.
    pub(super) from: String,
    pub(super) content: Content,
    /// The version of a secret of KV version 2.
    pub(super) version: Option<u64>,
    /// The seconds that the server promised, if it gave a lease.
    pub(super) lease: Option<u64>,
    pub(super) warnings: Vec<String>,
    /// The mount is one of type `pki`.
    pub(super) is_pki: bool,
}

impl Fetched {
    /// Keys and values.
    ///
    /// # Errors
    /// `Corrupt` for an answer that has none, `Missing` for an empty secret.
    pub(super) fn entries(&self) -> Result<&[(String, Json)], Failure> {
        match &self.content {
            Content::Object { entries, .. } if entries.is_empty() => Err(Failure::new(
                Kind::Missing,
                format!("{} has no keys", self.from),
            )),
            Content::Object { entries, .. } => Ok(entries),
            Content::Plain { body, media } => Err(not_json(media, body.expose().len())),
        }
    }

    /// What `key` names.
    ///
    /// # Errors
    /// `Missing`, with the keys that are there.
    pub(super) fn value(&self, key: &str) -> Result<&Json, Failure> {
        let entries = self.entries()?;
        super::json::look_up(entries, key).ok_or_else(|| {
            let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
            Failure::new(
                Kind::Missing,
                format!(
                    "no key `{key}` in {}; its keys: {}",
                    self.from,
                    listed(&names)
                ),
            )
        })
    }

    /// The bytes that `key` names.
    ///
    /// # Errors
    /// `Missing`, also for null.
    pub(super) fn bytes(&self, key: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
        self.value(key)?
            .bytes()
            .ok_or_else(|| null(key, &self.from))
    }
}

/// The failure of a key without a value.
pub(super) fn null(key: &str, from: &str) -> Failure {
    Failure::new(
        Kind::Missing,
        format!("the key `{}` in {from} is null", one_line(key)),
    )
}

/// A few names, on one line.
fn listed(names: &[&str]) -> String {
    let mut shown: Vec<String> = names
        .iter()
        .take(MAX_NAMED)
        .map(|name| cut(&one_line(name), 60))
        .collect();
    if names.len() > MAX_NAMED {
        shown.push(format!("and {} more", names.len() - MAX_NAMED));
    }
    shown.join(", ")
}

/// The failure of an answer that is not Vault's; its body is never shown.
pub(super) fn not_json(media: &str, length: usize) -> Failure {
    Failure::new(
        Kind::Corrupt,
        format!("the answer is not Vault's JSON: {length} bytes of {media}"),
    )
    .hint("check --addr: is it Vault or OpenBao itself?")
}

fn read<'a>(body: &'a [u8]) -> Option<Envelope<'a>> {
    serde_json::from_slice::<Envelope<'a>>(body).ok()
}

/// The secret in an answer; on a data path of KV version 2 it lies one level deeper.
///
/// # Errors
/// `Corrupt` for JSON that is not Vault's, `Missing` without data.
pub(super) fn secret(
    body: &[u8],
    media: &str,
    from: String,
    is_versioned: bool,
) -> Result<Fetched, Failure> {
    let is_json = media.starts_with("application/json");
    let (Some(envelope), true) = (read(body), is_json) else {
        if is_json || media.starts_with("text/html") {
            return Err(not_json(media, body.len()));
        }
        return Ok(Fetched {
            from,
            content: Content::Plain {
                body: Secret::new(body),
                media: media.to_string(),
            },
            version: None,
            lease: None,
            warnings: Vec::new(),
            is_pki: false,
        });
    };
    let has_lease = envelope.lease_id.is_some_and(|id| !id.is_empty());
    let (data, version) = if is_versioned {
        let outer = envelope.data.map_or("null", RawValue::get);
        let inner: Option<Versioned<'_>> = serde_json::from_str(outer).ok();
        let inner = inner.ok_or_else(|| not_json(media, body.len()))?;
        (
            inner.data,
            inner.metadata.and_then(|metadata| metadata.version),
        )
    } else {
        (envelope.data, None)
    };
    let data = data.ok_or_else(|| Failure::new(Kind::Missing, format!("{from} has no data")))?;
    let Some(Json::Object(entries)) = Json::read(data) else {
        return Err(not_json(media, body.len()));
    };
    Ok(Fetched {
        from,
        content: Content::Object {
            entries,
            raw: Secret::new(data.get()),
        },
        version,
        lease: has_lease.then(|| envelope.lease_duration.unwrap_or_default()),
        warnings: envelope.warnings.unwrap_or_default(),
        is_pki: false,
    })
}

/// What the body of a 404 of KV version 2 says of the version that was asked for.
pub(super) fn lost_version(body: &[u8]) -> Option<String> {
    let data = read(body)?.data?;
    let inner: Versioned<'_> = serde_json::from_str(data.get()).ok()?;
    let metadata = inner.metadata?;
    let version = metadata.version.unwrap_or_default();
    if metadata.destroyed {
        Some(format!("version {version} is destroyed"))
    } else if metadata.deletion_time.is_empty() {
        None
    } else {
        Some(format!(
            "version {version} was deleted at {}",
            one_line(&cut(&metadata.deletion_time, 60))
        ))
    }
}

/// What the server says in place of an answer.
pub(super) fn errors(body: &[u8]) -> Option<String> {
    let errors = read(body)?.errors?;
    Some(errors.join("; "))
}

/// The answer to a login.
#[derive(Debug)]
pub(super) enum Login {
    Token(Token),
    /// A second factor is asked for.
    SecondFactor,
}

/// A token that was made by a login.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) secret: Secret,
    /// Its life in seconds; 0 is no limit.
    pub(super) seconds: u64,
    pub(super) is_batch: bool,
    /// How often it may be used; 0 is no limit.
    pub(super) uses: u64,
}

/// Reads the answer to a login, with its warnings.
pub(super) fn login(body: &[u8]) -> Option<(Login, Vec<String>)> {
    let envelope = read(body)?;
    let auth = envelope.auth?;
    let warnings = envelope.warnings.unwrap_or_default();
    if auth.mfa_requirement.is_some() {
        return Some((Login::SecondFactor, warnings));
    }
    let token = auth.client_token.filter(|token| !token.is_empty())?;
    let token = Token {
        secret: Secret::new(token),
        seconds: auth.lease_duration.unwrap_or_default(),
        is_batch: auth.token_type.as_deref() == Some("batch"),
        uses: auth.num_uses.unwrap_or_default(),
    };
    Some((Login::Token(token), warnings))
}

/// Reads `data` as a type that holds no secrets.
pub(super) fn data<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    serde_json::from_str(read(body)?.data?.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "application/json";

    fn fetched(body: &str, is_versioned: bool) -> Result<Fetched, Failure> {
        secret(
            body.as_bytes(),
            JSON,
            "secret/data/app".into(),
            is_versioned,
        )
    }

    #[test]
    fn the_secret_of_version_2_lies_deeper() {
        let body = r#"{"lease_id":"","lease_duration":2764800,"data":{"data":{"p":"a\u003cb"},
            "metadata":{"version":3,"deletion_time":"","destroyed":false}}}"#;
        let found = fetched(body, true).unwrap();
        assert_eq!(found.version, Some(3));
        assert_eq!(found.lease, None);
        assert_eq!(found.bytes("p").unwrap().as_slice(), b"a<b");
        let Content::Object { raw, .. } = &found.content else {
            panic!("no object");
        };
        assert_eq!(raw.expose(), br#"{"p":"a\u003cb"}"#);
        assert!(fetched(body, false).unwrap().bytes("p").is_err());
    }

    #[test]
    fn a_lease_is_an_id_whatever_its_duration() {
        let body = r#"{"lease_id":"ssh/creds/x","lease_duration":60,"data":{"k":"v"}}"#;
        assert_eq!(fetched(body, false).unwrap().lease, Some(60));
    }

    #[test]
    fn what_is_not_there_is_missing_and_names_only_keys() {
        let found = fetched(r#"{"data":{"password":"hunter2","user":null}}"#, false).unwrap();
        let failure = found.bytes("nokey").unwrap_err();
        assert_eq!(failure.kind(), Kind::Missing);
        assert_eq!(
            failure.to_string(),
            "no key `nokey` in secret/data/app; its keys: password, user"
        );
        assert_eq!(found.bytes("user").unwrap_err().kind(), Kind::Missing);
        for body in [r#"{"data":null}"#, r#"{"data":{}}"#, r#"{"auth":null}"#] {
            let failure = fetched(body, false).and_then(|found| found.entries().map(|_| ()));
            assert_eq!(failure.unwrap_err().kind(), Kind::Missing, "{body}");
        }
    }

    #[test]
    fn an_answer_of_somebody_else_is_corrupt_and_not_shown() {
        for (body, media) in [
            ("<html>hunter2", "text/html"),
            ("hunter2", JSON),
            ("[]", JSON),
        ] {
            let failure = secret(body.as_bytes(), media, "a".into(), false).unwrap_err();
            assert_eq!(failure.kind(), Kind::Corrupt);
            assert!(!failure.to_string().contains("hunter2"));
        }
        let pem = secret(b"PEM", "application/x-pem-file", "pki/ca/pem".into(), false).unwrap();
        assert_eq!(pem.entries().unwrap_err().kind(), Kind::Corrupt);
    }

    #[test]
    fn a_lost_version_is_told_apart_from_a_missing_secret() {
        let body = |time: &str, destroyed: bool| {
            format!(
                r#"{{"data":{{"data":null,"metadata":{{"version":1,"deletion_time":"{time}","destroyed":{destroyed}}}}}}}"#
            )
        };
        assert_eq!(
            lost_version(body("2026-01-02T03:04:05Z", false).as_bytes()).unwrap(),
            "version 1 was deleted at 2026-01-02T03:04:05Z"
        );
        assert_eq!(
            lost_version(body("", true).as_bytes()).unwrap(),
            "version 1 is destroyed"
        );
        assert_eq!(lost_version(br#"{"errors":[]}"#), None);
    }

    #[test]
    fn a_login_gives_a_token_or_asks_for_more() {
        let body = br#"{"auth":{"client_token":"s.x","lease_duration":60,"token_type":"batch","num_uses":2}}"#;
        let Some((Login::Token(token), _)) = login(body) else {
            panic!("no token");
        };
        assert_eq!((token.seconds, token.is_batch, token.uses), (60, true, 2));
        let body = br#"{"auth":{"client_token":"","mfa_requirement":{"mfa_request_id":"x"}}}"#;
        assert!(matches!(login(body), Some((Login::SecondFactor, _))));
        assert!(login(b"{}").is_none());
    }
}
