//! Objects of Google Cloud Storage, through its JSON API: metadata first, then the bytes of that
//! generation, as they are stored.

mod key;
mod token;

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use ::http::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderValue};
use ::http::{HeaderMap, Request, Response, StatusCode};
use async_trait::async_trait;
use bytes::Bytes;
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;

use self::token::Tokens;
use super::answer::{Verdict, answer, ask, bare, refusal, text, verdict};
use super::credential_file;
use super::http::MAX_WORDS_WAIT;
use super::s3::{big_endian, read_endpoint};
use super::said::{MAX_ERROR, words};
use super::scheme::Scheme;
use super::{
    About, Address, Checksum, Condition, Crc, Listed, Metadata, Object, Page, Reach, Reply,
    SEGMENT, Source, Span, Validator,
};
use crate::base::failure::{Failure, Kind};
use crate::base::http::{Inflow, StreamClient};

pub(super) const SCHEME: Scheme = Scheme {
    name: "gs",
    form: "gs://BUCKET/OBJECT[#GENERATION]",
    example: "gs://data/app/v3/weights.bin",
    needs: "GOOGLE_APPLICATION_CREDENTIALS (service account), or the metadata server; or --anonymous",
    flags: &["endpoint-url", "anonymous"],
};

const ENDPOINT: &str = "https://storage.googleapis.com";

/// Objects stored with `Content-Encoding: gzip` would be expanded for whoever does not take gzip.
const ENCODING: &str = "gzip";

/// A longer answer is no metadata and no list; bytes.
const MAX_JSON: usize = 16 << 20;

/// Objects on a page, the most that are given.
const PAGE: u32 = 1000;

/// What the flags say; what is not given is looked for in the variables of Google.
#[derive(Debug, Clone, Default)]
pub struct GcsOptions {
    /// `--endpoint-url`
    pub endpoint: Option<String>,
    /// `--anonymous`
    pub anonymous: bool,
}

/// The source of one bucket.
///
/// # Errors
/// `Usage` for an endpoint or a credential file that cannot be used.
pub fn open(bucket: &str, options: GcsOptions, reach: &Reach) -> Result<Rc<dyn Source>, Failure> {
    let GcsOptions {
        endpoint,
        anonymous,
    } = options;
    let emulator = reach
        .environment
        .get("STORAGE_EMULATOR_HOST")
        .and_then(|host| host.to_str());
    let emulator = emulator.filter(|_| endpoint.is_none());
    let base = match (endpoint, emulator) {
        (Some(url), _) => read_endpoint("--endpoint-url", &url)?,
        (None, Some(host)) if host.contains("://") => read_endpoint("STORAGE_EMULATOR_HOST", host)?,
        (None, Some(host)) => read_endpoint("STORAGE_EMULATOR_HOST", &format!("http://{host}"))?,
        (None, None) => ENDPOINT.to_string(),
    };
    let client = StreamClient::new(&reach.roots, &reach.environment)?;
    let tokens = if anonymous || emulator.is_some() {
        None
    } else {
        Some(Tokens::new(&reach.environment, &client)?)
    };
    Ok(Rc::new(GcsSource {
        base: format!(
            "{base}/storage/v1/b/{}/o",
            utf8_percent_encode(bucket, SEGMENT)
        ),
        bucket: bucket.to_string(),
        client,
        tokens,
        patience: reach.patience,
    }))
}

struct GcsSource {
    bucket: String,
    /// The URL of all objects.
    base: String,
    client: StreamClient,
    /// `None` is anonymous.
    tokens: Option<Tokens>,
    patience: Duration,
}

impl fmt::Debug for GcsSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("GcsSource")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// What is asked of an object's metadata.
#[derive(Deserialize)]
struct Resource {
    name: Option<String>,
    size: serde_json::Value,
    generation: serde_json::Value,
    crc32c: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resources {
    #[serde(default)]
    items: Vec<Resource>,
    next_page_token: Option<String>,
}

impl GcsSource {
    /// `BASE/a%2Fb?…`, without empty parameters.
    fn address(
        &self,
        key: Option<&str>,
        parameters: &[(&str, Option<&str>)],
    ) -> Result<Address, Failure> {
        let mut url = self.base.clone();
        if let Some(key) = key {
            url.push('/');
            url.extend(utf8_percent_encode(key, SEGMENT));
        }
        let mut mark = '?';
        for (name, value) in parameters {
            if let Some(value) = value {
                url.push_str(&format!(
                    "{mark}{name}={}",
                    utf8_percent_encode(value, SEGMENT)
                ));
                mark = '&';
            }
        }
        Address::parse(&url).map_err(|reason| Failure::new(Kind::Bug, format!("{url} {reason}")))
    }

