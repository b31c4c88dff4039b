//! What a refusal of S3 means: what can be mended at once, and what is told. Pure.

use std::time::SystemTime;

use ::http::{HeaderMap, Method, Response, StatusCode};

use super::super::Object;
use super::super::answer::{self, date, kind_of, text};
use super::super::said::{self, StoreError, xml_error};
use crate::base::failure::{Failure, Kind};

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Refused<'a> {
    status: StatusCode,
    headers: &'a HeaderMap,
    body: &'a [u8],
    error: StoreError,
    is_head: bool,
    /// The request asked for a checksum.
    asked_checksum: bool,
}

/// What can be done about it at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mend {
    /// Ask there.
    Region(String),
    /// It is that late.
    Clock(SystemTime),
    /// Fresh credentials.
    Credentials,
    /// No header for checksums.
    Checksum,
    Nothing,
}

impl<'a> Refused<'a> {
    pub(super) fn read(
        method: &Method,
        answer: &'a Response<Vec<u8>>,
        asked_checksum: bool,
    ) -> Self {
        Self {
            status: answer.status(),
            headers: answer.headers(),
            body: answer.body(),
            error: xml_error(answer.body()),
            is_head: *method == Method::HEAD,
            asked_checksum,
        }
    }

    fn code(&self) -> &str {
        self.error.code.as_deref().unwrap_or_default()
    }

    fn is_delete_marker(&self) -> bool {
        text(self.headers, "x-amz-delete-marker").is_some_and(|word| word == "true")
    }
}

/// What to try before giving up.
pub(super) fn mend(refused: &Refused<'_>) -> Mend {
    let status = refused.status.as_u16();
    if matches!(status, 301 | 307 | 400 | 403) {
        let region = text(refused.headers, "x-amz-bucket-region").or_else(|| {
            // `Region` alone: in other errors it may be something else.
            refused.error.region.clone()
        });
        // A region that is asked already is the caller's to notice.
        if let Some(region) = region.filter(|region| is_region(region))
            && (status != 403
                || refused.code() == "AuthorizationHeaderMalformed"
                || refused.is_head)
        {
            return Mend::Region(region);
        }
    }
    match refused.code() {
        "RequestTimeTooSkewed" => date(refused.headers).map_or(Mend::Nothing, Mend::Clock),
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => Mend::Credentials,
        _ if refused.asked_checksum && matches!(status, 400 | 501) => Mend::Checksum,
        _ => Mend::Nothing,
    }
}

/// It becomes part of a host name.
fn is_region(text: &str) -> bool {
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    is_plain && (1..=63).contains(&text.len())
}

