//! The grammar of a SOURCE: which store, which key, which version. Pure.
//!
//! A key is taken byte for byte. A URL may be signed or hold a token in its query, so no value of a query
//! is ever part of a message or of what is stored.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt as _;

use percent_encoding::percent_decode_str;
use reqwest::Url;
use ring::digest::{SHA256, digest};

use super::name;
use super::source::{Address, SCHEMES};
use crate::base::argument::BadArgument;
use crate::base::http::origin;
use crate::base::text::one_line;

/// Where objects lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Store {
    S3 {
        bucket: String,
    },
    Gcs {
        bucket: String,
    },
    Azure {
        account: String,
        container: String,
    },
    /// The address, and what of it identifies the object.
    Http {
        address: Address,
        identity: String,
    },
}

/// A SOURCE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Location {
    /// The store that holds it.
    pub(super) store: Store,
    /// The whole key or prefix, byte for byte; empty for http.
    pub(super) key: String,
    /// The version (s3) or generation (gs) that is asked for.
    pub(super) version: Option<String>,
}

fn bad(reason: impl Into<String>, hint: impl Into<String>) -> BadArgument {
    BadArgument {
        reason: reason.into(),
        hint: hint.into(),
    }
}

/// The forms as a hint lists them.
pub(super) fn forms() -> String {
    let forms: Vec<&str> = SCHEMES.iter().map(|scheme| scheme.form).collect();
    format!("write one of {}", forms.join(", "))
}

impl std::str::FromStr for Location {
    type Err = BadArgument;

    /// Never repeats what may hold a secret.
    fn from_str(text: &str) -> Result<Self, BadArgument> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(bad("SOURCE has no scheme", forms()));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "s3" => s3(rest),
            "gs" => gcs(rest),
            "az" => azure(rest),
            "http" | "https" => http(text),
            other => Err(bad(
                format!(
                    "SOURCE begins with `{}://`, which is no known scheme",
                    one_line(other)
                ),
                forms(),
            )),
        }
    }
}

/// The container's name and what follows the slash behind it.
fn split<'a>(text: &'a str, form: &str, what: &str) -> Result<(&'a str, &'a str), BadArgument> {
    let form = format!("write {form}");
    let (name, rest) = text.split_once('/').ok_or_else(|| {
        bad(
            format!("SOURCE names no object: nothing follows the {what}"),
            form.clone(),
        )
    })?;
    let is_name = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-_$".contains(&byte));
    if name.is_empty() || !is_name || name.bytes().all(|byte| byte == b'.') {
        return Err(bad(
            format!("SOURCE: `{}` is no name of a {what}", one_line(name)),
            form,
        ));
    }
    Ok((name, rest))
}

/// Splits a pin off the very end of a key, where `mark` begins it.
fn pin<'a>(rest: &'a str, mark: &str, fits: impl Fn(&str) -> bool) -> (&'a str, Option<&'a str>) {
    match rest.rsplit_once(mark) {
        // What ends in a slash is a prefix, whatever else is in it.
        Some((key, pin)) if !rest.ends_with('/') && fits(pin) => (key, Some(pin)),
        Some(_) | None => (rest, None),
    }
}

fn s3(rest: &str) -> Result<Location, BadArgument> {
    const FORM: &str = "s3://BUCKET/KEY[?versionId=ID]";
    let (bucket, rest) = split(rest, FORM, "bucket")?;
    let (key, version) = pin(rest, "?versionId=", |_| true);
    if version == Some("") {
        return Err(bad(
            "SOURCE ends in `?versionId=` without an ID",
            "name the version, or leave ?versionId= out",
        ));
    }
    check_pinned(key, version)?;
    Ok(Location {
        store: Store::S3 {
            bucket: bucket.to_string(),
        },
        key: key.to_string(),
        version: version.map(str::to_string),
    })
}

fn gcs(rest: &str) -> Result<Location, BadArgument> {
    const FORM: &str = "gs://BUCKET/OBJECT[#GENERATION]";
    let (bucket, rest) = split(rest, FORM, "bucket")?;
    let (key, version) = pin(rest, "#", is_generation);
    check_pinned(key, version)?;
    Ok(Location {
        store: Store::Gcs {
            bucket: bucket.to_string(),
        },
        key: key.to_string(),
        version: version.map(str::to_string),
    })
}