    /// Sends a request with a token, and once more with a fresh one if the first is refused.
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Inflow>, Failure> {
        let Some(tokens) = &self.tokens else {
            return self.client.send(request, self.patience).await;
        };
        let mut is_fresh = false;
        loop {
            let token = tokens.current().await?;
            let mut value = HeaderValue::from_bytes(&[b"Bearer ", token.expose()].concat())
                .map_err(|_| Failure::new(Kind::Denied, "the token is no line of text"))?;
            value.set_sensitive(true);
            let mut request = request.clone();
            request.headers_mut().insert(AUTHORIZATION, value);
            let answer = self.client.send(request, self.patience).await?;
            if answer.status() != StatusCode::UNAUTHORIZED || is_fresh {
                return Ok(answer);
            }
            answer
                .into_body()
                .beginning(MAX_ERROR, MAX_WORDS_WAIT)
                .await;
            tokens.forget(&token);
            is_fresh = true;
        }
    }

    /// Metadata or a list; `None` for 304.
    async fn json<T: for<'a> Deserialize<'a>>(
        &self,
        address: &Address,
    ) -> Result<Option<T>, Failure> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = address.uri().clone();
        request
            .headers_mut()
            .insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let answer = self.send(request).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED => return Ok(None),
            _ => return Err(self.refused(answer, None).await),
        }
        let body = answer.into_body().whole(MAX_JSON, self.patience).await?;
        serde_json::from_slice(&body).map(Some).map_err(|error| {
            Failure::new(Kind::Corrupt, error.to_string()).context("read the store's JSON")
        })
    }

    async fn refused(&self, answer: Response<Inflow>, kind: Option<Kind>) -> Failure {
        let (head, body) = answer.into_parts();
        let body = body.beginning(MAX_ERROR, MAX_WORDS_WAIT).await;
        let secrets = match &self.tokens {
            Some(tokens) => tokens.secrets(),
            None => Vec::new(),
        };
        let words = words(&body, &secrets);
        let kind = kind.unwrap_or_else(|| super::answer::kind_of(head.status.as_u16()));
        let failure = refusal(kind, head.status, &head.headers, &words);
        if words.contains("requester pays") || words.contains("UserProject") {
            return failure.hint("buckets whose requests you pay (userProject) are not supported");
        }
        match kind {
            Kind::Denied if self.tokens.is_none() => failure.hint(
                "the bucket is not public: leave --anonymous out and give credentials",
            ),
            Kind::Denied => failure.hint(
                "grant the service account roles/storage.objectViewer, or say --anonymous for a public bucket",
            ),
            Kind::Missing => failure.hint("check bucket and name; one that ends in / is a prefix"),
            _ => failure,
        }
    }
}

