//! Objects of plain HTTP servers: one URL, redirects followed by hand, credentials for its origin alone.

use std::cell::RefCell;
use std::fmt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use ::http::header::LOCATION;
use ::http::{HeaderMap, Response, StatusCode};
use async_trait::async_trait;

use super::answer::{Verdict, answer, ask, bare, refusal, server_time, text, verdict};
use super::credential_file;
use super::redirect::{is_redirect, next};
use super::said::{MAX_ERROR, words};
use super::scheme::Scheme;
use super::{About, Address, Condition, Metadata, Object, Page, Reach, Reply, Source, Span};
use crate::base::failure::{Failure, Kind};
use crate::base::http::{Inflow, StreamClient};

pub(super) const SCHEME: Scheme = Scheme {
    name: "http",
    form: "http://HOST[:PORT]/PATH",
    example: "http://files.web/models/app-v3.tar.zst",
    needs: "nothing, or --header-file, --basic-auth-file",
    flags: &["header-file", "basic-auth-file", "etag"],
};

pub(super) const SECURE: Scheme = Scheme {
    name: "https",
    form: "https://HOST[:PORT]/PATH[?QUERY]",
    example: "https://host/app-1.2.gz",
    needs: "nothing (a presigned URL), or --header-file, --basic-auth-file",
    ..SCHEME
};

/// The words of an error have to come soon: they only explain it.
pub(super) const MAX_WORDS_WAIT: Duration = Duration::from_secs(5);

/// What is sent to the origin of SOURCE beside the request itself.
#[derive(Debug, Clone, Default)]
pub struct HttpOptions {
    headers: HeaderMap,
}

impl HttpOptions {
    /// Reads `--header-file` and `--basic-auth-file`.
    ///
    /// # Errors
    /// `Usage` for a file that cannot be read or is not of its form.
    pub fn read(
        header_file: Option<&Path>,
        basic_auth_file: Option<&Path>,
    ) -> Result<Self, Failure> {
        let headers = credential_file::headers(header_file, basic_auth_file)?;
        Ok(Self { headers })
    }
}

/// The source of one URL.
///
/// # Errors
/// `Usage` for roots that cannot be used.
pub fn open(
    address: Address,
    options: HttpOptions,
    reach: &Reach,
) -> Result<Rc<dyn Source>, Failure> {
    let client = StreamClient::new(&reach.roots, &reach.environment)?;
    Ok(Rc::new(HttpSource {
        elsewhere: client.shunning_link_local(),
        client,
        source: address,
        headers: options.headers,
        last: RefCell::new(None),
        patience: reach.patience,
    }))
}

struct HttpSource {
    /// For the origin of SOURCE, wherever that is.
    client: StreamClient,
    /// For all other origins.
    elsewhere: StreamClient,
    source: Address,
    /// For the origin of SOURCE alone.
    headers: HeaderMap,
    /// Where the chain of redirects ended; later ranges go straight there.
    last: RefCell<Option<Address>>,
    patience: Duration,
}

/// Headers and queries may hold secrets.
impl fmt::Debug for HttpSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HttpSource")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// An answer that is no redirect, and who gave it.
struct Landed {
    at: Address,
    response: Response<Inflow>,
}

impl HttpSource {
    /// Asks at `start` and follows redirects.
    async fn walk(
        &self,
        start: Address,
        span: &Span,
        condition: Condition<'_>,
    ) -> Result<Landed, Failure> {
        let mut visited = vec![start.clone()];
        let mut at = start;
        loop {
            let mut request = ask(at.uri(), span, condition, "identity")?;
            let is_home = at.is_same_origin(&self.source);
            if is_home {
                request.headers_mut().extend(self.headers.clone());
            }
            let is_trusted = is_home
                || self
                    .source
                    .literal()
                    .is_some_and(crate::base::http::is_link_local);
            let client = if is_trusted {
                &self.client
            } else {
                &self.elsewhere
            };
            let response = client
                .send(request, self.patience)
                .await
                .map_err(|failure| self.at(&at, failure))?;
            if !is_redirect(response.status().as_u16()) {
                return Ok(Landed { at, response });
            }
            at = next(
                &self.source,
                &visited,
                text(response.headers(), LOCATION).as_deref(),
            )?;
            visited.push(at.clone());
            // Read to its end, so that the connection can be used again.
            response
                .into_body()
                .beginning(MAX_ERROR, MAX_WORDS_WAIT)
                .await;
        }
    }

