//! Tokens for Google's API: of a service account's key, or of the metadata server. Kept while they
//! last, asked for again before they end.

use std::cell::RefCell;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use ::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use ::http::{Method, Request, Response};
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::Mutex as Turn;

use super::super::Address;
use super::super::answer::refusal;
use super::super::said::words;
use super::key::Key;
use super::read_key_file;
use crate::base::environment::Environment;
use crate::base::failure::{Failure, Kind};
use crate::base::http::StreamClient;
use crate::base::secret::Secret;

/// Where the metadata server is, on Google's machines.
const METADATA: &str = "metadata.google.internal";

/// A token with less time left than this is renewed, or with a quarter of its life.
const MARGIN: Duration = Duration::from_mins(5);

/// One answer of whoever gives tokens.
const MAX_ANSWER: Duration = Duration::from_secs(10);

/// How long the name of a metadata server is looked up that may not exist.
const MAX_GUESS: Duration = Duration::from_secs(3);

/// A longer answer holds no token; bytes.
const MAX_BODY: usize = 64 << 10;

#[derive(Debug)]
enum Origin {
    Key(Box<Key>),
    Metadata { host: String, is_named: bool },
}

#[derive(Debug)]
struct Current {
    token: Secret,
    since: Instant,
    life: Duration,
}

/// The tokens of one source.
#[derive(Debug)]
pub(super) struct Tokens {
    origin: Origin,
    client: StreamClient,
    current: RefCell<Option<Current>>,
    /// One request for a token at a time.
    turn: Turn<()>,
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
    /// Seconds.
    expires_in: Option<u64>,
}

impl Tokens {
    /// Chooses where tokens come from; nothing is asked yet.
    ///
    /// # Errors
    /// `Usage` for a credential file that cannot be used.
    pub(super) fn new(environment: &Environment, client: &StreamClient) -> Result<Self, Failure> {
        let origin = if let Some(path) = environment.get("GOOGLE_APPLICATION_CREDENTIALS") {
            let path = Path::new(path);
            let key = Key::parse(&read_key_file(path)?)
                .map_err(|failure| failure.context(format!("read {}", path.display())))?;
            Origin::Key(Box::new(key))
        } else {
            let named = environment
                .get("GCE_METADATA_HOST")
                .and_then(|host| host.to_str());
            Origin::Metadata {
                host: named.unwrap_or(METADATA).to_string(),
                is_named: named.is_some(),
            }
        };
        let client = match &origin {
            Origin::Key(_) => client.clone(),
            Origin::Metadata { .. } => client.unproxied(),
        };
        Ok(Self {
            origin,
            client,
            current: RefCell::new(None),
            turn: Turn::new(()),
        })
    }

    /// A token that lasts.
    ///
    /// # Errors
    /// `Unavailable` from a place that is there and does not answer yet, `Denied` where tokens are
    /// refused or nowhere to be had.
    pub(super) async fn current(&self) -> Result<Secret, Failure> {
        if let Some(token) = self.lasting() {
            return Ok(token);
        }
        let _turn = self.turn.lock().await;
        if let Some(token) = self.lasting() {
            return Ok(token);
        }
        match self.make().await {
            Ok(given) => {
                let token = Secret::new(given.access_token);
                *self.current.borrow_mut() = Some(Current {
                    token: token.clone(),
                    since: Instant::now(),
                    life: Duration::from_secs(given.expires_in.unwrap_or(0)),
                });
                Ok(token)
            }
            Err(failure) => self.valid().ok_or(failure),
        }
    }

    /// Lets go of a token that the store refuses.
    pub(super) fn forget(&self, refused: &Secret) {
        let is_it = |current: &mut Current| current.token.expose() == refused.expose();
        let _ = self.current.borrow_mut().take_if(is_it);
    }

    /// What no message may quote.
    pub(super) fn secrets(&self) -> Vec<String> {
        let current = self.current.borrow();
        let token = current.as_ref().map(|current| current.token.expose());
        token
            .map(|token| String::from_utf8_lossy(token).into_owned())
            .into_iter()
            .collect()
    }

    fn lasting(&self) -> Option<Secret> {
        let current = self.current.borrow();
        let current = current.as_ref()?;
        let good = current.life.saturating_sub(MARGIN.min(current.life / 4));
        (current.since.elapsed() < good).then(|| current.token.clone())
    }

    fn valid(&self) -> Option<Secret> {
        let current = self.current.borrow();
        let current = current.as_ref()?;
        (current.since.elapsed() < current.life).then(|| current.token.clone())
    }

    async fn make(&self) -> Result<Given, Failure> {
        match &self.origin {
            Origin::Key(key) => self.exchange(key).await.map_err(|failure| {
                let context = format!("get a token of {} for {}", key.token_uri, key.email);
                explain(
                    failure,
                    context,
                    "is the service account's key still valid?",
                )
            }),
            Origin::Metadata { host, is_named } => {
                if !is_named {
                    self.look_up(host).await?;
                }
                self.ask_metadata(host).await.map_err(|failure| {
                    let context = format!("get a token of the metadata server {host}");
                    explain(
                        failure,
                        context,
                        "bind a service account to the node or the Pod",
                    )
                })
            }
        }
    }

    async fn exchange(&self, key: &Key) -> Result<Given, Failure> {
        let assertion = key.assertion(SystemTime::now())?;
        let body = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}"
        );
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = key.token_uri.uri().clone();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form);
        read(&self.client.exchange(request, MAX_BODY, MAX_ANSWER).await?)
    }

    async fn ask_metadata(&self, host: &str) -> Result<Given, Failure> {
        let url =
            format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token");
        let address = Address::parse(&url)
            .map_err(|reason| Failure::new(Kind::Usage, format!("GCE_METADATA_HOST {reason}")))?;
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = address.uri().clone();
        let flavor = HeaderName::from_static("metadata-flavor");
        request
            .headers_mut()
            .insert(flavor, HeaderValue::from_static("Google"));
        read(&self.client.exchange(request, MAX_BODY, MAX_ANSWER).await?)
    }

    /// Elsewhere than on Google's machines nobody knows the name.
    async fn look_up(&self, host: &str) -> Result<(), Failure> {
        let looked = tokio::time::timeout(MAX_GUESS, tokio::net::lookup_host((host, 80))).await;
        let reason = match looked {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no address within {:.0} s", MAX_GUESS.as_secs_f64()),
        };
        let words =
            format!("GOOGLE_APPLICATION_CREDENTIALS is not set; metadata server {host}: {reason}");
        Err(Failure::new(Kind::Denied, words)
            .context("no credentials of Google")
            .hint("mount a service account's key, or say --anonymous for a public bucket"))
    }
}

fn explain(failure: Failure, context: String, mend: &str) -> Failure {
    let is_waited_for = failure.kind() == Kind::Unavailable;
    let failure = failure.context(context);
    if is_waited_for {
        failure
            .hint("the metadata server may start after the Pod; it is waited for until --timeout")
    } else if failure.kind() == Kind::Denied && failure.mend().is_none() {
        failure.hint(mend)
    } else {
        failure
    }
}

fn read(answer: &Response<Vec<u8>>) -> Result<Given, Failure> {
    let status = answer.status();
    let kind = match status.as_u16() {
        200 => {
            // The error may quote what it read.
            return serde_json::from_slice(answer.body())
                .map_err(|_| Failure::new(Kind::Unavailable, "the answer holds no token"));
        }
        400 | 401 | 403 | 404 => Kind::Denied,
        _ => Kind::Unavailable,
    };
    Err(refusal(
        kind,
        status,
        answer.headers(),
        &words(answer.body(), &[]),
    ))
}