/// A number that JSON holds as a text.
fn number(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn sum(text: Option<&str>) -> Vec<Checksum> {
    let value = text.and_then(|text| big_endian(text, 4));
    value
        .map(|value| Checksum {
            kind: Crc::Crc32c,
            value: Some(value),
        })
        .into_iter()
        .collect()
}

/// `crc32c=…` among the sums of an answer.
fn header_sum(headers: &HeaderMap) -> Vec<Checksum> {
    let lines = headers
        .get_all("x-goog-hash")
        .iter()
        .filter_map(|line| line.to_str().ok());
    let mut sums = lines.flat_map(|line| line.split(','));
    sum(sums.find_map(|sum| sum.trim().strip_prefix("crc32c=")))
}

impl Resource {
    fn about(&self) -> Result<About, Failure> {
        let corrupt = |words: &str| Failure::new(Kind::Corrupt, words).context("read the metadata");
        let size = number(&self.size).and_then(|size| size.parse().ok());
        let generation = number(&self.generation);
        Ok(About {
            length: Some(size.ok_or_else(|| corrupt("it has no size"))?),
            validator: Validator {
                generation: Some(generation.ok_or_else(|| corrupt("it has no generation"))?),
                ..Validator::default()
            },
            checksums: sum(self.crc32c.as_deref()),
        })
    }
}

#[async_trait(?Send)]
impl Source for GcsSource {
    fn metadata(&self) -> Metadata {
        Metadata::Before
    }

    async fn get(
        &self,
        object: &Object,
        span: Span,
        condition: Condition<'_>,
    ) -> Result<Reply, Failure> {
        let (pinned, unlike) = match condition {
            Condition::Always => (None, None),
            Condition::Same(known) => (known.generation.as_deref(), None),
            Condition::Other(known) => (None, known.generation.as_deref()),
        };
        let generation = pinned.or(object.version.as_deref());
        let parameters = [
            ("alt", Some("media")),
            ("generation", generation),
            ("ifGenerationNotMatch", unlike),
        ];
        let address = self.address(Some(&object.key), &parameters)?;
        let response = self
            .send(ask(address.uri(), &span, Condition::Always, ENCODING)?)
            .await?;
        let status = response.status().as_u16();
        let verdict = match verdict(status, &span, condition) {
            // It was there when its metadata were read.
            Verdict::Failed(Kind::Missing) if pinned.is_some() => Verdict::Changed,
            verdict => verdict,
        };
        match verdict {
            Verdict::Failed(kind) => Err(self.refused(response, Some(kind)).await),
            Verdict::Body => {
                let given = text(response.headers(), "x-goog-generation");
                let found = given.or_else(|| generation.map(str::to_string));
                let is_same = found.is_some() && found.as_deref() == unlike;
                let sums = header_sum(response.headers());
                let answer = answer(response);
                if is_same {
                    // Not every store heeds the condition.
                    return Ok(Reply::Unchanged);
                }
                Ok(Reply::Answer(super::Answer {
                    checksums: if answer.is_partial { Vec::new() } else { sums },
                    validator: Validator {
                        generation: found,
                        ..Validator::default()
                    },
                    ..answer
                }))
            }
            _ => bare(verdict).ok_or_else(|| Failure::new(Kind::Bug, "a reply without a body")),
        }
    }

    async fn about(
        &self,
        object: &Object,
        condition: Condition<'_>,
    ) -> Result<Option<About>, Failure> {
        let unlike = match condition {
            Condition::Other(known) => known.generation.as_deref(),
            Condition::Always | Condition::Same(_) => None,
        };
        let parameters = [
            ("fields", Some("size,generation,crc32c")),
            ("generation", object.version.as_deref()),
            ("ifGenerationNotMatch", unlike),
        ];
        let address = self.address(Some(&object.key), &parameters)?;
        let Some(resource) = self.json::<Resource>(&address).await? else {
            return Ok(None);
        };
        let about = resource.about()?;
        // Not every store heeds the condition.
        let is_same = unlike.is_some() && about.validator.generation.as_deref() == unlike;
        Ok((!is_same).then_some(about))
    }

    async fn list(&self, prefix: &str, next: Option<&str>) -> Result<Page, Failure> {
        let most = PAGE.to_string();
        let parameters = [
            ("prefix", Some(prefix)),
            ("maxResults", Some(most.as_str())),
            (
                "fields",
                Some("nextPageToken,items(name,size,generation,crc32c)"),
            ),
            ("pageToken", next),
        ];
        let address = self.address(None, &parameters)?;
        let corrupt = |words: &str| Failure::new(Kind::Corrupt, words).context("read the list");
        let page: Option<Resources> = self.json(&address).await?;
        let page = page.ok_or_else(|| corrupt("304 to a list"))?;
        let mut objects = Vec::with_capacity(page.items.len());
        for item in page.items {
            let About {
                length,
                validator,
                checksums,
            } = item.about()?;
            objects.push(Listed {
                key: item
                    .name
                    .ok_or_else(|| corrupt("an object without a name"))?,
                size: length.unwrap_or_default(),
                validator,
                checksums,
            });
        }
        let token = page.next_page_token.filter(|token| !token.is_empty());
        if token.is_some() && token.as_deref() == next {
            return Err(corrupt("a page that leads to itself"));
        }
        Ok(Page {
            objects,
            next: token,
        })
    }

    fn show(&self, object: &Object) -> String {
        let generation = object
            .version
            .as_ref()
            .map_or(String::new(), |id| format!("#{id}"));
        format!("gs://{}/{}{generation}", self.bucket, object.key)
    }
}

/// The text of a credential file, read once.
fn read_key_file(path: &std::path::Path) -> Result<zeroize::Zeroizing<String>, Failure> {
    credential_file::read(path).map_err(|failure| {
        failure
            .context("use GOOGLE_APPLICATION_CREDENTIALS")
            .hint("mount the key of a service account there, or unset it")
    })
}

#[cfg(test)]
#[path = "gcs/tests.rs"]
mod tests;
