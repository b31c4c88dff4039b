//! Certificates of every kind that a client must tell apart: good, expired, of another name.

use std::path::PathBuf;

use tempfile::TempDir;

use super::certificates::run_in;
use super::server::folder_of;

/// Elliptic curves spare the test the time that RSA keys take.
const SCRIPT: &str = r#"
key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt > "$1"; }
key ca.key
openssl req -x509 -new -key ca.key -days 2 -subj "/CN=podinit wait-for authority" -out ca.crt
leaf() {
    key "$1.key"
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' "$2" > "$1.ext"
    openssl req -new -key "$1.key" -subj "/CN=$1.example" -out "$1.csr"
    openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days "$3" -extfile "$1.ext" -out "$1.crt"
}
leaf good "IP:127.0.0.1,IP:10.77.0.1,DNS:localhost,DNS:good.example,DNS:kubernetes.default.svc" 2
leaf other "DNS:somebody.example" 2
leaf expired "IP:127.0.0.1,DNS:localhost" -1
"#;

/// An authority and its leaves.
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let folder = folder_of(0);
        run_in(folder.path(), SCRIPT, &[]);
        Self { folder }
    }

    /// Its own certificate, which clients trust.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// The certificate of `good`, `other` or `expired`.
    pub fn certificate(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.crt"))
    }

    /// The key to it.
    pub fn key(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.key"))
    }
}
