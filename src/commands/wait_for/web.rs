//! One HTTP request to a target, through a proxy or not: the way there, and the answer.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONNECTION, HOST, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use rustls::ClientConfig;

use super::attempt::{Attempt, Endpoint, Reached};
use super::escape::excerpt;
use super::host::Host;
use super::setup::{Setup, Tls};
use super::talk::{Talk, drain};
use super::target::Target;
use super::verdict::{Cause, Unready};
use crate::base::failure::{Failure, Kind};
use crate::base::http::Check;
use crate::base::http::probe::{Broken, Reply, Whole, exchange};

/// What both sides may agree on.
pub(super) const EITHER_VERSION: &[&[u8]] = &[b"h2", b"http/1.1"];

/// A server and the way to it.
pub(super) struct Site {
    endpoint: Endpoint,
    /// `https://host:port`, for requests that name all of it.
    origin: String,
    /// `host:port`, without the scheme's own port.
    authority: String,
    proxy: Option<Proxy>,
    /// The protocol, for messages.
    name: &'static str,
    /// HTTP/2 without asking, as gRPC has it.
    is_always_h2: bool,
}

/// A proxy on the way.
struct Proxy {
    endpoint: Endpoint,
    authorization: Option<HeaderValue>,
    /// Whether the target itself is encrypted, so that the proxy only passes bytes.
    is_tunnel: bool,
}

/// What is asked for.
pub(super) struct Ask {
    pub(super) method: Method,
    /// Path and query, as they are sent.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// How much of the answer's body is wanted; bytes.
    pub(super) wanted: Option<usize>,
}

impl Site {
    /// The server of a target. Loopback never uses a proxy.
    ///
    /// # Errors
    /// `Usage` for roots that cannot be read, or a proxy that cannot be used.
    pub(super) fn new(
        target: &Target,
        name: &'static str,
        protocols: &[&[u8]],
        setup: &Setup<'_>,
    ) -> Result<Self, Failure> {
        let is_tls = target.scheme.is_tls;
        let tls = setup.tls_of(target, protocols)?;
        let mut site = Self::direct(target.host.clone(), target.port, tls, name);
        if !is_loopback(&target.host) {
            site.proxy = proxy(&site.origin, is_tls, setup.proxies, &setup.tls)?;
        }
        Ok(site)
    }

    /// A server that is asked without any proxy.
    pub(super) fn direct(
        host: Host,
        port: u16,
        tls: Option<Arc<ClientConfig>>,
        name: &'static str,
    ) -> Self {
        let (scheme, usual) = match tls {
            Some(_) => ("https", 443),
            None => ("http", 80),
        };
        let authority = match port {
            port if port == usual => host.to_string(),
            port => format!("{host}:{port}"),
        };
        Self {
            origin: format!("{scheme}://{authority}"),
            endpoint: Endpoint { host, port, tls },
            authority,
            proxy: None,
            name,
            is_always_h2: false,
        }
    }

    /// The same, with HTTP/2 from the first byte, and without a proxy.
    pub(super) fn always_h2(mut self) -> Self {
        self.is_always_h2 = true;
        self.proxy = None;
        self
    }

    /// Sends one request over a connection of its own.
    ///
    /// # Errors
    /// Says what came instead of an answer.
    pub(super) async fn fetch(&self, attempt: &Attempt<'_>, ask: Ask) -> Result<Reply, Unready> {
        let reached = self.reach(attempt).await?;
        let is_h2 = reached.is_h2 || self.is_always_h2;
        let request = self.request(ask, is_h2)?;
        let (wanted, request) = request;
        attempt
            .stage
            .asking(&reached.peer, format!("the {} answer", self.name));
        let (answer, wire) = exchange(reached.wire, is_h2, request, wanted).await;
        if let Some(mut wire) = wire {
            drain(wire.as_mut(), 0).await;
        }
        answer.map_err(|broken| self.explain(broken, &reached.peer).into())
    }

