//! Blobs of Azure: plain GET and List, anonymous or with a SAS token.

mod list;

use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use ::http::header::{HeaderName, HeaderValue};
use ::http::{Request, Response};
use async_trait::async_trait;
use bytes::Bytes;
use percent_encoding::{AsciiSet, utf8_percent_encode};
use zeroize::Zeroizing;

use super::answer::{Verdict, answer, ask, bare, refusal, server_time, text, verdict};
use super::credential_file;
use super::http::MAX_WORDS_WAIT;
use super::s3::read_endpoint;
use super::said::{MAX_ERROR, words};
use super::scheme::Scheme;
use super::{
    About, Address, Condition, Metadata, Object, Page, Reach, Reply, SEGMENT, Source, Span,
};
use crate::base::failure::{Failure, Kind};
use crate::base::http::{Inflow, StreamClient};

pub(super) const SCHEME: Scheme = Scheme {
    name: "az",
    form: "az://ACCOUNT/CONTAINER/BLOB",
    example: "az://account/data/app/weights.bin",
    needs: "nothing (public), or a SAS token: --sas-token-file, AZURE_STORAGE_SAS_TOKEN",
    flags: &["endpoint-url", "sas-token-file", "etag"],
};

/// The dialect: every `ETag` in quotes, odd names in lists encoded.
const VERSION: HeaderValue = HeaderValue::from_static("2021-12-02");

/// A name may have folders.
const PATH: &AsciiSet = &SEGMENT.remove(b'/');

/// A longer answer is no list; bytes.
const MAX_LIST: usize = 64 << 20;

/// What the flags say.
#[derive(Debug, Clone, Default)]
pub struct AzureOptions {
    /// `--endpoint-url`
    pub endpoint: Option<String>,
    /// `--sas-token-file`; else `AZURE_STORAGE_SAS_TOKEN` counts
    pub sas_token_file: Option<PathBuf>,
}

/// The source of one container.
///
/// # Errors
/// `Usage` for an endpoint or a token that cannot be used.
pub fn open(
    account: &str,
    container: &str,
    options: AzureOptions,
    reach: &Reach,
) -> Result<Rc<dyn Source>, Failure> {
    let AzureOptions {
        endpoint,
        sas_token_file,
    } = options;
    let base = if let Some(url) = endpoint {
        read_endpoint("--endpoint-url", &url)?
    } else {
        // It becomes part of a host name.
        let is_name = account
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_name || account.is_empty() {
            let words = "the account's name has other than letters and digits";
            return Err(Failure::new(Kind::Usage, words).hint("write az://ACCOUNT/CONTAINER/BLOB"));
        }
        format!("https://{account}.blob.core.windows.net")
    };
    let variable = |name: &str| reach.environment.get(name).and_then(|value| value.to_str());
    let token = match &sas_token_file {
        Some(path) => Some((format!("{}", path.display()), credential_file::read(path)?)),
        None => variable("AZURE_STORAGE_SAS_TOKEN").map(|token| {
            (
                "AZURE_STORAGE_SAS_TOKEN".to_string(),
                Zeroizing::new(token.to_string()),
            )
        }),
    };
    let token = token
        .map(|(place, token)| read_token(&place, &token))
        .transpose()?;
    let keys = ["AZURE_STORAGE_KEY", "AZURE_STORAGE_CONNECTION_STRING"];
    Ok(Rc::new(AzureSource {
        base: format!("{base}/{}", utf8_percent_encode(container, SEGMENT)),
        name: format!("{account}/{container}"),
        token,
        has_account_key: keys.iter().any(|name| variable(name).is_some()),
        client: StreamClient::new(&reach.roots, &reach.environment)?,
        patience: reach.patience,
    }))
}

/// The token as it stands in a query.
fn read_token(place: &str, text: &str) -> Result<Zeroizing<String>, Failure> {
    let token = text.trim().trim_start_matches('?');
    let is_token = token.split('&').any(|pair| pair.starts_with("sig="))
        && token
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if !is_token {
        return Err(Failure::new(Kind::Usage, "it is not a SAS token")
            .context(format!("read {place}"))
            .hint("write one line like sv=…&se=…&sp=rl&sig=…"));
    }
    Ok(Zeroizing::new(token.to_string()))
}

struct AzureSource {
    /// The URL of the container.
    base: String,
    /// ACCOUNT/CONTAINER
    name: String,
    token: Option<Zeroizing<String>>,
    has_account_key: bool,
    client: StreamClient,
    patience: Duration,
}

