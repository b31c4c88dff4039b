//! Objects of S3, through the SDK: it signs and addresses, and hands the answers over untouched.

mod refusal;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use ::http::header::{ACCEPT_ENCODING, HeaderName, HeaderValue};
use ::http::{HeaderMap, Method, Response, StatusCode};
use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::{EncodingType, RequestPayer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use self::refusal::{Mend, Refused, mend};
use super::answer::{Verdict, answer, bare, precondition, range, text, verdict};
use super::scheme::Scheme;
use super::{
    About, Address, Checksum, Condition, Crc, Listed, Metadata, Object, Page, Reach, Reply, Source,
    Span, Validator,
};
use crate::base::aws::{Door, Errand, Outcome, Store, Wish};
use crate::base::failure::{Failure, Kind};
use crate::base::http::{Inflow, StreamClient};

pub(super) const SCHEME: Scheme = Scheme {
    name: "s3",
    form: "s3://BUCKET/KEY[?versionId=ID]",
    example: "s3://data/app/weights.tar.zst",
    needs: "AWS's chain: environment, profile, web identity, container, instance; or --anonymous",
    flags: &[
        "endpoint-url",
        "region",
        "path-style",
        "anonymous",
        "request-payer",
        "profile",
        "etag",
    ],
};

const CHECKSUM_MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");

/// Where the bucket stands in a URL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PathStyle {
    /// In the path with an endpoint set, or for a bucket with a dot over https
    #[default]
    Auto,
    /// In the path
    Always,
    /// In the host name
    Never,
}

/// What the flags say; what is not given is looked for in the variables of AWS.
#[derive(Debug, Clone, Default)]
pub struct S3Options {
    /// `--endpoint-url`
    pub endpoint: Option<String>,
    /// `--region`
    pub region: Option<String>,
    /// `--path-style`
    pub path_style: PathStyle,
    /// `--anonymous`
    pub anonymous: bool,
    /// `--request-payer`
    pub request_payer: bool,
    /// `--profile`
    pub profile: Option<String>,
}

/// The source of one bucket.
///
/// # Errors
/// `Usage` for an endpoint, profile or variables that cannot be used.
pub fn open(bucket: &str, options: S3Options, reach: &Reach) -> Result<Rc<dyn Source>, Failure> {
    let S3Options {
        endpoint,
        region,
        path_style,
        anonymous,
        request_payer,
        profile,
    } = options;
    let variable = |name: &str| {
        let value = reach.environment.get(name).and_then(|value| value.to_str());
        value.map(|value| (name.to_string(), value.to_string()))
    };
    let endpoint = endpoint
        .map(|url| ("--endpoint-url".to_string(), url))
        .or_else(|| variable("AWS_ENDPOINT_URL_S3"))
        .or_else(|| variable("AWS_ENDPOINT_URL"));
    let endpoint = endpoint
        .map(|(name, url)| read_endpoint(&name, &url))
        .transpose()?;
    let in_path = match path_style {
        PathStyle::Always => true,
        PathStyle::Never => false,
        // A certificate for *.s3.amazonaws.com does not cover a bucket with a dot.
        PathStyle::Auto => endpoint.is_some() || bucket.contains('.'),
    };
    let client = StreamClient::new(&reach.roots, &reach.environment)?;
    let wish = Wish {
        endpoint,
        region,
        profile,
        in_path,
        anonymous,
    };
    let store = Store::new(wish, &reach.environment, Door::new(&client, reach.patience))?;
    Ok(Rc::new(S3Source {
        bucket: bucket.to_string(),
        place: RefCell::new(Place {
            client: store.client(store.region()),
            region: store.region().to_string(),
            was_moved: false,
        }),
        store,
        anonymous,
        request_payer,
        takes_checksum_mode: Cell::new(true),
    }))
}

