//! Signatures as AWS and Azure want them: just enough to fill a store, and to make URLs that are
//! signed in advance.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac::{HMAC_SHA256, Key, sign};

use super::object::{hex, sha256};
use super::wire::Request;

/// What stands unescaped in a path.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// What stands unescaped in a value of a query.
const IN_QUERY: &AsciiSet = &IN_PATH.add(b'/');

/// A key as it stands in a URL.
pub fn in_path(key: &str) -> String {
    utf8_percent_encode(key, IN_PATH).to_string()
}

/// A text as it stands in a query.
pub fn in_query(text: &str) -> String {
    utf8_percent_encode(text, IN_QUERY).to_string()
}

/// An access key of S3.
#[derive(Clone, Copy)]
pub struct AccessKey {
    pub id: &'static str,
    pub secret: &'static str,
}

impl AccessKey {
    /// Signs a request by its headers; `query` is in canonical order.
    pub fn signed(&self, method: &str, host: &str, path: &str, query: &str) -> Request {
        let date = stamp(SystemTime::now());
        let scope = format!("{}/us-east-1/s3/aws4_request", &date[..8]);
        let canonical = format!(
            "{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\n\
             x-amz-date:{date}\n\nhost;x-amz-content-sha256;x-amz-date\nUNSIGNED-PAYLOAD"
        );
        let signature = self.signature(&date, &scope, &canonical);
        let target = if query.is_empty() {
            path.to_string()
        } else {
            format!("{path}?{query}")
        };
        Request::new(method, &target)
            .with("Host", host)
            .with("x-amz-date", &date)
            .with("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
            .with(
                "Authorization",
                &format!(
                    "AWS4-HMAC-SHA256 Credential={}/{scope}, \
                     SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}",
                    self.id
                ),
            )
    }

    /// The target of a GET that is signed in advance, made so long ago and good for so long; and
    /// its signature.
    pub fn presigned(
        &self,
        host: &str,
        path: &str,
        age: Duration,
        good_for: Duration,
    ) -> (String, String) {
        let date = stamp(SystemTime::now() - age);
        let scope = format!("{}/us-east-1/s3/aws4_request", &date[..8]);
        let query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date={date}\
             &X-Amz-Expires={}&X-Amz-SignedHeaders=host",
            in_query(&format!("{}/{scope}", self.id)),
            good_for.as_secs()
        );
        let canonical = format!("GET\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
        let signature = self.signature(&date, &scope, &canonical);
        let target = format!("{path}?{query}&X-Amz-Signature={signature}");
        (target, signature)
    }

    fn signature(&self, date: &str, scope: &str, canonical: &str) -> String {
        let text = format!(
            "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
            sha256(canonical.as_bytes())
        );
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in [&date[..8], "us-east-1", "s3", "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        hex(&hmac(&key, text.as_bytes()))
    }
}

/// HMAC with SHA-256.
pub fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    sign(&Key::new(HMAC_SHA256, key), text).as_ref().to_vec()
}

/// The same between two Base64 texts, as Azure writes it.
pub fn hmac_base64(key: &str, text: &str) -> String {
    let key = BASE64_STANDARD.decode(key).expect("a key in Base64");
    BASE64_STANDARD.encode(hmac(&key, text.as_bytes()))
}

/// `20261122T203000Z`.
fn stamp(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.replace(['-', ':'], "")
}

#[test]
fn a_signature_is_the_one_of_the_documentation() {
    let key = AccessKey {
        id: "AKIAIOSFODNN7EXAMPLE",
        secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    };
    // "GET Object" in "Authenticating Requests: Using Query Parameters" of Amazon S3.
    let canonical = "GET\n/test.txt\nX-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\nhost:examplebucket.s3.amazonaws.com\n\nhost\nUNSIGNED-PAYLOAD";
    assert_eq!(
        key.signature(
            "20130524T000000Z",
            "20130524/us-east-1/s3/aws4_request",
            canonical
        ),
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    );
}