    /// Names the server, if it is not that of SOURCE.
    fn at(&self, at: &Address, failure: Failure) -> Failure {
        if *at == self.source {
            failure
        } else {
            failure.context(format!("redirected to {at}"))
        }
    }

    async fn judge(
        &self,
        landed: Landed,
        span: &Span,
        condition: Condition<'_>,
    ) -> Result<Reply, Failure> {
        let Landed { at, response } = landed;
        let status = response.status();
        let verdict = verdict(status.as_u16(), span, condition);
        let Verdict::Failed(kind) = verdict else {
            *self.last.borrow_mut() = (at != self.source).then_some(at);
            return Ok(bare(verdict).unwrap_or_else(|| Reply::Answer(answer(response))));
        };
        let (head, body) = response.into_parts();
        let body = body.beginning(MAX_ERROR, MAX_WORDS_WAIT).await;
        let mut secrets = at.secrets();
        secrets.extend(self.source.secrets());
        secrets.extend(credential_file::secrets(&self.headers));
        let words = words(&body, &secrets);
        let end = at.expiry().filter(|end| *end <= server_time(&head.headers));
        let failure = match end {
            Some(end) if matches!(status.as_u16(), 400 | 401 | 403) => {
                let end = humantime::format_rfc3339_seconds(end);
                refusal(Kind::Denied, status, &head.headers, &words)
                    .context(format!("the signed URL expired at {end}"))
                    .hint("give a new signed URL")
            }
            _ => {
                let failure = refusal(kind, status, &head.headers, &words);
                self.with_hint(failure, status)
            }
        };
        Err(self.at(&at, failure))
    }

    fn with_hint(&self, failure: Failure, status: StatusCode) -> Failure {
        match status.as_u16() {
            401 | 403 if self.headers.is_empty() => failure.hint(
                "if it asks for credentials, give them with --header-file or --basic-auth-file",
            ),
            401 | 403 => failure.hint("the server does not take the credentials that were given"),
            407 => failure.hint("put the proxy's user and password into HTTPS_PROXY or HTTP_PROXY"),
            404 | 410 => failure.hint("check the URL"),
            _ => failure,
        }
    }
}

#[async_trait(?Send)]
impl Source for HttpSource {
    fn metadata(&self) -> Metadata {
        Metadata::None
    }

    async fn get(
        &self,
        _object: &Object,
        span: Span,
        condition: Condition<'_>,
    ) -> Result<Reply, Failure> {
        let last = self.last.borrow().clone();
        if let Some(last) = last {
            let landed = self.walk(last, &span, condition).await?;
            if !matches!(
                landed.response.status().as_u16(),
                400 | 401 | 403 | 404 | 410
            ) {
                return self.judge(landed, &span, condition).await;
            }
            // A signed address has had its time: only a fresh one's refusal counts.
            *self.last.borrow_mut() = None;
        }
        let landed = self.walk(self.source.clone(), &span, condition).await?;
        self.judge(landed, &span, condition).await
    }

    async fn about(&self, _: &Object, _: Condition<'_>) -> Result<Option<About>, Failure> {
        Ok(Some(About::default()))
    }

    async fn list(&self, _: &str, _: Option<&str>) -> Result<Page, Failure> {
        Err(Failure::new(Kind::Bug, "http servers have no lists"))
    }

    fn show(&self, _: &Object) -> String {
        self.source.to_string()
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