/// An endpoint, without the slash at its end.
pub(super) fn read_endpoint(name: &str, url: &str) -> Result<String, Failure> {
    let wrong = |reason: &str| {
        Failure::new(Kind::Usage, format!("{name} {reason}"))
            .hint("write http://HOST:PORT or https://HOST:PORT")
    };
    let address = Address::parse(url).map_err(wrong)?;
    if address.uri().query().is_some() || url.contains('#') {
        return Err(wrong("has a query or a fragment"));
    }
    Ok(address.uri().to_string().trim_end_matches('/').to_string())
}

/// Where the bucket is, as far as is known.
struct Place {
    client: Client,
    region: String,
    /// Another region is followed once.
    was_moved: bool,
}

struct S3Source {
    bucket: String,
    store: Store,
    place: RefCell<Place>,
    anonymous: bool,
    request_payer: bool,
    /// Until the store fails on it.
    takes_checksum_mode: Cell<bool>,
}

impl fmt::Debug for S3Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("S3Source")
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

/// What has been mended for one request already: each thing once.
#[derive(Debug, Default)]
struct Mended {
    region: bool,
    clock: bool,
    credentials: bool,
}

/// What is asked for, for messages and mends.
struct Question<'a> {
    method: Method,
    object: Option<&'a Object>,
    wants_checksum: bool,
    flows: bool,
}

impl S3Source {
    /// Sends a request, again where an answer says what was wrong with it, and returns the answer.
    async fn ask<T>(
        &self,
        question: &Question<'_>,
        mut send: impl AsyncFnMut(Client, Errand) -> Result<T, String>,
    ) -> Result<(Option<T>, Outcome), Failure> {
        let mut mended = Mended::default();
        loop {
            self.store.ready().await?;
            let with_checksum = question.wants_checksum && self.takes_checksum_mode.get();
            let mut errand = if question.flows {
                Errand::flowing()
            } else {
                Errand::read()
            };
            errand = errand.header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            if with_checksum {
                errand = errand.header(CHECKSUM_MODE, HeaderValue::from_static("ENABLED"));
            }
            let (client, region) = {
                let place = self.place.borrow();
                (place.client.clone(), place.region.clone())
            };
            let told = send(client, errand.clone()).await;
            let outcome = match (errand.outcome(), told) {
                (Some(Outcome::Failed(failure)), _) => return Err(failure),
                (Some(Outcome::Whole(answer)), _) if !answer.status().is_success() => answer,
                (Some(outcome), Ok(read)) => return Ok((Some(read), outcome)),
                // The head is all that is needed, whatever the SDK makes of it.
                (Some(outcome @ Outcome::Flowing(_)), Err(_)) => return Ok((None, outcome)),
                (Some(Outcome::Whole(_)), Err(words)) => {
                    return Err(Failure::new(Kind::Corrupt, words).context("read the answer"));
                }
                (None, Ok(_)) => return Err(Failure::new(Kind::Bug, "the SDK sent nothing")),
                (None, Err(words)) => {
                    return Err(Failure::new(Kind::Usage, words).context("make the request"));
                }
            };
            let refused = Refused::read(&question.method, &outcome, with_checksum);
            match mend(&refused) {
                Mend::Region(target) if !mended.region && self.move_to(&region, &target) => {
                    mended.region = true;
                }
                Mend::Clock(server) if !mended.clock => {
                    self.store.clock().correct(server);
                    mended.clock = true;
                }
                Mend::Credentials if !mended.credentials && self.store.forget() => {
                    mended.credentials = true;
                }
                Mend::Checksum => self.takes_checksum_mode.set(false),
                _ => return Ok((None, Outcome::Whole(outcome))),
            }
        }
    }

    /// Goes from one region to another, which is done once for all requests; whether it is worth asking
    /// again.
    fn move_to(&self, from: &str, target: &str) -> bool {
        let mut place = self.place.borrow_mut();
        if from == target {
            return false;
        }
        // Another request may have gone there while this one was on its way.
        if !place.was_moved {
            place.client = self.store.client(target);
            place.region = target.to_string();
            place.was_moved = true;
        }
        place.region == target
    }

    fn failure(&self, question: &Question<'_>, answer: &Response<Vec<u8>>) -> Failure {
        let refused = Refused::read(&question.method, answer, false);
        refusal::failure(&refused, question.object, self.anonymous)
    }
}

