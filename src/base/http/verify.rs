//! TLS for connections that this crate makes itself: which certificates are believed, and what is told of
//! one that is not.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, OtherError,
    SignatureScheme,
};

use super::certificate::Summary;
use super::trust::{Roots, store};
use crate::base::failure::{Failure, Kind};

/// How much of a certificate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Authority, dates and name.
    Full,
    /// Authority and dates.
    Chain,
    /// Nothing: the connection is encrypted, with whomever.
    Nothing,
}

/// The authorities that are trusted, read once.
#[derive(Debug, Clone)]
pub struct Trust(Arc<WebPkiServerVerifier>);

impl Trust {
    /// Reads the roots.
    ///
    /// # Errors
    /// `Usage` for files that cannot be read, or hold no certificate.
    pub fn read(roots: &Roots) -> Result<Self, Failure> {
        let store = Arc::new(store(roots)?);
        WebPkiServerVerifier::builder_with_provider(store, provider())
            .build()
            .map(Self)
            .map_err(|error| Failure::caused_by(Kind::Usage, error).context("use the roots"))
    }
}

/// The configuration of a client's side. Each connection begins anew, so no session is kept.
///
/// # Errors
/// `Bug`
pub fn tls_config(
    trust: Option<&Trust>,
    check: Check,
    protocols: &[&[u8]],
) -> Result<Arc<ClientConfig>, Failure> {
    let verifier = Verifier {
        inner: trust.map(|trust| Arc::clone(&trust.0)),
        check,
        provider: provider(),
    };
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::caused_by(Kind::Bug, error).context("configure TLS"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Why a server is not trusted, if that is why a handshake failed: trying again is in vain then.
pub fn tls_trouble(error: &std::io::Error) -> Option<Failure> {
    let error = error.get_ref()?.downcast_ref::<TlsError>()?;
    let TlsError::InvalidCertificate(reason) = error else {
        return None;
    };
    let CertificateError::Other(OtherError(inner)) = reason else {
        return Some(distrust(&reason.to_string(), None));
    };
    let Some(distrusted) = inner.downcast_ref::<Distrusted>() else {
        return Some(distrust(&inner.to_string(), None));
    };
    Some(distrusted.explain())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn distrust(reason: &str, summary: Option<&Summary>) -> Failure {
    let about = summary.map_or_else(String::new, |summary| format!("; {summary}"));
    Failure::new(
        Kind::Denied,
        format!("the server's certificate is not trusted: {reason}{about}"),
    )
    .hint("give the authority's certificate with --ca-file")
}

/// A refused certificate, kept with what it says of itself.
#[derive(Debug)]
struct Distrusted {
    reason: CertificateError,
    summary: Option<Summary>,
}

impl Distrusted {
    fn explain(&self) -> Failure {
        let summary = self.summary.as_ref();
        let names = summary.map_or_else(String::new, Summary::names);
        match &self.reason {
            CertificateError::UnknownIssuer => distrust("unknown issuer", summary),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                distrust("it is for another name", summary).hint(format!(
                    "name the server as its certificate does: {names}"
                ))
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                distrust("it has expired", summary)
                    .hint("renew the server's certificate, or set this node's clock")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                distrust("it is not valid yet", summary).hint("set the clocks of both sides")
            }
            other if other.to_string().contains("CaUsedAsEndEntity") => {
                distrust("it is an authority's own (CA:TRUE)", summary).hint(
                    "give the server a certificate issued by that authority: openssl req -x509 alone makes \
                     an authority, which no server can be",
                )
            }
            other => distrust(&other.to_string(), summary),
        }
    }
}

impl fmt::Display for Distrusted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(formatter)
    }
}

impl std::error::Error for Distrusted {}

#[derive(Debug)]
struct Verifier {
    inner: Option<Arc<WebPkiServerVerifier>>,
    check: Check,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn judge(&self, verdict: Result<ServerCertVerified, TlsError>) -> Result<(), TlsError> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        let Err(error) = verdict else {
            return Ok(());
        };
        let is_about_name = matches!(
            &error,
            TlsError::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })
        );
        match self.check {
            Check::Nothing => Ok(()),
            Check::Chain if is_about_name => Ok(()),
            Check::Full | Check::Chain => Err(error),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let verdict = match &self.inner {
            Some(inner) => {
                inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None if self.check == Check::Nothing => Ok(ServerCertVerified::assertion()),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        match self.judge(verdict) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(TlsError::InvalidCertificate(reason)) => {
                let summary = Summary::read(end_entity);
                let distrusted = Distrusted { reason, summary };
                let other = CertificateError::Other(OtherError(Arc::new(distrusted)));
                Err(TlsError::InvalidCertificate(other))
            }
            Err(error) => Err(error),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(reason: CertificateError) -> Failure {
        let distrusted = Distrusted {
            reason,
            summary: None,
        };
        let other = CertificateError::Other(OtherError(Arc::new(distrusted)));
        let error = std::io::Error::other(TlsError::InvalidCertificate(other));
        tls_trouble(&error).unwrap()
    }

    #[test]
    fn a_certificate_that_is_not_trusted_is_final_and_says_why() {
        for (reason, gist, mend) in [
            (
                CertificateError::UnknownIssuer,
                "unknown issuer",
                "--ca-file",
            ),
            (
                CertificateError::NotValidForName,
                "another name",
                "as its certificate does",
            ),
            (CertificateError::Expired, "expired", "renew"),
            (CertificateError::NotValidYet, "not valid yet", "clocks"),
        ] {
            let failure = told(reason);
            assert_eq!(failure.kind(), Kind::Denied);
            assert!(failure.to_string().contains(gist), "{failure}");
            assert!(failure.mend().unwrap().contains(mend), "{failure}");
        }
        let broken = std::io::Error::other(TlsError::HandshakeNotComplete);
        assert!(tls_trouble(&broken).is_none());
        assert!(tls_trouble(&std::io::ErrorKind::UnexpectedEof.into()).is_none());
    }

    #[test]
    fn a_chain_is_enough_where_the_name_does_not_count() {
        let verifier = |check| Verifier {
            inner: None,
            check,
            provider: provider(),
        };
        let wrong = |reason: CertificateError| Err(TlsError::InvalidCertificate(reason));
        assert!(
            verifier(Check::Chain)
                .judge(wrong(CertificateError::NotValidForName))
                .is_ok()
        );
        assert!(
            verifier(Check::Full)
                .judge(wrong(CertificateError::NotValidForName))
                .is_err()
        );
        assert!(
            verifier(Check::Chain)
                .judge(wrong(CertificateError::Expired))
                .is_err()
        );
        assert!(
            verifier(Check::Nothing)
                .judge(wrong(CertificateError::Expired))
                .is_ok()
        );
    }
}
