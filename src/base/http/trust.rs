//! TLS: which authorities are trusted, and the client's own certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::base::failure::{Failure, Kind};

/// Makes ring the provider of everything that asks for the process's default; call it once, early.
pub fn install_provider() {
    // The only possible error is that a provider has been installed before.
    let _ = ring::default_provider().install_default();
}

/// The authorities that are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// Those of the system; in an image without any, those compiled in.
    System,
    /// Those of one PEM file, or of all files of a directory, and no others.
    Path(PathBuf),
}

/// A client's certificate chain and key.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads both from PEM files.
    ///
    /// # Errors
    /// `Usage` for files that cannot be read, or hold no certificate or key.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, Failure> {
        let chain = certificates(certificate)?;
        let key = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| unusable(&error).context(format!("read {}", key.display())))?;
        Ok(Self { chain, key })
    }
}

/// The configuration of every client.
pub(super) fn config(roots: &Roots, identity: Option<&Identity>) -> Result<ClientConfig, Failure> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::caused_by(Kind::Bug, error).context("configure TLS"))?
        .with_root_certificates(store(roots)?);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(Identity { chain, key }) => builder
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(|error| {
                Failure::caused_by(Kind::Usage, error)
                    .context("use the client certificate")
                    .hint("the key has to be that of the certificate")
            })?,
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

pub(super) fn store(roots: &Roots) -> Result<RootCertStore, Failure> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::System => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if store.is_empty() {
                store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
        }
        Roots::Path(path) => {
            for file in root_files(path)? {
                let found = certificates(&file)?;
                store.add_parsable_certificates(found);
            }
            if store.is_empty() {
                return Err(Failure::new(Kind::Usage, "no certificate in it")
                    .context(format!("read the roots in {}", path.display())));
            }
        }
    }
    Ok(store)
}

/// A file itself, or the files of a directory. In a mounted ConfigMap those are links beside
/// directories whose names begin with `..`.
///
/// # Errors
/// `Usage` for a directory that cannot be read.
pub fn root_files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let entries = std::fs::read_dir(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| {
            Failure::caused_by(Kind::Usage, error)
                .context(format!("read the directory {}", path.display()))
        })?;
    Ok(entries
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let context = format!("read {}", path.display());
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(&error).context(context.clone()))?;
    if found.is_empty() {
        return Err(Failure::new(Kind::Usage, "no PEM certificate in it").context(context));
    }
    Ok(found)
}

/// The parser quotes what it read, which may be a key: only the system's words are passed on.
fn unusable(error: &rustls::pki_types::pem::Error) -> Failure {
    match error {
        rustls::pki_types::pem::Error::Io(error) => Failure::new(Kind::Usage, error.to_string()),
        _ => Failure::new(Kind::Usage, "not a PEM file of the right kind"),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
mod tests {
    use super::*;

    #[test]
    fn without_a_file_there_is_always_somebody_to_trust() {
        assert!(!store(&Roots::System).unwrap().is_empty());
    }

    #[test]
    fn a_file_without_certificate_is_refused_and_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.crt");
        std::fs::write(&file, "hunter2").unwrap();
        for path in [file.as_path(), folder.path(), Path::new("/no/such/file")] {
            let failure = store(&Roots::Path(path.to_path_buf())).unwrap_err();
            assert_eq!(failure.kind(), Kind::Usage);
            assert!(!failure.to_string().contains("hunter2"));
        }
    }
}