/// The SDK's error in its own words, should no answer explain it. It has no credentials in it.
fn words<E: std::error::Error>(error: E) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[async_trait(?Send)]
impl Source for S3Source {
    fn metadata(&self) -> Metadata {
        Metadata::Beside
    }

    async fn get(
        &self,
        object: &Object,
        span: Span,
        condition: Condition<'_>,
    ) -> Result<Reply, Failure> {
        let question = Question {
            method: Method::GET,
            object: Some(object),
            // A sum that comes with a part may be the whole's or the part's: it is not asked for.
            wants_checksum: span == Span::All,
            flows: true,
        };
        let (_, outcome) = self
            .ask(&question, async |client, mut errand| {
                if let Some((name, value)) = precondition(condition) {
                    let value = HeaderValue::from_str(value).map_err(words)?;
                    errand = errand.header(name, value);
                }
                client
                    .get_object()
                    .bucket(&self.bucket)
                    .key(&object.key)
                    .set_version_id(object.version.clone())
                    .set_range(range(&span))
                    .set_request_payer(self.request_payer.then_some(RequestPayer::Requester))
                    .customize()
                    .interceptor(errand)
                    .send()
                    .await
                    .map_err(words)
            })
            .await?;
        match outcome {
            Outcome::Flowing(response) => {
                let status = response.status().as_u16();
                match verdict(status, &span, condition) {
                    Verdict::Body => Ok(Reply::Answer(read_answer(response))),
                    _ => Err(Failure::new(
                        Kind::Corrupt,
                        format!("{status} to a request that asks for something else"),
                    )),
                }
            }
            Outcome::Whole(answer) => {
                let verdict = verdict(answer.status().as_u16(), &span, condition);
                bare(verdict).ok_or_else(|| self.failure(&question, &answer))
            }
            Outcome::Failed(failure) => Err(failure),
        }
    }

    async fn about(
        &self,
        object: &Object,
        condition: Condition<'_>,
    ) -> Result<Option<About>, Failure> {
        let question = Question {
            method: Method::HEAD,
            object: Some(object),
            wants_checksum: true,
            flows: true,
        };
        let (_, outcome) = self
            .ask(&question, async |client, mut errand| {
                if let Condition::Other(_) = condition
                    && let Some((name, value)) = precondition(condition)
                {
                    errand = errand.header(name, HeaderValue::from_str(value).map_err(words)?);
                }
                client
                    .head_object()
                    .bucket(&self.bucket)
                    .key(&object.key)
                    .set_version_id(object.version.clone())
                    .set_request_payer(self.request_payer.then_some(RequestPayer::Requester))
                    .customize()
                    .interceptor(errand)
                    .send()
                    .await
                    .map_err(words)
            })
            .await?;
        match outcome {
            Outcome::Flowing(response) => {
                let headers = response.headers();
                Ok(Some(About {
                    length: text(headers, "content-length").and_then(|length| length.parse().ok()),
                    validator: validator(headers),
                    checksums: checksums(headers),
                }))
            }
            Outcome::Whole(answer) if answer.status() == StatusCode::NOT_MODIFIED => Ok(None),
            Outcome::Whole(answer) => Err(self.failure(&question, &answer)),
            Outcome::Failed(failure) => Err(failure),
        }
    }

    async fn list(&self, prefix: &str, next: Option<&str>) -> Result<Page, Failure> {
        let question = Question {
            method: Method::GET,
            object: None,
            wants_checksum: false,
            flows: false,
        };
        let (page, outcome) = self
            .ask(&question, async |client, errand| {
                client
                    .list_objects_v2()
                    .bucket(&self.bucket)
                    .prefix(prefix)
                    .set_continuation_token(next.map(str::to_string))
                    // XML cannot hold every key.
                    .encoding_type(EncodingType::Url)
                    .set_request_payer(self.request_payer.then_some(RequestPayer::Requester))
                    .customize()
                    .interceptor(errand)
                    .send()
                    .await
                    .map_err(words)
            })
            .await?;
        match (page, outcome) {
            (Some(page), _) => read_page(&page, next),
            (None, Outcome::Whole(answer)) => Err(self.failure(&question, &answer)),
            (None, _) => Err(Failure::new(Kind::Bug, "the SDK read no list")),
        }
    }

