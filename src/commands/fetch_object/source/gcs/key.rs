//! The key of a service account, and the assertion that is exchanged for a token. Pure.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::json;

use super::super::Address;
use crate::base::failure::{Failure, Kind};

/// All that is asked for.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";

/// The longest life of an assertion that is accepted.
const LIFE: Duration = Duration::from_hours(1);

const DEFAULT_TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// A service account that can sign.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) email: String,
    id: Option<String>,
    pair: RsaKeyPair,
    pub(super) token_uri: Address,
    /// As the claim has to name it.
    audience: String,
}

#[derive(Deserialize)]
struct KeyFile {
    r#type: Option<String>,
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
    token_uri: Option<String>,
}

impl Key {
    /// Reads a key file.
    ///
    /// # Errors
    /// `Usage`, which names the type of a file of another kind and never quotes it.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = |reason: String| {
            Failure::new(Kind::Usage, reason)
                .hint("use the key of a service account, or Workload Identity of the cluster")
        };
        // The error may quote what it read.
        let file: KeyFile = serde_json::from_str(text)
            .map_err(|_| wrong("it is not a JSON key file".to_string()))?;
        match file.r#type.as_deref() {
            Some("service_account") => {}
            Some(other) => {
                let other = crate::base::text::one_line(other);
                return Err(wrong(format!(
                    "credentials of the type `{other}` are not supported"
                )));
            }
            None => return Err(wrong("it has no `type`".to_string())),
        }
        let missing = |field: &str| wrong(format!("the key file has no `{field}`"));
        let email = file.client_email.ok_or_else(|| missing("client_email"))?;
        let pem = zeroize::Zeroizing::new(file.private_key.ok_or_else(|| missing("private_key"))?);
        let unusable = || wrong("its `private_key` is not an RSA key in PKCS #8".to_string());
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| unusable())?;
        let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| unusable())?;
        let audience = file
            .token_uri
            .unwrap_or_else(|| DEFAULT_TOKEN_URI.to_string());
        let token_uri = Address::parse(&audience)
            .map_err(|reason| wrong(format!("its `token_uri` {reason}")))?;
        Ok(Self {
            email,
            id: file.private_key_id,
            pair,
            token_uri,
            audience,
        })
    }

    /// A signed assertion (RFC 7523), made at `now`.
    ///
    /// # Errors
    /// `Bug` if it cannot be signed.
    pub(super) fn assertion(&self, now: SystemTime) -> Result<String, Failure> {
        let seconds = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(id) = &self.id {
            header["kid"] = json!(id);
        }
        let claims = json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.audience,
            "iat": seconds,
            "exp": seconds + LIFE.as_secs(),
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .map_err(|_| Failure::new(Kind::Bug, "the assertion cannot be signed"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// To verify a signature with.
    #[cfg(test)]
    pub(super) fn public(&self) -> &[u8] {
        use ring::signature::KeyPair as _;
        self.pair.public_key().as_ref()
    }
}