    /// Names the proxy in a message about the answer.
    pub(super) fn via(&self) -> String {
        match &self.proxy {
            Some(proxy) => format!(" (through the proxy {})", proxy.endpoint.address()),
            None => String::new(),
        }
    }

    async fn reach(&self, attempt: &Attempt<'_>) -> Result<Reached, Unready> {
        let Some(proxy) = &self.proxy else {
            return attempt.reach(&self.endpoint).await;
        };
        // What the proxy's address says proves nothing of the target.
        let reached = attempt
            .reach(&proxy.endpoint)
            .await
            .map_err(|unready| match unready {
                Unready::Yet(cause) => {
                    let proxy = format!("the proxy {}", proxy.endpoint.address());
                    Unready::Yet(cause.context(&proxy).no_proof())
                }
                Unready::Final(failure) => Unready::Final(failure.context("reach the proxy")),
            })?;
        match (&self.endpoint.tls, proxy.is_tunnel) {
            (Some(config), true) => {
                let (wire, peer) = self.tunnel(proxy, reached, attempt).await?;
                attempt
                    .secure(wire, &peer, &self.endpoint.host, config)
                    .await
            }
            _ => Ok(reached),
        }
    }

    /// Has the proxy pass bytes.
    async fn tunnel(
        &self,
        proxy: &Proxy,
        reached: Reached,
        attempt: &Attempt<'_>,
    ) -> Result<(super::connect::BoxedWire, String), Unready> {
        let peer = reached.peer;
        let mut talk = Talk::new(reached.wire, peer.clone(), "HTTP", attempt.stage);
        let place = self.endpoint.address();
        let mut request = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n").into_bytes();
        if let Some(value) = &proxy.authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(value.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        talk.send(&request).await?;
        let head = talk.line("the proxy's answer to CONNECT").await?;
        let text = String::from_utf8_lossy(&head).into_owned();
        let status = text
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.split(' ').nth(1));
        if status.is_none() {
            return Err(talk.wrong().into());
        }
        if status != Some("200") {
            let said = excerpt(&head);
            talk.leave().await;
            return Err(Cause::new(format!(
                "the proxy {} answers {said} to CONNECT",
                proxy.endpoint.address()
            ))
            .hint("set NO_PROXY if the target needs no proxy")
            .into());
        }
        while !talk.line("the proxy's answer to CONNECT").await?.is_empty() {}
        Ok((talk.into_wire()?, peer))
    }

    fn request(&self, ask: Ask, is_h2: bool) -> Result<(Option<usize>, Request<Whole>), Failure> {
        let proxy = self.proxy.as_ref().filter(|proxy| !proxy.is_tunnel);
        let uri = if is_h2 || proxy.is_some() {
            format!("{}{}", self.origin, ask.target)
        } else {
            ask.target
        };
        let uri = uri.parse::<Uri>().map_err(|error| {
            Failure::caused_by(Kind::Bug, error).context("put the request together")
        })?;
        let mut request = Request::new(Whole::new(ask.body));
        *request.method_mut() = ask.method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        if !is_h2 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
            if let Ok(host) = HeaderValue::from_str(&self.authority) {
                headers.insert(HOST, host);
            }
        }
        let agent = concat!("podinit/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        if let Some(value) = proxy.and_then(|proxy| proxy.authorization.clone()) {
            headers.insert(PROXY_AUTHORIZATION, value);
        }
        for name in ask.headers.keys() {
            headers.remove(name);
        }
        for (name, value) in &ask.headers {
            headers.append(name, value.clone());
        }
        Ok((ask.wanted, request))
    }

    fn explain(&self, broken: Broken, peer: &str) -> Cause {
        let via = self.via();
        match broken {
            Broken::NotHttp(head) => Cause::new(format!(
                "not {}: {} from {peer}{via}",
                self.name,
                excerpt(&head)
            ))
            .hint("TLS on one side only? another service on this port?"),
            Broken::Closed => Cause::new(format!(
                "connected to {peer}{via}, then closed before a {} answer",
                self.name
            ))
            .hint(
                "a mesh proxy accepts for a dead upstream, or the server is starting or stopping",
            ),
            Broken::Other(words) => Cause::new(format!(
                "no whole {} answer from {peer}{via}: {words}",
                self.name
            )),
        }
    }
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Name(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
        Host::V4(address) => address.is_loopback(),
        Host::V6(address) => address.is_loopback(),
    }
}

