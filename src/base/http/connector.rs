//! How the streaming client gets a connection: straight or through a proxy, TLS over it where the URL
//! says so, and no link-local address where none may be reached.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::header::HeaderValue;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::obstacle::Obstacle;
use super::trust::{self, Roots};
use crate::base::failure::{Failure, Kind};

/// A server that does not answer at all should not use up the whole attempt.
const MAX_CONNECT: Duration = Duration::from_secs(10);

/// The longest answer of a proxy to CONNECT; bytes.
const MAX_PROXY_HEAD: usize = 8192;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// TLS, configured when the first connection needs it: an image without any root can speak http.
#[derive(Debug)]
pub(super) struct Tls {
    roots: Roots,
    config: OnceLock<Arc<ClientConfig>>,
}

impl Tls {
    /// Roots that were named are read at once, so that a bad file is known before any request.
    ///
    /// # Errors
    /// `Usage` for certificates that cannot be used.
    pub(super) fn new(roots: &Roots) -> Result<Self, Failure> {
        let tls = Self {
            roots: roots.clone(),
            config: OnceLock::new(),
        };
        if *roots != Roots::System {
            tls.config()?;
        }
        Ok(tls)
    }

    fn config(&self) -> Result<Arc<ClientConfig>, Failure> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let mut config = trust::config(&self.roots, None)?;
        // One stream of one connection each: HTTP/2 would share one connection's window.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::clone(self.config.get_or_init(|| Arc::new(config))))
    }
}

/// Makes connections.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    tcp: HttpConnector<Resolver>,
    tls: Arc<Tls>,
    proxies: Option<Arc<Matcher>>,
    shuns_link_local: bool,
}

impl Connector {
    pub(super) fn new(
        tls: Arc<Tls>,
        proxies: Option<Arc<Matcher>>,
        shuns_link_local: bool,
    ) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver { shuns_link_local });
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(MAX_CONNECT));
        Self {
            tcp,
            tls,
            proxies,
            shuns_link_local,
        }
    }

    /// What a request that a proxy sees has to carry.
    pub(super) fn proxy_authorization(&self, uri: &Uri) -> Option<HeaderValue> {
        let proxy = self.proxies.as_ref()?.intercept(uri)?;
        let is_seen = uri.scheme_str() == Some("http");
        proxy.basic_auth().filter(|_| is_seen).cloned()
    }

    async fn connect(mut self, target: Uri) -> Result<Stream, BoxError> {
        let host = target.host().unwrap_or_default();
        if self.shuns_link_local && literal(host).is_some_and(is_link_local) {
            return Err(link_local(host).into());
        }
        let is_secure = target.scheme_str() == Some("https");
        let proxy = self
            .proxies
            .as_ref()
            .and_then(|known| known.intercept(&target));
        let Some(proxy) = proxy else {
            let tcp = self.tcp.call(target.clone()).await?.into_inner();
            let io: Box<dyn Io> = if is_secure {
                self.secure(host, tcp).await?
            } else {
                Box::new(tcp)
            };
            return Ok(Stream::new(io, false));
        };
        // A name that a proxy looks up cannot be judged here, and a proxy may be anywhere.
        let mut way = HttpConnector::new_with_resolver(Resolver {
            shuns_link_local: false,
        });
        way.enforce_http(false);
        way.set_nodelay(true);
        way.set_connect_timeout(Some(MAX_CONNECT));
        let io = self.reach_proxy(&mut way, &proxy).await?;
        if !is_secure {
            return Ok(Stream::new(io, true));
        }
        let port = target.port_u16().unwrap_or(443);
        let io = tunnel(io, host, port, proxy.basic_auth()).await?;
        Ok(Stream::new(self.secure(host, io).await?, false))
    }

    async fn reach_proxy(
        &self,
        way: &mut HttpConnector<Resolver>,
        proxy: &Intercept,
    ) -> Result<Box<dyn Io>, BoxError> {
        let uri = proxy.uri();
        let is_secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => {
                return Err(Obstacle {
                    kind: Kind::Usage,
                    words: "the proxy is neither http:// nor https://".to_string(),
                    hint: "set HTTPS_PROXY or HTTP_PROXY to http://HOST:PORT, or exempt the server in NO_PROXY",
                }
                .into());
            }
        };
        let tcp = way.call(uri.clone()).await?.into_inner();
        if is_secure {
            self.secure(uri.host().unwrap_or_default(), tcp).await
        } else {
            Ok(Box::new(tcp))
        }
    }

    async fn secure(&self, host: &str, io: impl Io + 'static) -> Result<Box<dyn Io>, BoxError> {
        let config = self.tls.config().map_err(|failure| Obstacle {
            kind: failure.kind(),
            words: failure.to_string(),
            hint: "give usable authorities with --ca-file",
        })?;
        let name = ServerName::try_from(bare(host).to_string())?;
        Ok(Box::new(
            TlsConnector::from(config).connect(name, io).await?,
        ))
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        Box::pin(self.clone().connect(target))
    }
}