/// The failure that the refusal is.
pub(super) fn failure(refused: &Refused<'_>, object: Option<&Object>, anonymous: bool) -> Failure {
    let status = refused.status.as_u16();
    let is_about_version = object.is_some_and(|object| object.version.is_some())
        && refused
            .error
            .message
            .as_deref()
            .is_some_and(|words| words.to_lowercase().contains("version"));
    let kind = match (refused.code(), status) {
        (
            "SlowDown"
            | "InternalError"
            | "RequestTimeout"
            | "RequestTimeTooSkewed"
            | "ServiceUnavailable"
            | "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "BandwidthLimitExceeded",
            400..,
        ) => Kind::Unavailable,
        ("NoSuchKey" | "NoSuchBucket" | "NoSuchVersion", 400..=499) => Kind::Missing,
        ("InvalidArgument" | "InvalidVersionId", 400) if is_about_version => Kind::Missing,
        (
            "ExpiredToken"
            | "ExpiredTokenException"
            | "InvalidToken"
            | "TokenRefreshRequired"
            | "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "AccessDenied",
            400..=499,
        ) => Kind::Denied,
        (_, 405) if refused.is_delete_marker() => Kind::Missing,
        _ => kind_of(status),
    };
    let words = said::words(refused.body, &[]);
    let failure = answer::refusal(kind, refused.status, refused.headers, &words);
    match hint(refused, kind, anonymous) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn hint(refused: &Refused<'_>, kind: Kind, anonymous: bool) -> Option<&'static str> {
    if refused.is_delete_marker() {
        return Some("the newest version is a delete marker: name one with ?versionId=");
    }
    match (refused.code(), kind) {
        ("NoSuchBucket", _) => Some("check the bucket's name, --region and --endpoint-url"),
        ("NoSuchVersion", _) => Some("list the versions of the key, or leave ?versionId= out"),
        ("PermanentRedirect" | "AuthorizationHeaderMalformed", _) => {
            Some("name the bucket's region with --region")
        }
        ("InvalidObjectState", _) => Some("the object is archived: restore it first"),
        ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken", _) => {
            Some("the store does not know these credentials: check key, secret and --endpoint-url")
        }
        ("ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired", _) => {
            Some("the credentials have expired: give fresh ones")
        }
        ("RequestTimeTooSkewed", _) => Some("set this node's clock"),
        (_, Kind::Corrupt) if is_customer_encrypted(refused) => {
            Some("objects encrypted with a customer's key (SSE-C) are not supported")
        }
        (_, Kind::Denied) if anonymous => Some(
            "the bucket is not public, or the key does not exist: leave --anonymous out and give credentials",
        ),
        (_, Kind::Denied) => Some(
            "AccessDenied can hide a missing key (s3:ListBucket tells them apart); --anonymous for a public \
             bucket, --request-payer for one whose requests you pay",
        ),
        // Not every store says so in a header.
        (_, Kind::Missing) => Some(
            "check the key; one that ends in / is a prefix, and behind a delete marker a version has to be \
             named with ?versionId=",
        ),
        _ => None,
    }
}

fn is_customer_encrypted(refused: &Refused<'_>) -> bool {
    let words = refused.error.message.as_deref().unwrap_or_default();
    words.contains("Server Side Encryption") || words.contains("SSE-C")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Response<Vec<u8>> {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        answer.body(body.as_bytes().to_vec()).unwrap()
    }

    fn error(code: &str, more: &str) -> String {
        format!("<Error><Code>{code}</Code>{more}</Error>")
    }

    #[test]
    fn what_can_be_mended_is_known() {
        let skewed = [("date", "Sat, 01 Aug 2026 10:00:00 GMT")];
        let region = [("x-amz-bucket-region", "eu-west-1")];
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_mins(29_759_640);
        for (answer, asked, expected) in [
            (
                answer(301, &region, ""),
                false,
                Mend::Region("eu-west-1".into()),
            ),
            (
                answer(
                    400,
                    &[],
                    &error("AuthorizationHeaderMalformed", "<Region>eu-1</Region>"),
                ),
                false,
                Mend::Region("eu-1".into()),
            ),
            (
                answer(
                    301,
                    &[],
                    &error("PermanentRedirect", "<Region>evil.host/</Region>"),
                ),
                false,
                Mend::Nothing,
            ),
            (
                answer(403, &region, &error("AccessDenied", "")),
                false,
                Mend::Nothing,
            ),
            (answer(404, &region, ""), false, Mend::Nothing),
            (
                answer(403, &skewed, &error("RequestTimeTooSkewed", "")),
                false,
                Mend::Clock(time),
            ),
            (
                answer(403, &[], &error("RequestTimeTooSkewed", "")),
                false,
                Mend::Nothing,
            ),
            (
                answer(400, &[], &error("ExpiredToken", "")),
                true,
                Mend::Credentials,
            ),
            (answer(400, &[], ""), true, Mend::Checksum),
            (
                answer(501, &[], &error("NotImplemented", "")),
                true,
                Mend::Checksum,
            ),
            (answer(400, &[], ""), false, Mend::Nothing),
            (answer(503, &[], ""), true, Mend::Nothing),
        ] {
            let refused = Refused::read(&Method::GET, &answer, asked);
            assert_eq!(mend(&refused), expected, "{answer:?}");
        }
    }

    #[test]
    fn codes_and_statuses_have_their_kinds_and_mends() {
        let object = Object {
            key: "k".into(),
            version: Some("v".into()),
        };
        let marker = [("x-amz-delete-marker", "true")];
        for (answer, kind, mend) in [
            (
                answer(404, &[], &error("NoSuchKey", "")),
                Kind::Missing,
                "prefix",
            ),
            (
                answer(404, &[], &error("NoSuchBucket", "")),
                Kind::Missing,
                "bucket",
            ),
            (
                answer(404, &marker, &error("NoSuchKey", "")),
                Kind::Missing,
                "delete marker",
            ),
            (
                answer(405, &marker, &error("MethodNotAllowed", "")),
                Kind::Missing,
                "delete marker",
            ),
            (
                answer(405, &[], &error("MethodNotAllowed", "")),
                Kind::Corrupt,
                "",
            ),
            (
                answer(
                    400,
                    &[],
                    &error("InvalidArgument", "<Message>Invalid version id</Message>"),
                ),
                Kind::Missing,
                "",
            ),
            (
                answer(400, &[], &error("InvalidArgument", "")),
                Kind::Corrupt,
                "",
            ),
            (
                answer(403, &[], &error("AccessDenied", "")),
                Kind::Denied,
                "--request-payer",
            ),
            (
                answer(403, &[], &error("InvalidObjectState", "")),
                Kind::Denied,
                "restore",
            ),
            (
                answer(400, &[], &error("ExpiredToken", "")),
                Kind::Denied,
                "expired",
            ),
            (
                answer(400, &[], &error("RequestTimeout", "")),
                Kind::Unavailable,
                "",
            ),
            (
                answer(503, &[], &error("SlowDown", "")),
                Kind::Unavailable,
                "",
            ),
            (
                answer(403, &[], &error("RequestTimeTooSkewed", "")),
                Kind::Unavailable,
                "clock",
            ),
            (
                answer(500, &[], &error("InternalError", "")),
                Kind::Unavailable,
                "",
            ),
            (
                answer(501, &[], &error("NotImplemented", "")),
                Kind::Corrupt,
                "",
            ),
            (answer(451, &[], ""), Kind::Corrupt, ""),
            (
                answer(
                    400,
                    &[],
                    &error(
                        "InvalidRequest",
                        "<Message>stored using a form of Server Side Encryption</Message>",
                    ),
                ),
                Kind::Corrupt,
                "SSE-C",
            ),
        ] {
            let refused = Refused::read(&Method::GET, &answer, false);
            let failure = failure(&refused, Some(&object), false);
            assert_eq!(failure.kind(), kind, "{failure}");
            assert!(
                failure.mend().unwrap_or_default().contains(mend),
                "{failure} {:?}",
                failure.mend()
            );
        }
    }
}