fn proxy(
    origin: &str,
    is_tunnel: bool,
    proxies: &Matcher,
    tls: &Tls,
) -> Result<Option<Proxy>, Failure> {
    let wrong = |words: &str| {
        Failure::new(Kind::Usage, format!("the proxy of the environment {words}"))
            .hint("write HTTP_PROXY and HTTPS_PROXY like http://proxy:3128, or set NO_PROXY")
    };
    let Some(found) = origin.parse().ok().and_then(|uri| proxies.intercept(&uri)) else {
        return Ok(None);
    };
    let uri = found.uri();
    let (port, config) = match uri.scheme_str() {
        Some("http") => (80, None),
        Some("https") => (443, Some(tls.config(Check::Full, &[b"http/1.1"])?)),
        _ => return Err(wrong("is neither http nor https")),
    };
    let host = super::host::read_host(uri.host().unwrap_or_default())
        .map_err(|_| wrong("has no host that can be looked up"))?;
    Ok(Some(Proxy {
        endpoint: Endpoint {
            host,
            port: uri.port_u16().unwrap_or(port),
            tls: config,
        },
        authorization: found.basic_auth().cloned(),
        is_tunnel,
    }))
}

/// The value of `Authorization` for a user and a password.
pub(super) fn basic(user: &str, password: &[u8]) -> Option<HeaderValue> {
    let pair = [user.as_bytes(), b":", password].concat();
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(port: u16, proxy: bool, is_tunnel: bool) -> Site {
        let mut site = Site::direct(Host::Name("h".into()), port, None, "HTTP");
        site.proxy = proxy.then(|| Proxy {
            endpoint: Endpoint {
                host: Host::Name("proxy".into()),
                port: 3128,
                tls: None,
            },
            authorization: basic("a", b"b"),
            is_tunnel,
        });
        site
    }

    fn request(site: &Site, is_h2: bool) -> Request<Whole> {
        let ask = Ask {
            method: Method::GET,
            target: "/x?y=%20".into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            wanted: None,
        };
        site.request(ask, is_h2).unwrap().1
    }

    #[test]
    fn the_request_names_as_much_as_the_way_needs() {
        let direct = request(&site(8080, false, false), false);
        assert_eq!(direct.uri(), "/x?y=%20");
        assert_eq!(direct.headers()[HOST], "h:8080");
        let through = request(&site(80, true, false), false);
        assert_eq!(through.uri(), "http://h/x?y=%20");
        assert_eq!(through.headers()[HOST], "h");
        assert_eq!(through.headers()[PROXY_AUTHORIZATION], "Basic YTpi");
        let tunnelled = request(&site(80, true, true), false);
        assert_eq!(tunnelled.uri(), "/x?y=%20");
        assert!(!tunnelled.headers().contains_key(PROXY_AUTHORIZATION));
        let h2 = request(&site(80, false, false), true);
        assert_eq!(h2.uri(), "http://h/x?y=%20");
        assert!(!h2.headers().contains_key(CONNECTION));
    }

    #[test]
    fn loopback_is_told_by_name_and_address() {
        for text in ["localhost", "db.localhost", "LOCALHOST."] {
            assert!(is_loopback(&Host::Name(text.into())), "{text}");
        }
        assert!(is_loopback(&Host::V4([127, 0, 0, 2].into())));
        assert!(!is_loopback(&Host::Name("localhost.example".into())));
    }
}
