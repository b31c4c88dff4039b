//! HTTP: the only module that builds a client. One exchange, bounded in time and size; what a status
//! or a redirect means is the caller's matter.

mod certificate;
pub mod probe;
mod trouble;
mod trust;
mod verify;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, HeaderValue};
use http::{HeaderMap, Request, Response};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use zeroize::Zeroize as _;

pub use self::trust::{Identity, Roots, install_provider, root_files};
pub use self::verify::{Check, Trust, tls_config, tls_trouble};
use super::deadline::Deadline;
use super::failure::{Failure, Kind};

/// The longest single attempt; a run's deadline may cut it shorter.
const MAX_ATTEMPT: Duration = Duration::from_secs(30);

/// A name that does not answer at all should not use up the whole attempt.
const MAX_CONNECT: Duration = Duration::from_secs(10);

/// How a client proves itself and whom it believes.
#[derive(Debug)]
pub struct Options<'a> {
    /// Which authorities are trusted.
    pub roots: &'a Roots,
    /// The client's own certificate and key.
    pub identity: Option<&'a Identity>,
    /// The name that the server's certificate has to bear, if it is not the host of the URL.
    pub server_name: Option<&'a str>,
    /// Host and port of every URL that will be asked for, for `server_name`.
    pub origin: &'a Url,
}

/// A client that follows no redirects and has a limit for everything.
#[derive(Debug)]
pub struct Client {
    inner: reqwest::Client,
    alias: Option<String>,
}

impl Client {
    /// Builds the client. Proxies are those of the environment, unless another name is asked for in
    /// the certificate: a proxy would look that name up.
    ///
    /// # Errors
    /// `Usage` for certificates or keys that cannot be used.
    pub fn new(options: &Options<'_>) -> Result<Self, Failure> {
        let host = options.origin.host_str().unwrap_or_default();
        let alias = options.server_name.filter(|name| *name != host);
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(trust::config(options.roots, options.identity)?)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(MAX_CONNECT)
            .user_agent(concat!("podinit/", env!("CARGO_PKG_VERSION")));
        if alias.is_some() {
            let host = host.trim_matches(['[', ']']).to_string();
            builder = builder.no_proxy().dns_resolver(Arc::new(RealHost(host)));
        }
        let inner = builder.build().map_err(|error| {
            Failure::caused_by(Kind::Bug, error.without_url()).context("build the HTTP client")
        })?;
        Ok(Self {
            inner,
            alias: alias.map(str::to_string),
        })
    }

    /// Sends one request and reads the whole answer, of any status, up to `max_body` bytes, within
    /// `limit`.
    ///
    /// # Errors
    /// `Unavailable` without a whole answer in time, `Denied` for a server that is not trusted,
    /// `Usage` for one that does not speak what the URL says, `Corrupt` for too long an answer.
    pub async fn send(
        &self,
        mut request: Request<Vec<u8>>,
        max_body: usize,
        limit: Duration,
    ) -> Result<Response<Vec<u8>>, Failure> {
        if let Some(alias) = &self.alias {
            rename(&mut request, alias)?;
        }
        let mut request = reqwest::Request::try_from(request)
            .map_err(|error| Failure::caused_by(Kind::Bug, error.without_url()))?;
        *request.timeout_mut() = Some(limit);
        let explain = |error| trouble::explain(&error, limit);
        let mut answer = self.inner.execute(request).await.map_err(explain)?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            std::mem::swap::<HeaderMap>(headers, answer.headers_mut());
        }
        let too_long = || {
            Failure::new(
                Kind::Corrupt,
                format!("the answer is longer than {} MiB", max_body >> 20),
            )
        };
        let told = answer.content_length().unwrap_or(0);
        // Room for all of it at once: a growing buffer would leave copies of secrets behind.
        let room = usize::try_from(told)
            .ok()
            .filter(|room| *room <= max_body)
            .ok_or_else(too_long)?;
        let mut body = Vec::with_capacity(room);
        while let Some(chunk) = answer.chunk().await.map_err(explain)? {
            if body.len() + chunk.len() > max_body {
                body.zeroize();
                return Err(too_long());
            }
            body.extend_from_slice(&chunk);
        }
        response
            .body(body)
            .map_err(|error| Failure::caused_by(Kind::Bug, error))
    }
}

