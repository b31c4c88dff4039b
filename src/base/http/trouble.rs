//! Why there is no answer, told from the innermost cause. No URL is ever part of it.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use nix::errno::Errno;
use rustls::{AlertDescription, CertificateError, Error as TlsError, InvalidMessage};

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
        TlsError::InvalidCertificate(reason) => {
            let failure = Failure::new(
                Kind::Denied,
                format!("the server's certificate is not trusted: {}", words(reason)),
            );
            failure.hint(match reason {
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => {
                    "name the server as its certificate does, or say --tls-server-name"
                }
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "renew the server's certificate, or set this node's clock"
                }
                _ => {
                    "give the authority's certificate with --ca-file; verification cannot be switched off"
                }
            })
        }
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

fn words(reason: &CertificateError) -> String {
    match reason {
        CertificateError::UnknownIssuer => "unknown issuer".to_string(),
        CertificateError::Expired => "expired".to_string(),
        CertificateError::NotValidYet => "not valid yet".to_string(),
        CertificateError::NotValidForName => "it is for another name".to_string(),
        other => other.to_string(),
    }
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
