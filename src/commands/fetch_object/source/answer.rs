//! What all stores have in common: how bytes are asked for, what a status means, what an answer's head
//! tells of the object.

use std::time::SystemTime;

use ::http::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, DATE, ETAG, HeaderName, HeaderValue, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, RANGE,
};
use ::http::{HeaderMap, Request, Response, StatusCode, Uri};
use bytes::Bytes;

use super::{Answer, Condition, Framing, Reply, Span, Validator};
use crate::base::failure::{Failure, Kind};
use crate::base::http::{End, Inflow, retry_after};

/// What a status means to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is a body, whole or in part.
    Body,
    Unchanged,
    Changed,
    OutOfRange,
    Failed(Kind),
}

/// The status decides, never the look of the body.
pub(super) fn verdict(status: u16, span: &Span, condition: Condition<'_>) -> Verdict {
    match (status, span, condition) {
        (200, _, _) | (206, Span::Part(_), _) => Verdict::Body,
        (304, _, Condition::Other(_)) => Verdict::Unchanged,
        (412, _, Condition::Same(_)) => Verdict::Changed,
        (416, Span::Part(_), _) => Verdict::OutOfRange,
        _ => Verdict::Failed(kind_of(status)),
    }
}

/// The kind of a status that brings no object.
pub(super) fn kind_of(status: u16) -> Kind {
    match status {
        401 | 403 | 407 => Kind::Denied,
        404 | 410 => Kind::Missing,
        408 | 425 | 429 | 500 | 502..=504 => Kind::Unavailable,
        _ => Kind::Corrupt,
    }
}

/// A failure with the status and the server's words, and the pause that it asks for.
pub(super) fn refusal(kind: Kind, status: StatusCode, headers: &HeaderMap, words: &str) -> Failure {
    let name = status.canonical_reason().unwrap_or("unnamed status");
    let status = status.as_u16();
    let mut text = match status {
        200..=299 => format!("{status} {name} to a request that asks for something else"),
        _ => format!("{status} {name}"),
    };
    if !words.is_empty() && words != name && *words != format!("{status} {name}") {
        text.push_str(": ");
        text.push_str(words);
    }
    let failure = Failure::new(kind, text);
    match retry_after(headers) {
        Some(pause) if kind == Kind::Unavailable => failure.not_before(pause),
        _ => failure,
    }
}

/// A GET with the headers that `span` and `condition` ask for.
///
/// # Errors
/// `Bug` for a validator that is no header's value.
pub(super) fn ask(
    uri: &Uri,
    span: &Span,
    condition: Condition<'_>,
    encoding: &'static str,
) -> Result<Request<Bytes>, Failure> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = uri.clone();
    let headers = request.headers_mut();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(encoding));
    if let Some(range) = range(span) {
        headers.insert(RANGE, value(&range)?);
    }
    if let Some((name, text)) = precondition(condition) {
        headers.insert(name, value(text)?);
    }
    Ok(request)
}

/// `bytes=0-8388607`
pub(super) fn range(span: &Span) -> Option<String> {
    match span {
        Span::All => None,
        Span::Part(range) => Some(format!(
            "bytes={}-{}",
            range.start,
            range.end.saturating_sub(1)
        )),
    }
}

/// The header of a condition, with what stands in it.
pub(super) fn precondition(condition: Condition<'_>) -> Option<(HeaderName, &str)> {
    match condition {
        Condition::Always => None,
        Condition::Same(known) => known.strong_etag().map(|etag| (IF_MATCH, etag)),
        Condition::Other(known) => known
            .etag
            .as_deref()
            .map(|etag| (IF_NONE_MATCH, etag))
            .or_else(|| {
                known
                    .last_modified
                    .as_deref()
                    .map(|date| (IF_MODIFIED_SINCE, date))
            }),
    }
}

fn value(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|error| Failure::caused_by(Kind::Bug, error))
}

/// A header, as text. Bytes beyond ASCII are kept where they are UTF-8.
pub(super) fn text(headers: &HeaderMap, name: impl ::http::header::AsHeaderName) -> Option<String> {
    let value = headers.get(name)?;
    std::str::from_utf8(value.as_bytes())
        .ok()
        .map(str::to_string)
}

/// What every store tells of an object's state.
pub(super) fn validator(headers: &HeaderMap) -> Validator {
    Validator {
        etag: text(headers, ETAG),
        last_modified: text(headers, LAST_MODIFIED),
        ..Validator::default()
    }
}

/// The answer of a 200 or 206, without checksums.
pub(super) fn answer(response: Response<Inflow>) -> Answer {
    Answer {
        is_partial: response.status() == StatusCode::PARTIAL_CONTENT,
        content_range: text(response.headers(), CONTENT_RANGE),
        framing: match Inflow::end(&response) {
            End::Length(length) => Framing::Length(length),
            End::Chunked => Framing::Chunked,
            End::Close => Framing::Close,
        },
        validator: validator(response.headers()),
        checksums: Vec::new(),
        body: Box::pin(response.into_body()),
    }
}

