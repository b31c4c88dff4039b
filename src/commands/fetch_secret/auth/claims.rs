//! What a JWT says of itself: only to explain a refusal, never to decide anything. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::base::secret::Secret;
use crate::base::text::{cut, one_line};

/// A longer claim is cut; bytes.
const MAX_CLAIM: usize = 100;

/// The claims that explain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in super::super) struct Claims {
    pub(in super::super) audience: Option<String>,
    pub(in super::super) subject: Option<String>,
    /// When it ends, RFC 3339.
    pub(in super::super) expiry: Option<String>,
}

/// Reads the middle part of a JWT; what cannot be read is not there.
pub(super) fn read(jwt: &Secret) -> Claims {
    let mut parts = jwt.expose().split(|byte| *byte == b'.');
    let payload = parts
        .nth(1)
        .and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let Some(Value::Object(claims)) = payload.and_then(|text| serde_json::from_slice(&text).ok())
    else {
        return Claims::default();
    };
    let short = |text: &str| cut(&one_line(text), MAX_CLAIM);
    let audience = match claims.get("aud") {
        Some(Value::String(one)) => Some(short(one)),
        Some(Value::Array(many)) => {
            let names: Vec<&str> = many.iter().filter_map(Value::as_str).collect();
            Some(short(&names.join(", ")))
        }
        _ => None,
    };
    let expiry = claims
        .get("exp")
        .and_then(Value::as_u64)
        .and_then(|seconds| {
            std::time::UNIX_EPOCH
                .checked_add(std::time::Duration::from_secs(seconds))
                .filter(|_| seconds < 253_402_300_800) // the year 10000
                .map(|time| humantime::format_rfc3339_seconds(time).to_string())
        });
    Claims {
        audience,
        subject: claims.get("sub").and_then(Value::as_str).map(short),
        expiry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(payload: &str) -> Secret {
        Secret::new(format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload)))
    }

    #[test]
    fn one_audience_or_many_are_told() {
        let claims = read(&jwt(
            r#"{"aud":["other","x"],"sub":"system:sa","exp":1700000000}"#,
        ));
        assert_eq!(claims.audience.as_deref(), Some("other, x"));
        assert_eq!(claims.subject.as_deref(), Some("system:sa"));
        assert_eq!(claims.expiry.as_deref(), Some("2023-11-14T22:13:20Z"));
        assert_eq!(
            read(&jwt(r#"{"aud":"vault"}"#)).audience.as_deref(),
            Some("vault")
        );
    }

    #[test]
    fn what_is_no_jwt_says_nothing() {
        for text in ["", "a.b.c", "hunter2"] {
            assert_eq!(read(&Secret::new(text)), Claims::default());
        }
        let far = read(&jwt(r#"{"exp":18446744073709551615}"#));
        assert_eq!(far.expiry, None);
    }
}