/// Whether it is a generation: digits.
pub(super) fn is_generation(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn check_pinned(key: &str, version: Option<&str>) -> Result<(), BadArgument> {
    match version {
        Some(_) if key.is_empty() || key.ends_with('/') => Err(bad(
            "SOURCE names a version of a prefix",
            "a version belongs to one object: name its key before it",
        )),
        Some(_) | None => Ok(()),
    }
}

fn azure(rest: &str) -> Result<Location, BadArgument> {
    const FORM: &str = "az://ACCOUNT/CONTAINER/BLOB";
    let (account, rest) = split(rest, FORM, "account")?;
    let (container, key) = split(rest, FORM, "container")?;
    Ok(Location {
        store: Store::Azure {
            account: account.to_string(),
            container: container.to_string(),
        },
        key: key.to_string(),
        version: None,
    })
}

/// Never repeats the text, which may be signed or hold a password.
fn http(text: &str) -> Result<Location, BadArgument> {
    let wrong = |reason: &str| {
        let hint = if reason.contains("password") {
            "put `user:password` into a file and name it with --basic-auth-file"
        } else {
            "write http://HOST/PATH or https://HOST/PATH"
        };
        bad(format!("SOURCE {reason}"), hint)
    };
    let address = Address::parse(text).map_err(wrong)?;
    let url = Url::parse(text).map_err(|_| wrong("is not a URL"))?;
    Ok(Location {
        store: Store::Http {
            address,
            identity: identity_of(&url),
        },
        key: String::new(),
        version: None,
    })
}

/// The URL without its query; what of the query chooses the object is there as a digest.
fn identity_of(url: &Url) -> String {
    let mut identity = format!("{}{}", origin(url), url.path());
    let lasting: Vec<&str> = url
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter(|pair| !is_signature(pair.split('=').next().unwrap_or_default()))
        .collect();
    if !lasting.is_empty() {
        let sum = digest(&SHA256, lasting.join("&").as_bytes());
        identity.push_str(&format!("?sha256:{}", hex(&sum.as_ref()[..16])));
    }
    identity
}

/// Parameters by which a URL is signed or limited: another signature names the same object.
fn is_signature(name: &str) -> bool {
    const AZURE: [&str; 16] = [
        "sig", "se", "st", "sp", "sv", "sr", "spr", "sip", "skoid", "sktid", "skt", "ske", "sks",
        "skv", "ss", "srt",
    ];
    const OTHERS: [&str; 6] = [
        "signature",
        "expires",
        "policy",
        "key-pair-id",
        "awsaccesskeyid",
        "googleaccessid",
    ];
    let name = name.to_ascii_lowercase();
    name.starts_with("x-amz-")
        || name.starts_with("x-goog-")
        || AZURE.contains(&name.as_str())
        || OTHERS.contains(&name.as_str())
}

impl Location {
    /// The scheme, as the table of schemes has it.
    pub(super) fn scheme(&self) -> &'static str {
        match &self.store {
            Store::S3 { .. } => "s3",
            Store::Gcs { .. } => "gs",
            Store::Azure { .. } => "az",
            Store::Http { .. } => "http",
        }
    }

    /// Scheme, host and port of an HTTP server.
    pub(super) fn origin(&self) -> Option<&str> {
        let Store::Http { identity, .. } = &self.store else {
            return None;
        };
        let host = identity.find("://").map_or(0, |at| at + 3);
        let end = identity[host..]
            .find('/')
            .map_or(identity.len(), |at| host + at);
        Some(&identity[..end])
    }

    /// Whether it means every key that begins with it.
    pub(super) fn is_prefix(&self) -> bool {
        !matches!(self.store, Store::Http { .. })
            && (self.key.is_empty() || self.key.ends_with('/'))
    }

    /// The last segment of the key or of the URL's path, the latter percent-decoded once.
    pub(super) fn last_segment(&self) -> OsString {
        let last = |text: &str| {
            text.rsplit_once('/')
                .map_or(text, |(_, last)| last)
                .to_string()
        };
        match &self.store {
            Store::Http { address, .. } => {
                OsString::from_vec(percent_decode_str(&last(address.path())).collect())
            }
            Store::S3 { .. } | Store::Gcs { .. } | Store::Azure { .. } => last(&self.key).into(),
        }
    }

    /// What identifies it in records and journals, at the endpoint that is asked instead of the
    /// provider's: no signature, no value of a query.
    pub(super) fn identity(&self, endpoint: Option<&str>) -> String {
        let mut identity = match &self.store {
            Store::Http { identity, .. } => identity.clone(),
            Store::S3 { .. } | Store::Gcs { .. } | Store::Azure { .. } => self.to_string(),
        };
        if let Some(endpoint) = endpoint {
            identity.push_str(&format!(" at {endpoint}"));
        }
        identity
    }

    /// Whether the name itself stands for unchanging bytes.
    pub(super) fn is_pinned(&self) -> bool {
        // The version `null` is that of a bucket that keeps none: it can be overwritten.
        self.version
            .as_deref()
            .is_some_and(|version| version != "null")
    }
}

/// As messages show it: no value of a query.
impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            store,
            key,
            version,
        } = self;
        match store {
            Store::S3 { bucket } => write!(formatter, "s3://{bucket}/{key}")?,
            Store::Gcs { bucket } => write!(formatter, "gs://{bucket}/{key}")?,
            Store::Azure { account, container } => {
                write!(formatter, "az://{account}/{container}/{key}")?;
            }
            Store::Http { address, .. } => write!(formatter, "{address}")?,
        }
        match (store, version) {
            (Store::S3 { .. }, Some(version)) => write!(formatter, "?versionId={version}"),
            (Store::Gcs { .. }, Some(version)) => write!(formatter, "#{version}"),
            (_, _) => Ok(()),
        }
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a file may have this name.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_name(name: &[u8]) -> Result<(), String> {
    if name.contains(&b'/') {
        return Err("holds a slash".to_string());
    }
    name::check(name).map_err(|flaw| flaw.to_string())
}

#[cfg(test)]
mod tests;
