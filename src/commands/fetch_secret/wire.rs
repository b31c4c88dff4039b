//! One call of Vault's API as a rustify endpoint, and the client that carries it. The whole answer
//! comes back, of any status.

use std::time::Duration;

use async_trait::async_trait;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use reqwest::Url;
use rustify::Endpoint;
use rustify::client::Client as RustifyClient;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use rustify::errors::ClientError;
use zeroize::Zeroizing;

use super::redirect::follow;
use crate::base::failure::{Failure, Kind};
use crate::base::http::{Client, location};
use crate::base::secret::Secret;

/// A longer answer is nobody's secret; bytes.
const MAX_ANSWER: usize = 16 << 20;

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    /// The path behind `/v1/`, encoded, with its query.
    pub(super) path: String,
    pub(super) body: Option<Secret>,
    pub(super) token: Option<Secret>,
    pub(super) namespace: Option<String>,
    /// How long one attempt may take.
    pub(super) limit: Duration,
}

impl Endpoint for Call {
    type Response = serde::de::IgnoredAny;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.path.clone()
    }

    fn method(&self) -> RequestMethod {
        if self.method == Method::POST {
            RequestMethod::POST
        } else {
            RequestMethod::GET
        }
    }

    /// Built here and not by rustify, which would encode the path once more.
    fn request(&self, base: &str) -> Result<Request<Vec<u8>>, ClientError> {
        let url = format!("{base}/v1/{}", self.path);
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(&url)
            .header("X-Vault-Request", "true");
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        if let Some(token) = &self.token
            && let Ok(mut value) = HeaderValue::from_bytes(token.expose())
        {
            value.set_sensitive(true);
            request = request.header("X-Vault-Token", value);
        }
        if self.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = self.body.as_ref().map(|body| body.expose().to_vec());
        request
            .extension(Limit(self.limit))
            .body(body.unwrap_or_default())
            .map_err(|source| ClientError::RequestBuildError {
                source,
                method: self.method(),
                url: String::new(),
            })
    }
}

/// How long the attempt may take, on its way through rustify.
#[derive(Debug, Clone, Copy)]
struct Limit(Duration);

/// A failure on its way through rustify.
#[derive(Debug)]
struct Carried(Failure);

impl std::fmt::Display for Carried {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

impl std::error::Error for Carried {}

fn carry(failure: Failure) -> ClientError {
    ClientError::GenericError {
        source: Carried(failure).into(),
    }
}

/// The client of one server.
#[derive(Debug)]
pub(super) struct Wire {
    client: Client,
    base: String,
}

/// An answer of any status.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Secret,
    /// The content type.
    pub(super) media: String,
    /// The pause that the server asks for.
    pub(super) pause: Option<Duration>,
}

impl Wire {
    /// Calls of the server at `address`, whose path may be a prefix.
    pub(super) fn new(client: Client, address: &Url) -> Self {
        Self {
            client,
            base: address.as_str().trim_end_matches('/').to_string(),
        }
    }

    /// Makes the call once.
    ///
    /// # Errors
    /// As `base::http`, and those of a redirect that is not followed.
    pub(super) async fn call(&self, call: &Call) -> Result<Reply, Failure> {
        let answer = call.exec(self).await.map_err(|error| match error {
            ClientError::GenericError { source } => match source.downcast::<Carried>() {
                Ok(Carried(failure)) => failure,
                Err(_) => Failure::new(Kind::Bug, "rustify failed"),
            },
            // Its other errors hold requests and answers.
            _ => Failure::new(Kind::Bug, "the request could not be built"),
        })?;
        let (head, body) = answer.response.into_parts();
        let media = head.headers.get(CONTENT_TYPE);
        Ok(Reply {
            status: head.status.as_u16(),
            body: Secret::new(body),
            media: media
                .and_then(|media| media.to_str().ok())
                .unwrap_or("an unnamed type")
                .to_string(),
            pause: crate::base::http::retry_after(&head.headers),
        })
    }
}

#[async_trait]
impl RustifyClient for Wire {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, ClientError> {
        let limit = request
            .extensions()
            .get()
            .map_or(Duration::ZERO, |Limit(limit)| *limit);
        self.client
            .send(request, MAX_ANSWER, limit)
            .await
            .map_err(carry)
    }

    fn base(&self) -> &str {
        &self.base
    }

    /// Unlike rustify's own, this keeps the head of an answer that is an error, and knows redirects.
    async fn execute(
        &self,
        mut request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, ClientError> {
        let mut hops = 0;
        loop {
            let method = request.method().clone();
            let asked = Url::parse(&request.uri().to_string())
                .map_err(|source| ClientError::UrlParseError { source })?;
            let mut again = request.clone();
            let answer = self.send(request).await?;
            let target = location(&asked, answer.headers());
            let next = follow(answer.status().as_u16(), &method, &asked, target, hops);
            let Some(target) = next.map_err(carry)? else {
                drop(Zeroizing::new(again.into_body()));
                return Ok(answer);
            };
            *again.uri_mut() = target
                .as_str()
                .parse()
                .map_err(|source| ClientError::UrlBuildError { source })?;
            request = again;
            hops += 1;
        }
    }
}
