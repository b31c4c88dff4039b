//! Where objects come from: one attempt each, no retry, no files, no checksums. A source answers one
//! question with one exchange (redirects, credentials and region are its own matter) and says of every
//! failure what kind it is; `engine` judges the answers and tries again.

mod address;
mod answer;
mod azure;
mod credential_file;
mod gcs;
mod http;
mod redirect;
mod s3;
mod said;
mod scheme;
#[cfg(test)]
mod testing;
mod xml;

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use serde::{Deserialize, Serialize};

pub use self::address::Address;
pub use self::azure::{AzureOptions, open as open_azure};
pub use self::gcs::{GcsOptions, open as open_gcs};
pub use self::http::{HttpOptions, open as open_http};
pub use self::s3::{PathStyle, S3Options, open as open_s3};
pub use self::scheme::SCHEMES;
use crate::base::environment::Environment;
use crate::base::failure::Failure;
use crate::base::http::Roots;

/// All but the unreserved letters of RFC 3986: for names and values that URLs are made of.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What every source of a run is made with, beside its own options.
#[derive(Debug, Clone)]
pub struct Reach {
    /// Whom TLS believes.
    pub roots: Roots,
    /// The variables that no flag reads: credentials, endpoints, proxies.
    pub environment: Environment,
    /// How long a server may take until its answer begins (`--stall-timeout`).
    pub patience: Duration,
}

/// The bytes of one answer, in order. An error in it is a `Failure` like any other: `Unavailable` for a
/// body that was cut before its declared end, which is retried from the byte reached.
pub type Body = Pin<Box<dyn Stream<Item = Result<Bytes, Failure>>>>;

/// One object of a source, as it is asked for. Immutable; what is learnt of it is in a `Validator`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Object {
    /// The whole key, byte for byte as the store has it (http: empty, the URL is the source's own).
    pub key: String,
    /// The version (s3) or generation (gs) that is asked for by name: a pin.
    pub version: Option<String>,
}

/// What tells two states of one object apart, as the store sent it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// The `ETag`, byte for byte, with its quotes or `W/`.
    pub etag: Option<String>,
    /// `Last-Modified`, byte for byte.
    pub last_modified: Option<String>,
    /// The generation of gs.
    pub generation: Option<String>,
    /// The version of s3, where the bucket has them.
    pub version: Option<String>,
}

/// Which bytes are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// All, by a plain GET without `Range`.
    All,
    /// These, by `Range: bytes=start-(end-1)`.
    Part(Range<u64>),
}

/// What the answer depends on.
#[derive(Debug, Clone, Copy)]
pub enum Condition<'a> {
    /// Nothing.
    Always,
    /// The object is still this one (`If-Match`, generation); without a strong validator nothing is sent.
    Same(&'a Validator),
    /// The object is another one by now (`If-None-Match`, `If-Modified-Since`).
    Other(&'a Validator),
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// By `Content-Length`.
    Length(u64),
    /// By chunks.
    Chunked,
    /// By the end of the connection, which proves nothing.
    Close,
}

/// A checksum of the whole object, as the store gives it. A source hands over only those that came with
/// a HEAD, a 200 or the metadata; never one of a 206.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// Of which sum.
    pub kind: Crc,
    /// The value; `None` for a composite one (`-N`, or of type COMPOSITE), which can't be checked.
    pub value: Option<u64>,
}

/// The sums that are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Crc {
    /// CRC-32 (ISO-HDLC), as `x-amz-checksum-crc32`.
    Crc32,
    /// CRC-32C (Castagnoli), as `x-goog-hash` and `x-amz-checksum-crc32c`.
    Crc32c,
    /// CRC-64/NVME, as `x-amz-checksum-crc64nvme`.
    Crc64Nvme,
}

/// The head of an answer with a body, and the body.
pub struct Answer {
    /// Whether it is a 206; else it is a 200.
    pub is_partial: bool,
    /// `Content-Range`, as it came; judged by the engine.
    pub content_range: Option<String>,
    /// How the body ends.
    pub framing: Framing,
    /// The object's state.
    pub validator: Validator,
    /// Sums of the whole object (of a 200 only).
    pub checksums: Vec<Checksum>,
    /// The bytes.
    pub body: Body,
}

/// What a store says to a GET.
pub enum Reply {
    /// 200 or 206.
    Answer(Answer),
    /// 304: it is still the one that the caller has.
    Unchanged,
    /// 412, or 404 of a generation that was there: it is another one by now.
    Changed,
    /// 416: there is no such byte.
    OutOfRange,
}

/// What is known of an object without its bytes.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// Its length in bytes.
    pub length: Option<u64>,
    /// Its state.
    pub validator: Validator,
    /// Sums of the whole object.
    pub checksums: Vec<Checksum>,
}

/// One object of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The whole key.
    pub key: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its state, as far as the list tells.
    pub validator: Validator,
    /// Sums, where the list has them (gs).
    pub checksums: Vec<Checksum>,
}

/// One page of a list.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// In the order of the store.
    pub objects: Vec<Listed>,
    /// How to ask for the next page; `None` on the last one.
    pub next: Option<String>,
}

/// When `Source::about` is worth a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metadata {
    /// There is none (http, az).
    None,
    /// Beside the first GET, only to learn a sum of the whole object; its failure does not matter (s3).
    Beside,
    /// Before the first GET, and needed (gs).
    Before,
}

/// One store, with its credentials. Shared by all objects of one SOURCE. Failures say what the server
/// said, and where a redirect had led; the object is named by whoever asked, with `show`.
#[async_trait(?Send)]
pub trait Source: fmt::Debug {
    /// What `about` is for.
    fn metadata(&self) -> Metadata;

    /// Asks for bytes.
    ///
    /// # Errors
    /// `Unavailable` (with `not_before` from `Retry-After`), `Denied`, `Missing`, `Corrupt`, `Usage`.
    async fn get(
        &self,
        object: &Object,
        span: Span,
        condition: Condition<'_>,
    ) -> Result<Reply, Failure>;

    /// Asks what is known of an object. gs honours `Condition::Other` (304 -> `None`).
    ///
    /// # Errors
    /// As `get`.
    async fn about(
        &self,
        object: &Object,
        condition: Condition<'_>,
    ) -> Result<Option<About>, Failure>;

    /// One page of the keys that begin with `prefix`, exactly.
    ///
    /// # Errors
    /// As `get`.
    async fn list(&self, prefix: &str, next: Option<&str>) -> Result<Page, Failure>;

    /// The object as messages may show it: no query values, no credentials (`s3://b/k`).
    fn show(&self, object: &Object) -> String;
}

impl Validator {
    /// The `ETag` that may stand in `If-Match`: a strong one.
    pub fn strong_etag(&self) -> Option<&str> {
        self.etag
            .as_deref()
            .filter(|etag| !etag.starts_with("W/") && !etag.is_empty())
    }

    /// Whether an answer can be pinned to this state.
    pub fn is_strong(&self) -> bool {
        self.generation.is_some() || self.strong_etag().is_some()
    }
}