    fn show(&self, object: &Object) -> String {
        let version = object
            .version
            .as_ref()
            .map_or(String::new(), |id| format!("?versionId={id}"));
        format!("s3://{}/{}{version}", self.bucket, object.key)
    }
}

fn read_answer(response: Response<Inflow>) -> super::Answer {
    let headers = response.headers();
    let (validator, sums) = (validator(headers), checksums(headers));
    let answer = answer(response);
    super::Answer {
        checksums: if answer.is_partial { Vec::new() } else { sums },
        validator,
        ..answer
    }
}

fn validator(headers: &HeaderMap) -> Validator {
    Validator {
        version: text(headers, "x-amz-version-id").filter(|id| id != "null"),
        ..super::answer::validator(headers)
    }
}

/// The sums of a HEAD or a 200; `None` as their value where they are sums of sums.
fn checksums(headers: &HeaderMap) -> Vec<Checksum> {
    let is_composite = text(headers, "x-amz-checksum-type")
        .is_some_and(|kind| kind.eq_ignore_ascii_case("COMPOSITE"));
    let mut found = Vec::new();
    for (kind, name, width) in [
        (Crc::Crc64Nvme, "x-amz-checksum-crc64nvme", 8),
        (Crc::Crc32c, "x-amz-checksum-crc32c", 4),
        (Crc::Crc32, "x-amz-checksum-crc32", 4),
    ] {
        let Some(sum) = text(headers, name) else {
            continue;
        };
        let value = if is_composite || sum.contains('-') {
            None
        } else {
            match big_endian(&sum, width) {
                Some(value) => Some(value),
                // Not a sum at all.
                None => continue,
            }
        };
        found.push(Checksum { kind, value });
    }
    found
}

/// A number of so many bytes in base64.
pub(super) fn big_endian(text: &str, width: usize) -> Option<u64> {
    let bytes = STANDARD.decode(text.trim()).ok()?;
    (bytes.len() == width).then(|| {
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    })
}

/// Turns a page of the SDK into keys. `Last-Modified` is left out: lists and answers write it differently.
fn read_page(page: &ListObjectsV2Output, asked: Option<&str>) -> Result<Page, Failure> {
    let corrupt = |words: &str| Failure::new(Kind::Corrupt, words).context("read the list");
    let is_encoded = page.encoding_type() == Some(&EncodingType::Url);
    let mut objects = Vec::with_capacity(page.contents().len());
    for item in page.contents() {
        let key = item
            .key()
            .ok_or_else(|| corrupt("an object without a key"))?;
        let key = if is_encoded {
            // A blank may come as `+`; a plus never comes as itself.
            let key = key.replace('+', " ");
            let key = percent_decode_str(&key).decode_utf8();
            key.map_err(|_| corrupt("a key that is not UTF-8"))?
                .into_owned()
        } else {
            key.to_string()
        };
        let size = item.size().and_then(|size| u64::try_from(size).ok());
        objects.push(Listed {
            key,
            size: size.ok_or_else(|| corrupt("an object without a size"))?,
            validator: Validator {
                etag: item.e_tag().map(str::to_string),
                ..Validator::default()
            },
            checksums: Vec::new(),
        });
    }
    let next = page
        .next_continuation_token()
        .filter(|token| !token.is_empty());
    if page.is_truncated() != Some(true) {
        return Ok(Page {
            objects,
            next: None,
        });
    }
    match next {
        Some(next) if Some(next) != asked => Ok(Page {
            objects,
            next: Some(next.to_string()),
        }),
        _ => Err(corrupt("it is cut, and does not say how it goes on")),
    }
}

#[cfg(test)]
#[path = "s3/tests.rs"]
mod tests;
