//! A client for large bodies: HTTP/1.1 alone, a connection for each body, bytes as they were sent, no
//! limit for the whole of one. Redirects and retries are the caller's matter, and URLs go out as given:
//! no segment is resolved, nothing is encoded again.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http::header::{HeaderValue, PROXY_AUTHORIZATION, TRANSFER_ENCODING, USER_AGENT};
use http::{Request, Response};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper_util::client::legacy;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connector::{Connector, Tls};
use super::trouble;
use super::trust::Roots;
use crate::base::environment::Environment;
use crate::base::failure::{Failure, Kind};

/// An idle connection is closed after this long, before most servers do.
const MAX_IDLE: Duration = Duration::from_secs(50);

/// A client that can be cloned cheaply; clones share their connections.
#[derive(Debug, Clone)]
pub struct StreamClient {
    inner: legacy::Client<Connector, Outgoing>,
    connector: Connector,
    tls: Arc<Tls>,
    proxies: Option<Arc<Matcher>>,
}

impl StreamClient {
    /// A client that trusts `roots` and uses the proxies of the environment.
    ///
    /// # Errors
    /// `Usage` for roots that cannot be used.
    pub fn new(roots: &Roots, environment: &Environment) -> Result<Self, Failure> {
        let tls = Arc::new(Tls::new(roots)?);
        let proxies = Some(Arc::new(proxies(environment)));
        Ok(Self::build(tls, proxies, false))
    }

    /// The same without any proxy: for metadata and credentials of the node.
    pub fn unproxied(&self) -> Self {
        Self::build(Arc::clone(&self.tls), None, false)
    }

    /// The same, but no link-local address is ever connected to, whatever name leads there.
    pub fn shunning_link_local(&self) -> Self {
        Self::build(Arc::clone(&self.tls), self.proxies.clone(), true)
    }

    fn build(tls: Arc<Tls>, proxies: Option<Arc<Matcher>>, shuns_link_local: bool) -> Self {
        let connector = Connector::new(Arc::clone(&tls), proxies.clone(), shuns_link_local);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(MAX_IDLE)
            .build(connector.clone());
        Self {
            inner,
            connector,
            tls,
            proxies,
        }
    }

    /// Sends one request; the answer, of any status, has to begin within `limit`.
    ///
    /// # Errors
    /// `Unavailable` without an answer in time, `Denied` for a server or proxy that is not trusted or
    /// refuses, `Usage` for one that does not speak what the URL says.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        limit: Duration,
    ) -> Result<Response<Inflow>, Failure> {
        let mut request = request.map(|bytes| Outgoing(Some(bytes)));
        let authorization = self.connector.proxy_authorization(request.uri());
        let headers = request.headers_mut();
        headers
            .entry(USER_AGENT)
            .or_insert(HeaderValue::from_static(concat!(
                "podinit/",
                env!("CARGO_PKG_VERSION")
            )));
        if let Some(mut value) = authorization {
            value.set_sensitive(true);
            headers.insert(PROXY_AUTHORIZATION, value);
        }
        match tokio::time::timeout(limit, self.inner.request(request)).await {
            Ok(Ok(answer)) => Ok(answer.map(Inflow)),
            Ok(Err(error)) => Err(trouble::no_answer(&error)),
            Err(_) => Err(trouble::silence(limit)),
        }
    }

    /// Sends one request and reads the whole answer, of any status; its head and its body have to come
    /// within `limit` each.
    ///
    /// # Errors
    /// As `send` and `Inflow::whole`.
    pub async fn exchange(
        &self,
        request: Request<Bytes>,
        max: usize,
        limit: Duration,
    ) -> Result<Response<Vec<u8>>, Failure> {
        let (head, body) = self.send(request, limit).await?.into_parts();
        Ok(Response::from_parts(head, body.whole(max, limit).await?))
    }
}

fn proxies(environment: &Environment) -> Matcher {
    let first = |names: [&str; 2]| {
        let found = names.into_iter().find_map(|name| environment.get(name));
        found
            .and_then(|value| value.to_str())
            .unwrap_or_default()
            .to_string()
    };
    Matcher::builder()
        .all(first(["ALL_PROXY", "all_proxy"]))
        .http(first(["HTTP_PROXY", "http_proxy"]))
        .https(first(["HTTPS_PROXY", "https_proxy"]))
        .no(first(["NO_PROXY", "no_proxy"]))
        .build()
}

/// The body of an answer, piece by piece.
#[derive(Debug)]
pub struct Inflow(Incoming);

/// How the end of a body will be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// After so many bytes.
    Length(u64),
    /// By a last chunk.
    Chunked,
    /// By the end of the connection.
    Close,
}

impl Inflow {
    /// How the end of the body of `answer` will be known.
    pub fn end(answer: &Response<Self>) -> End {
        if let Some(length) = answer.body().0.size_hint().exact() {
            return End::Length(length);
        }
        let is_chunked = answer
            .headers()
            .get_all(TRANSFER_ENCODING)
            .iter()
            .any(|value| value.as_bytes().to_ascii_lowercase().ends_with(b"chunked"));
        if is_chunked { End::Chunked } else { End::Close }
    }

    /// The whole body, which has to come within `limit`.
    ///
    /// # Errors
    /// `Corrupt` for more than `max` bytes, `Unavailable` for a body that does not end in time.
    pub async fn whole(mut self, max: usize, limit: Duration) -> Result<Vec<u8>, Failure> {
        let reading = async {
            let mut bytes = Vec::new();
            while let Some(piece) = self.next().await {
                let piece = piece?;
                if bytes.len() + piece.len() > max {
                    let words = format!("the answer is longer than {max} bytes");
                    return Err(Failure::new(Kind::Corrupt, words));
                }
                bytes.extend_from_slice(&piece);
            }
            Ok(bytes)
        };
        match tokio::time::timeout(limit, reading).await {
            Ok(result) => result,
            Err(_) => Err(trouble::silence(limit)),
        }
    }

    /// The beginning of the body, at most `max` bytes of it, as far as it comes within `limit`.
    pub async fn beginning(mut self, max: usize, limit: Duration) -> Vec<u8> {
        let mut bytes = Vec::new();
        let reading = async {
            while bytes.len() < max
                && let Some(Ok(piece)) = self.next().await
            {
                bytes.extend_from_slice(&piece[..piece.len().min(max - bytes.len())]);
            }
        };
        // What came until then is as good as all of it.
        let _ = tokio::time::timeout(limit, reading).await;
        bytes
    }
}

impl Stream for Inflow {
    type Item = Result<Bytes, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let frame = match std::task::ready!(Pin::new(&mut self.0).poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(trouble::cut(&error)))),
                Some(Ok(frame)) => frame,
            };
            // Trailers say nothing that is used.
            if let Ok(bytes) = frame.into_data() {
                return Poll::Ready(Some(Ok(bytes)));
            }
        }
    }
}

/// The body of a request: one piece.
#[derive(Debug)]
pub(super) struct Outgoing(Option<Bytes>);

impl hyper::body::Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.0.take().filter(|bytes| !bytes.is_empty());
        Poll::Ready(piece.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, Bytes::len) as u64)
    }
}
