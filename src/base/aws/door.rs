//! The SDK's way to the network: podinit's own client. Beside what the SDK makes of an answer, whoever
//! asked gets the answer itself, with every header and the body as it flows.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::config::http::{HttpRequest, HttpResponse};
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, HttpClient, Intercept, RuntimeComponents};
use aws_sdk_s3::error::{BoxError, ConnectorError};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::http::StatusCode;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};

use crate::base::failure::{Failure, Kind};
use crate::base::http::{Inflow, StreamClient};

/// The longest answer that the SDK reads itself: lists, credentials; bytes.
const MAX_READ: usize = 16 << 20;

/// This much of an error is read; bytes.
const MAX_ERROR: usize = 64 << 10;

/// The words of an error have to come soon: they only explain it.
const MAX_ERROR_WAIT: Duration = Duration::from_secs(5);

/// What came back.
#[derive(Debug)]
pub enum Outcome {
    /// A success whose body is still flowing; the SDK has seen an empty one.
    Flowing(Response<Inflow>),
    /// An answer that was read whole, of any status; the SDK has got a copy.
    Whole(Response<Vec<u8>>),
    /// None.
    Failed(Failure),
}

/// One request through the SDK: headers that its builders do not know, and a place for the answer.
#[derive(Debug, Clone, Default)]
pub struct Errand {
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether a successful answer's body is taken past the SDK.
    flows: bool,
    outcome: Arc<Mutex<Option<Outcome>>>,
}

impl Errand {
    /// An errand whose answer the SDK reads.
    pub fn read() -> Self {
        Self::default()
    }

    /// An errand whose body, if it succeeds, is not for the SDK.
    pub fn flowing() -> Self {
        Self {
            flows: true,
            ..Self::default()
        }
    }

    /// Adds a header before the request is signed.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// What came back, once.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn settle(&self, outcome: Outcome) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }
}

impl Intercept for Errand {
    fn name(&self) -> &'static str {
        "Errand"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        for (name, value) in &self.headers {
            let value = std::str::from_utf8(value.as_bytes())?.to_string();
            request.headers_mut().try_insert(name.to_string(), value)?;
        }
        Ok(())
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        context.request_mut().add_extension(self.clone());
        Ok(())
    }
}

/// The client that the SDK is given.
#[derive(Debug, Clone)]
pub struct Door {
    client: StreamClient,
    /// For the hosts that no proxy may stand before.
    straight: StreamClient,
    straight_hosts: Vec<String>,
    limit: Duration,
    /// Takes what comes back to requests that are no `Errand`: those for credentials, one at a time.
    witness: Errand,
    /// Whom to ask in place of Amazon's own hosts.
    #[cfg(test)]
    pub(super) detour: Option<u16>,
}

impl Door {
    /// A door whose answers have to begin within `limit`.
    pub fn new(client: &StreamClient, limit: Duration) -> Self {
        Self {
            client: client.clone(),
            straight: client.unproxied(),
            straight_hosts: Vec::new(),
            limit,
            witness: Errand::default(),
            #[cfg(test)]
            detour: None,
        }
    }

    /// A door of its own for credentials: none of `hosts` is asked through a proxy.
    pub(super) fn for_credentials(&self, hosts: Vec<String>, limit: Duration) -> Self {
        Self {
            straight_hosts: hosts,
            limit,
            witness: Errand::default(),
            ..self.clone()
        }
    }

    /// What came back to the last request that was no errand.
    pub(super) fn witnessed(&self) -> Option<Outcome> {
        self.witness.outcome()
    }

    /// The client that no proxy stands before.
    pub(super) fn straight(&self) -> &StreamClient {
        &self.straight
    }

    async fn pass(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let errand = request
            .extension::<Errand>()
            .unwrap_or(&self.witness)
            .clone();
        match self.exchange(&request, errand.flows).await {
            Ok(Ok(flowing)) => {
                let copy = copy(flowing.status().as_u16(), None, SdkBody::empty())?;
                errand.settle(Outcome::Flowing(flowing));
                Ok(copy)
            }
            Ok(Err(whole)) => {
                let body = SdkBody::from(whole.body().clone());
                let copy = copy(whole.status().as_u16(), Some(whole.headers()), body)?;
                errand.settle(Outcome::Whole(whole));
                Ok(copy)
            }
            Err(failure) => {
                let words = failure.to_string();
                errand.settle(Outcome::Failed(failure));
                Err(ConnectorError::io(words.into()))
            }
        }
    }

    /// A flowing answer, or one that was read.
    async fn exchange(
        &self,
        request: &HttpRequest,
        flows: bool,
    ) -> Result<Result<Response<Inflow>, Response<Vec<u8>>>, Failure> {
        let request = translate(request)?;
        #[cfg(test)]
        let request = self.detoured(request);
        let host = request.uri().host().unwrap_or_default();
        let is_straight = self.straight_hosts.iter().any(|known| known == host);
        let client = if is_straight {
            &self.straight
        } else {
            &self.client
        };
        let answer = client.send(request, self.limit).await?;
        if flows && answer.status().is_success() {
            return Ok(Ok(answer));
        }
        let is_success = answer.status().is_success();
        let (head, body) = answer.into_parts();
        let body = if is_success {
            body.whole(MAX_READ, self.limit).await?
        } else {
            body.beginning(MAX_ERROR, self.limit.min(MAX_ERROR_WAIT))
                .await
        };
        Ok(Err(Response::from_parts(head, body)))
    }
}

#[cfg(test)]
impl Door {
    fn detoured(&self, mut request: Request<Bytes>) -> Request<Bytes> {
        let host = request.uri().host().unwrap_or_default().to_string();
        if let Some(port) = self.detour.filter(|_| host.ends_with(".amazonaws.com")) {
            let path = request.uri().path_and_query().unwrap();
            let url = format!("http://127.0.0.1:{port}{path}");
            request
                .headers_mut()
                .insert("x-host", HeaderValue::from_str(&host).unwrap());
            *request.uri_mut() = url.parse().unwrap();
        }
        request
    }
}

/// The SDK's request as podinit's. Its URI is not parsed into anything that would change it.
fn translate(request: &HttpRequest) -> Result<Request<Bytes>, Failure> {
    let bug = |words: &'static str| Failure::new(Kind::Bug, words);
    let body = request
        .body()
        .bytes()
        .ok_or_else(|| bug("the SDK streams a request"))?;
    let mut builder = Request::builder()
        .method(request.method())
        .uri(request.uri());
    for (name, value) in request.headers() {
        builder = builder.header(name, value);
    }
    builder
        .body(Bytes::copy_from_slice(body))
        .map_err(|_| bug("the SDK's request is none"))
}

fn copy(
    status: u16,
    headers: Option<&http::HeaderMap>,
    body: SdkBody,
) -> Result<HttpResponse, ConnectorError> {
    let status =
        StatusCode::try_from(status).map_err(|error| ConnectorError::other(error.into(), None))?;
    let mut response = HttpResponse::new(status, body);
    for (name, value) in headers.into_iter().flatten() {
        if let Ok(value) = std::str::from_utf8(value.as_bytes()) {
            // A header that the SDK cannot hold is none that it reads.
            let _ = response
                .headers_mut()
                .try_append(name.to_string(), value.to_string());
        }
    }
    Ok(response)
}

impl HttpClient for Door {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Door {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().pass(request))
    }
}
