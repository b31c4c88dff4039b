//! Why there is no answer, told from the innermost cause. No URL is ever part of it.

use std::error::Error;
use std::io::ErrorKind;
use std::time::{Duration, UNIX_EPOCH};

use nix::errno::Errno;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error as TlsError, InvalidMessage, OtherError};

use super::verifier::Refused;
use crate::base::failure::{Failure, Kind};

/// Classifies an exchange that brought no whole answer within `limit`.
pub(super) fn explain(error: &reqwest::Error, limit: Duration) -> Failure {
    let chain = causes(error);
    for cause in &chain {
        if let Some(tls) = cause.downcast_ref::<TlsError>() {
            return distrust(tls);
        }
    }
    if error.is_timeout() {
        let attempt = if error.is_connect() {
            "connection"
        } else {
            "answer"
        };
        return unreachable(format!("no {attempt} within {:.1} s", limit.as_secs_f64()));
    }
    for cause in &chain {
        if cause
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_parse)
        {
            return Failure::new(Kind::Usage, "the answer is not HTTP")
                .hint("is it a TLS port? then the address begins with https://");
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && let Some(words) = io_words(io)
        {
            return unreachable(words);
        }
    }
    let innermost = chain.last().map_or_else(String::new, ToString::to_string);
    unreachable(innermost)
}

fn unreachable(words: String) -> Failure {
    Failure::new(Kind::Unavailable, words).hint(
        "is the server up at that address? in a Pod with a service mesh the proxy starts after init \
         containers: exclude the port",
    )
}

/// The error and its causes, outermost first. An `io::Error` hides the error that it wraps from
/// `source`, so it is asked for it.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut chain = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        chain.push(cause);
        next = match cause.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => cause.source(),
        };
    }
    chain
}

fn io_words(error: &std::io::Error) -> Option<String> {
    match (error.raw_os_error(), error.kind()) {
        (Some(number), _) => {
            let words = Errno::from_raw(number).desc();
            Some(words[..1].to_lowercase() + &words[1..])
        }
        (None, ErrorKind::UnexpectedEof) => Some("the connection was closed early".to_string()),
        (None, _) => None,
    }
}

fn distrust(error: &TlsError) -> Failure {
    match error {
        TlsError::InvalidCertificate(CertificateError::Other(OtherError(inner)))
            if let Some(refused) = inner.downcast_ref::<Refused>() =>
        {
            uncertified(&refused.reason, &refused.issuers)
        }
        TlsError::InvalidCertificate(reason) => uncertified(reason, &[]),
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => {
            Failure::new(Kind::Usage, "the server does not speak TLS on this port")
                .hint("is it a plain port? then the address begins with http://")
        }
        TlsError::AlertReceived(
            alert @ (AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::HandshakeFailure),
        ) => Failure::new(
            Kind::Denied,
            format!("the server refused the TLS handshake: {alert:?}"),
        )
        .hint("it may ask for a client certificate: --client-cert and --client-key"),
        other => Failure::new(Kind::Denied, format!("no TLS connection: {other}")),
    }
}

fn uncertified(reason: &CertificateError, issuers: &[String]) -> Failure {
    let mut gist = format!("the server's certificate is not trusted: {}", words(reason));
    if !issuers.is_empty() {
        gist.push_str(&format!(", issued by {}", issuers.join(" under ")));
    }
    Failure::new(Kind::Denied, gist).hint(match reason {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "name the server as its certificate does, or say --tls-server-name"
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            "renew the server's certificate, or set this node's clock"
        }
        _ => "give the authority's certificate with --ca-file; verification cannot be switched off",
    })
}

fn words(reason: &CertificateError) -> String {
    match reason {
        CertificateError::UnknownIssuer => "unknown issuer".to_string(),
        CertificateError::Expired => "expired".to_string(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("expired on {}", date(*not_after))
        }
        CertificateError::NotValidYet => "not valid yet".to_string(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("not valid before {}", date(*not_before))
        }
        CertificateError::NotValidForName => "it is for another name".to_string(),
        other => other.to_string(),
    }
}

fn date(time: UnixTime) -> String {
    let since_1970 = Duration::from_secs(time.as_secs());
    let Some(moment) = UNIX_EPOCH.checked_add(since_1970) else {
        return "a day that no clock will show".to_string();
    };
    humantime::format_rfc3339_seconds(moment).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tls_error_says_why_and_how_to_mend_it() {
        for (error, kind, gist, mend) in [
            (
                TlsError::InvalidCertificate(CertificateError::UnknownIssuer),
                Kind::Denied,
                "unknown issuer",
                "--ca-file",
            ),
            (
                TlsError::InvalidCertificate(CertificateError::NotValidForName),
                Kind::Denied,
                "another name",
                "--tls-server-name",
            ),
            (
                TlsError::InvalidMessage(InvalidMessage::InvalidContentType),
                Kind::Usage,
                "does not speak TLS",
                "http://",
            ),
            (
                TlsError::AlertReceived(AlertDescription::CertificateRequired),
                Kind::Denied,
                "refused the TLS handshake",
                "--client-cert",
            ),
        ] {
            let failure = distrust(&error);
            assert_eq!(failure.kind(), kind, "{gist}");
            assert!(failure.to_string().contains(gist), "{failure}");
            assert!(failure.mend().unwrap_or_default().contains(mend), "{mend}");
        }
    }

    #[test]
    fn a_refused_certificate_has_its_dates_and_issuers() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let time = at(1_700_000_000);
        for (reason, issuers, gist, mend) in [
            (
                CertificateError::ExpiredContext {
                    time,
                    not_after: at(1_600_000_000),
                },
                &["CN=a"][..],
                "expired on 2020-09-13T12:26:40Z, issued by CN=a",
                "renew",
            ),
            (
                CertificateError::NotValidYetContext {
                    time,
                    not_before: at(u64::MAX),
                },
                &[],
                "not valid before a day that no clock will show",
                "clock",
            ),
            (
                CertificateError::UnknownIssuer,
                &["CN=a", "CN=b"],
                "unknown issuer, issued by CN=a under CN=b",
                "--ca-file",
            ),
        ] {
            let issuers = issuers.iter().map(ToString::to_string).collect();
            let refused = Refused { reason, issuers };
            let carried = CertificateError::Other(OtherError(std::sync::Arc::new(refused)));
            let failure = distrust(&TlsError::InvalidCertificate(carried));
            assert_eq!(failure.kind(), Kind::Denied);
            assert!(failure.to_string().ends_with(gist), "{failure}");
            assert!(failure.mend().unwrap_or_default().contains(mend), "{mend}");
        }
    }

    #[test]
    fn a_wrapped_error_is_found() {
        let inner = TlsError::InvalidCertificate(CertificateError::Expired);
        let outer = std::io::Error::other(std::io::Error::other(inner));
        assert!(causes(&outer).last().unwrap().is::<TlsError>());
    }

    #[test]
    fn a_system_error_is_told_in_small_letters() {
        let refused = std::io::Error::from_raw_os_error(Errno::ECONNREFUSED as i32);
        assert_eq!(io_words(&refused).unwrap(), "connection refused");
    }
}