/// How long one attempt may take.
pub fn attempt_limit(deadline: &Deadline) -> Duration {
    deadline
        .remaining()
        .map_or(MAX_ATTEMPT, |left| left.min(MAX_ATTEMPT))
}

/// Puts `alias` into the URL, where TLS looks for the name, and the real host into `Host`.
fn rename(request: &mut Request<Vec<u8>>, alias: &str) -> Result<(), Failure> {
    let wrong = |_| Failure::new(Kind::Usage, format!("`{alias}` is not a host name"));
    let mut url = Url::parse(&request.uri().to_string())
        .map_err(|error| Failure::caused_by(Kind::Bug, error))?;
    let authority = request.uri().authority().map(ToString::to_string);
    url.set_host(Some(alias)).map_err(wrong)?;
    *request.uri_mut() = url
        .as_str()
        .parse()
        .map_err(|error| Failure::caused_by(Kind::Bug, error))?;
    if let Some(value) = authority.and_then(|host| HeaderValue::try_from(host).ok()) {
        request.headers_mut().insert(HOST, value);
    }
    Ok(())
}

/// Looks up one host, whatever name is asked for.
struct RealHost(String);

impl Resolve for RealHost {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.0.clone();
        Box::pin(async move {
            // Port 0 is replaced by that of the URL.
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// What a status means where nothing more is known of the server. `None` is success.
pub fn kind_of(status: u16) -> Option<Kind> {
    match status {
        200..=299 => None,
        401 | 403 | 407 => Some(Kind::Denied),
        404 | 410 => Some(Kind::Missing),
        408 | 425 | 429 | 500 | 502..=504 => Some(Kind::Unavailable),
        300..=499 => Some(Kind::Usage),
        _ => Some(Kind::Corrupt),
    }
}

/// The pause that the server asks for, in whole seconds.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// Where the answer points, resolved against the URL that was asked.
pub fn location(asked: &Url, headers: &HeaderMap) -> Option<Url> {
    let text = headers.get(http::header::LOCATION)?.to_str().ok()?;
    asked.join(text).ok()
}

/// Whether credentials for one URL may be sent to the other.
pub fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// Scheme, host and port of a URL: what a message may show of one that somebody else chose.
pub fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_its_kind() {
        for (status, kind) in [
            (200, None),
            (204, None),
            (307, Some(Kind::Usage)),
            (400, Some(Kind::Usage)),
            (401, Some(Kind::Denied)),
            (404, Some(Kind::Missing)),
            (429, Some(Kind::Unavailable)),
            (501, Some(Kind::Corrupt)),
            (503, Some(Kind::Unavailable)),
        ] {
            assert_eq!(kind_of(status), kind, "{status}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let url = |text: &str| Url::parse(text).unwrap();
        assert!(is_same_origin(&url("https://a/x"), &url("https://a:443/y")));
        for other in ["http://a/", "https://b/", "https://a:8200/"] {
            assert!(!is_same_origin(&url("https://a/"), &url(other)), "{other}");
        }
        assert_eq!(origin(&url("https://u:p@a:8200/x?y")), "https://a:8200");
    }

    #[test]
    fn headers_tell_when_and_where() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.insert("retry-after", "2".parse().unwrap());
        headers.insert("location", "/v1/x".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(2)));
        let asked = Url::parse("http://a:1/y").unwrap();
        assert_eq!(
            location(&asked, &headers).unwrap().as_str(),
            "http://a:1/v1/x"
        );
    }

    #[test]
    fn another_name_goes_into_the_url_and_the_host_stays_in_its_header() {
        let mut request = Request::get("https://10.0.0.1:8200/v1/x?y=z")
            .body(Vec::new())
            .unwrap();
        rename(&mut request, "vault.example").unwrap();
        assert_eq!(request.uri(), "https://vault.example:8200/v1/x?y=z");
        assert_eq!(request.headers()[HOST], "10.0.0.1:8200");
    }
}