/// The replies without a body.
pub(super) fn bare(verdict: Verdict) -> Option<Reply> {
    match verdict {
        Verdict::Unchanged => Some(Reply::Unchanged),
        Verdict::Changed => Some(Reply::Changed),
        Verdict::OutOfRange => Some(Reply::OutOfRange),
        Verdict::Body | Verdict::Failed(_) => None,
    }
}

/// The server's clock, else this node's.
pub(super) fn server_time(headers: &HeaderMap) -> SystemTime {
    date(headers).unwrap_or_else(SystemTime::now)
}

/// `Date`
pub(super) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PART: Span = Span::Part(0..8);

    #[test]
    fn a_status_has_its_meaning() {
        let known = Validator {
            etag: Some("\"x\"".into()),
            ..Validator::default()
        };
        let (same, other) = (Condition::Same(&known), Condition::Other(&known));
        for (status, span, condition, expected) in [
            (200, Span::All, Condition::Always, Verdict::Body),
            (200, PART, same, Verdict::Body),
            (206, PART, same, Verdict::Body),
            (206, Span::All, same, Verdict::Failed(Kind::Corrupt)),
            (204, PART, same, Verdict::Failed(Kind::Corrupt)),
            (304, PART, other, Verdict::Unchanged),
            (304, PART, same, Verdict::Failed(Kind::Corrupt)),
            (412, PART, same, Verdict::Changed),
            (412, PART, Condition::Always, Verdict::Failed(Kind::Corrupt)),
            (416, PART, Condition::Always, Verdict::OutOfRange),
            (
                416,
                Span::All,
                Condition::Always,
                Verdict::Failed(Kind::Corrupt),
            ),
        ] {
            assert_eq!(
                verdict(status, &span, condition),
                expected,
                "{status} {span:?}"
            );
        }
        for (statuses, kind) in [
            (&[401, 403, 407][..], Kind::Denied),
            (&[404, 410], Kind::Missing),
            (&[408, 425, 429, 500, 502, 503, 504], Kind::Unavailable),
            (
                &[400, 402, 405, 409, 418, 451, 501, 505, 300, 100, 299],
                Kind::Corrupt,
            ),
        ] {
            for status in statuses {
                assert_eq!(
                    verdict(*status, &PART, Condition::Always),
                    Verdict::Failed(kind),
                    "{status}"
                );
            }
        }
    }

    #[test]
    fn a_request_says_what_it_wants_and_on_which_condition() {
        let uri: Uri = "http://h/x".parse().unwrap();
        let state = |etag: &str, date: &str| Validator {
            etag: Some(etag.to_string()).filter(|etag| !etag.is_empty()),
            last_modified: Some(date.to_string()).filter(|date| !date.is_empty()),
            ..Validator::default()
        };
        let headers = |span: &Span, condition: Condition<'_>| {
            let request = ask(&uri, span, condition, "identity").unwrap();
            let mut lines: Vec<String> = request
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .collect();
            lines.retain(|line| line != "accept-encoding: identity");
            lines
        };
        assert!(headers(&Span::All, Condition::Always).is_empty());
        assert_eq!(
            headers(&Span::Part(5..9), Condition::Always),
            ["range: bytes=5-8"]
        );
        let strong = state("abc", "Mon");
        assert_eq!(
            headers(&Span::All, Condition::Same(&strong)),
            ["if-match: abc"]
        );
        assert_eq!(
            headers(&Span::All, Condition::Other(&strong)),
            ["if-none-match: abc"]
        );
        let weak = state("W/\"x\"", "Mon");
        assert!(headers(&Span::All, Condition::Same(&weak)).is_empty());
        assert_eq!(
            headers(&Span::All, Condition::Other(&weak)),
            ["if-none-match: W/\"x\""]
        );
        let dated = state("", "Mon");
        assert!(headers(&Span::All, Condition::Same(&dated)).is_empty());
        assert_eq!(
            headers(&Span::All, Condition::Other(&dated)),
            ["if-modified-since: Mon"]
        );
    }

    #[test]
    fn a_refusal_has_status_words_and_pause() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "2".parse().unwrap());
        let failure = |kind, status, words| {
            refusal(kind, StatusCode::from_u16(status).unwrap(), &headers, words)
        };
        let busy = failure(Kind::Unavailable, 503, "SlowDown: less");
        assert_eq!(busy.to_string(), "503 Service Unavailable: SlowDown: less");
        assert_eq!(busy.pause(), Duration::from_secs(2));
        let denied = failure(Kind::Denied, 403, "Forbidden");
        assert_eq!(denied.to_string(), "403 Forbidden");
        assert_eq!(denied.pause(), Duration::ZERO);
        assert_eq!(
            failure(Kind::Missing, 404, "404 Not Found").to_string(),
            "404 Not Found"
        );
    }
}