impl fmt::Debug for AzureSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AzureSource")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl AzureSource {
    /// `BASE/a/b?…&SAS`
    fn address(&self, key: &str, query: &str) -> Result<Address, Failure> {
        let slash = if key.is_empty() { "" } else { "/" };
        let parts = [
            query,
            self.token.as_deref().map_or("", |token| token.as_str()),
        ];
        let query = parts
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("&");
        let mark = if query.is_empty() { "" } else { "?" };
        let url = format!(
            "{}{slash}{}{mark}{query}",
            self.base,
            utf8_percent_encode(key, PATH)
        );
        Address::parse(&url)
            .map_err(|reason| Failure::new(Kind::Bug, format!("{} {reason}", self.base)))
    }

    async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Inflow>, Failure> {
        let version = HeaderName::from_static("x-ms-version");
        request.headers_mut().insert(version, VERSION);
        self.client.send(request, self.patience).await
    }

    async fn refused(&self, address: &Address, answer: Response<Inflow>, kind: Kind) -> Failure {
        let (head, body) = answer.into_parts();
        let body = body.beginning(MAX_ERROR, MAX_WORDS_WAIT).await;
        let code = text(&head.headers, "x-ms-error-code").unwrap_or_default();
        let mut words = words(&body, &address.secrets());
        if words.is_empty() {
            words.clone_from(&code);
        }
        let kind = match code.as_str() {
            // 409, though it is a matter of rights.
            "PublicAccessNotPermitted" => Kind::Denied,
            _ => kind,
        };
        let failure = refusal(kind, head.status, &head.headers, &words);
        let end = address
            .expiry()
            .filter(|end| *end <= server_time(&head.headers));
        match (kind, end) {
            (Kind::Denied, Some(end)) => failure
                .context(format!("the SAS token expired at {}", humantime::format_rfc3339_seconds(end)))
                .hint("make a new SAS token"),
            (Kind::Denied, None) if self.token.is_some() => {
                failure.hint("the SAS token has to allow r, and l for a prefix, on this container")
            }
            (Kind::Denied, None) if self.has_account_key => failure.hint(
                "account keys are not supported yet: make a SAS token and give it with --sas-token-file",
            ),
            (Kind::Denied, None) => failure.hint(
                "give a SAS token with --sas-token-file; account keys and managed identity come later",
            ),
            (Kind::Missing, _) if self.token.is_none() => failure.hint(
                "check the name; without a SAS token (--sas-token-file) a private container looks missing too",
            ),
            (Kind::Missing, _) => failure.hint("check the name; one that ends in / is a prefix"),
            (Kind::Corrupt, _) if code == "BlobArchived" => {
                failure.hint("the blob is archived: rehydrate it first")
            }
            _ => failure,
        }
    }
}

#[async_trait(?Send)]
impl Source for AzureSource {
    fn metadata(&self) -> Metadata {
        Metadata::None
    }

    async fn get(
        &self,
        object: &Object,
        span: Span,
        condition: Condition<'_>,
    ) -> Result<Reply, Failure> {
        let address = self.address(&object.key, "")?;
        let response = self
            .send(ask(address.uri(), &span, condition, "identity")?)
            .await?;
        match verdict(response.status().as_u16(), &span, condition) {
            Verdict::Failed(kind) => Err(self.refused(&address, response, kind).await),
            verdict => Ok(bare(verdict).unwrap_or_else(|| Reply::Answer(answer(response)))),
        }
    }

    async fn about(&self, _: &Object, _: Condition<'_>) -> Result<Option<About>, Failure> {
        Ok(Some(About::default()))
    }

    async fn list(&self, prefix: &str, next: Option<&str>) -> Result<Page, Failure> {
        let marker = next.map_or(String::new(), |next| {
            format!("&marker={}", utf8_percent_encode(next, SEGMENT))
        });
        let query = format!(
            "restype=container&comp=list&prefix={}{marker}",
            utf8_percent_encode(prefix, SEGMENT)
        );
        let address = self.address("", &query)?;
        let response = self
            .send(ask(
                address.uri(),
                &Span::All,
                Condition::Always,
                "identity",
            )?)
            .await?;
        if let Verdict::Failed(kind) =
            verdict(response.status().as_u16(), &Span::All, Condition::Always)
        {
            return Err(self.refused(&address, response, kind).await);
        }
        let body = response.into_body().whole(MAX_LIST, self.patience).await?;
        let page = list::read(&body).map_err(|failure| failure.context("read the list"))?;
        if page.next.is_some() && page.next.as_deref() == next {
            return Err(
                Failure::new(Kind::Corrupt, "a page that leads to itself").context("read the list")
            );
        }
        Ok(page)
    }

    fn show(&self, object: &Object) -> String {
        format!("az://{}/{}", self.name, object.key)
    }
}

#[cfg(test)]
#[path = "azure/tests.rs"]
mod tests;