/// Asks a proxy for a way to `host`.
async fn tunnel(
    mut io: Box<dyn Io>,
    host: &str,
    port: u16,
    authorization: Option<&HeaderValue>,
) -> Result<Box<dyn Io>, BoxError> {
    let mut ask = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
    if let Some(value) = authorization {
        ask.extend_from_slice(b"Proxy-Authorization: ");
        ask.extend_from_slice(value.as_bytes());
        ask.extend_from_slice(b"\r\n");
    }
    ask.extend_from_slice(b"\r\n");
    io.write_all(&ask).await?;
    io.flush().await?;
    // Byte by byte: what follows the head belongs to the tunnel. It is a line or two.
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_PROXY_HEAD {
            return Err(refusal(None).into());
        }
        head.push(io.read_u8().await?);
    }
    let status = std::str::from_utf8(&head)
        .ok()
        .and_then(|text| text.strip_prefix("HTTP/1."))
        .and_then(|text| text.split_ascii_whitespace().nth(1))
        .and_then(|text| text.parse().ok());
    match status {
        Some(200..=299) => Ok(io),
        other => Err(refusal(other).into()),
    }
}

fn refusal(status: Option<u16>) -> Obstacle {
    let (kind, words) = match status {
        Some(status @ (401 | 403 | 407)) => {
            (Kind::Denied, format!("the proxy refused with {status}"))
        }
        Some(status) => (Kind::Unavailable, format!("the proxy answered {status}")),
        None => (
            Kind::Unavailable,
            "the proxy's answer is not HTTP".to_string(),
        ),
    };
    Obstacle {
        kind,
        words,
        hint: "check HTTPS_PROXY and its user and password, or exempt the server in NO_PROXY",
    }
}

/// Looks names up; refuses those that lead to a link-local address, if it has to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolver {
    shuns_link_local: bool,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let shuns = self.shuns_link_local;
        Box::pin(async move {
            // Port 0 is replaced by that of the URL.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found: Vec<SocketAddr> = found.map(Iterator::collect).map_err(|error| Obstacle {
                kind: Kind::Unavailable,
                words: format!("look up {name}: {error}"),
                hint: "is the name right? in a Pod, a name without dots needs the cluster's DNS",
            })?;
            if shuns && found.iter().any(|address| is_link_local(address.ip())) {
                return Err(link_local(name.as_str()).into());
            }
            Ok(found.into_iter())
        })
    }
}

fn link_local(host: &str) -> Obstacle {
    Obstacle {
        kind: Kind::Denied,
        words: format!(
            "redirected to {host}, a link-local address, where the node's credentials live"
        ),
        hint: "give the final URL, if that is really where the object is",
    }
}

fn bare(host: &str) -> &str {
    host.trim_matches(['[', ']'])
}

/// The address that a host is, if it is no name.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    bare(host).parse().ok()
}

/// `169.254.0.0/16` and `fe80::/10`, also mapped into IPv6, and the metadata address of EC2 beyond IPv4.
pub fn is_link_local(address: IpAddr) -> bool {
    const EC2: [u16; 8] = [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254];
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address.segments() == EC2,
    }
}

/// Bytes both ways.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl Io for TcpStream {}
impl Io for Box<dyn Io> {}
impl<T: Io> Io for tokio_rustls::client::TlsStream<T> {}

/// One connection.
pub(super) struct Stream {
    io: TokioIo<Box<dyn Io>>,
    /// The other end is a proxy that reads whole URLs.
    is_proxied: bool,
}

impl Stream {
    fn new(io: Box<dyn Io>, is_proxied: bool) -> Self {
        Self {
            io: TokioIo::new(io),
            is_proxied,
        }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.is_proxied)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_local_address_is_known_in_every_dress() {
        for (host, expected) in [
            ("169.254.169.254", true),
            ("169.254.0.1", true),
            ("[fe80::1]", true),
            ("[::ffff:169.254.169.254]", true),
            ("[fd00:ec2::254]", true),
            ("169.253.0.1", false),
            ("127.0.0.1", false),
            ("[::1]", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(literal(host).is_some_and(is_link_local), expected, "{host}");
        }
        assert_eq!(literal("localhost"), None);
    }

    #[test]
    fn what_a_proxy_says_to_connect_has_its_kind() {
        for (status, kind) in [
            (Some(407), Kind::Denied),
            (Some(403), Kind::Denied),
            (Some(502), Kind::Unavailable),
            (None, Kind::Unavailable),
        ] {
            assert_eq!(refusal(status).failure().kind(), kind, "{status:?}");
        }
    }
}
