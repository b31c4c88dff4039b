//! Credentials of the agent beside the container: EKS Pod Identity, ECS. The SDK's own provider reads
//! the process's environment and tells one refusal from another only in words.

use std::path::PathBuf;
use std::time::Duration;

use aws_credential_types::Credentials;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use http::{Request, Response, Uri};
use serde::Deserialize;

use crate::base::environment::Environment;
use crate::base::failure::{Failure, Kind};
use crate::base::http::StreamClient;
use crate::base::secret::Secret;

/// Where the relative form of the address leads.
const ECS: &str = "http://169.254.170.2";

/// Where plain http is allowed, beside loopback: ECS, and EKS Pod Identity in IPv4 and IPv6.
const PLAIN_HOSTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];

/// A longer answer holds no credentials; bytes.
const MAX_ANSWER: usize = 64 << 10;

/// Whom to ask, and with what.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) uri: Uri,
    token: Token,
}

impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        self.uri == other.uri
    }
}

impl Eq for Endpoint {}

#[derive(Debug, Clone)]
enum Token {
    None,
    /// It changes: read at each use.
    File(PathBuf),
    Value(Secret),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<String>,
}

impl Endpoint {
    /// The endpoint that the environment names, if any.
    ///
    /// # Errors
    /// `Usage` for one that credentials must not be asked of.
    pub(super) fn named(environment: &Environment) -> Result<Option<Self>, Failure> {
        let text = |name: &str| environment.get(name).and_then(|value| value.to_str());
        let (variable, address) = match (
            text("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
            text("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        ) {
            (Some(path), _) => (
                "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                format!("{ECS}{path}"),
            ),
            (None, Some(address)) => ("AWS_CONTAINER_CREDENTIALS_FULL_URI", address.to_string()),
            (None, None) => return Ok(None),
        };
        let wrong = |reason: &str| {
            Failure::new(Kind::Usage, reason).context(format!("use {variable}")).hint(
                "write https://, or http:// to a loopback address, 169.254.170.2 or 169.254.170.23",
            )
        };
        let uri: Uri = address.parse().map_err(|_| wrong("it is not a URL"))?;
        let host = uri.host().unwrap_or_default();
        let is_plain_allowed = PLAIN_HOSTS.contains(&host)
            || host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse()
                .is_ok_and(|address: std::net::IpAddr| address.is_loopback());
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if is_plain_allowed => {}
            Some("http") => return Err(wrong("it would send a token in the clear")),
            _ => return Err(wrong("it is neither http:// nor https://")),
        }
        let file = environment
            .get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
            .map(PathBuf::from);
        let token = match (file, text("AWS_CONTAINER_AUTHORIZATION_TOKEN")) {
            (Some(file), _) => Token::File(file),
            (None, Some(value)) => Token::Value(Secret::new(value)),
            (None, None) => Token::None,
        };
        Ok(Some(Self { uri, token }))
    }

    /// Asks once.
    ///
    /// # Errors
    /// `Denied` for a refusal, `Unavailable` for all else: the agent may still be starting.
    pub(super) async fn ask(
        &self,
        client: &StreamClient,
        limit: Duration,
    ) -> Result<Credentials, Failure> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = self.uri.clone();
        request
            .headers_mut()
            .insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = self.token()? {
            let value = HeaderValue::from_bytes(token.expose().trim_ascii());
            let mut value = value
                .map_err(|_| Failure::new(Kind::Denied, "its token is not one line of text"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let answer = client.exchange(request, MAX_ANSWER, limit).await?;
        read(&answer)
    }

    fn token(&self) -> Result<Option<Secret>, Failure> {
        match &self.token {
            Token::None => Ok(None),
            Token::Value(value) => Ok(Some(value.clone())),
            Token::File(path) => std::fs::read(path)
                .map(|bytes| Some(Secret::new(bytes)))
                .map_err(|error| {
                    Failure::new(Kind::Denied, error.to_string())
                        .context(format!("read the token {}", path.display()))
                }),
        }
    }
}

fn read(answer: &Response<Vec<u8>>) -> Result<Credentials, Failure> {
    if let Some(failure) = super::refused(answer) {
        return Err(failure);
    }
    let given: Given = serde_json::from_slice(answer.body())
        // The error may quote what it read.
        .map_err(|_| Failure::new(Kind::Unavailable, "its answer holds no credentials"))?;
    let expiry = given
        .expiration
        .as_deref()
        .and_then(|end| humantime::parse_rfc3339_weak(end).ok());
    Ok(Credentials::new(
        given.access_key_id,
        given.secret_access_key,
        given.token,
        expiry,
        "container",
    ))
}
