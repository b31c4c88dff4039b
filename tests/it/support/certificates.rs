//! Self-made certificates: an authority, a server that it vouches for, and a client.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::pod::command;
use super::wire::own_address;

/// Elliptic curves spare the test the time that RSA keys take.
const SCRIPT: &str = r#"
key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt > "$1"; }
key ca.key
openssl req -x509 -new -key ca.key -days 2 -subj "/CN=podinit test authority" -out ca.crt
signed() {
    key "$1.key"
    printf '%s\n' "$3" > "$1.ext"
    openssl req -new -key "$1.key" -subj "/CN=$2" -out "$1.csr"
    openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile "$1.ext" -out "$1.crt"
}
signed server vault.example "subjectAltName=IP:$1,DNS:vault.example
extendedKeyUsage=serverAuth"
signed client client.example "extendedKeyUsage=clientAuth"
"#;

/// A server's address and certificate, its authority, and a client's certificate.
pub struct Identity {
    pub address: SocketAddr,
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub authority: PathBuf,
    pub client_certificate: PathBuf,
    pub client_key: PathBuf,
    _folder: TempDir,
}

impl Identity {
    /// A new one, for an address of its own.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let address = own_address();
        run_in(folder.path(), SCRIPT, &[&address.ip().to_string()]);
        let file = |name: &str| folder.path().join(name);
        Self {
            address,
            certificate: file("server.crt"),
            key: file("server.key"),
            authority: file("ca.crt"),
            client_certificate: file("client.crt"),
            client_key: file("client.key"),
            _folder: folder,
        }
    }
}

/// Runs a shell script in a folder, which must succeed, and returns what it printed.
#[track_caller]
pub fn run_in(folder: &Path, script: &str, args: &[&str]) -> String {
    let done = command(["sh", "-euc", script, "sh"])
        .args(args)
        .current_dir(folder)
        .output()
        .expect("sh starts");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{script}: {said}");
    String::from_utf8(done.stdout).expect("UTF-8 from the script")
}
