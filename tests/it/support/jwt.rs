//! Service-account tokens, signed with a key of the tests' own.

use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use super::certificates::run_in;

const MAKE_KEY: &str = "
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem 2>/dev/null ||
    openssl genrsa -out key.pem 2048
openssl pkey -in key.pem -pubout
";

const SIGN: &str = r#"
encode() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
head=$(printf '{"alg":"RS256","kid":"test"}' | encode).$(printf '%s' "$1" | encode)
printf '%s.%s' "$head" "$(printf '%s' "$head" | openssl dgst -sha256 -sign key.pem | encode)"
"#;

/// The folder with the key, and the public key in PEM.
fn key() -> &'static (TempDir, String) {
    static KEY: OnceLock<(TempDir, String)> = OnceLock::new();
    KEY.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let public = run_in(folder.path(), MAKE_KEY, &[]);
        (folder, public)
    })
}

/// The public half, in PEM.
pub fn public_key() -> &'static str {
    &key().1
}

/// These claims, signed with RS256.
pub fn signed(claims: &Value) -> String {
    run_in(key().0.path(), SIGN, &[&claims.to_string()])
}
