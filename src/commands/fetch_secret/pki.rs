//! A certificate, its key and its authority as three files. Pure.

use zeroize::Zeroizing;

use super::answer::Fetched;
use super::json::Json;
use super::render::Bytes;
use super::spec::Ask;
use crate::base::failure::Failure;

/// Whether the answer is a certificate that is to be split.
pub(super) fn is_split(ask: &Ask, fetched: &Fetched) -> bool {
    let format = ask.write.as_ref().and_then(|write| write.get("format"));
    let is_pem = format.is_none_or(|format| format == "pem");
    let has_certificate = fetched
        .entries()
        .is_ok_and(|entries| entries.iter().any(|(key, _)| key == "certificate"));
    fetched.is_pki && is_pem && has_certificate
}

/// The files and their content.
///
/// # Errors
/// `Missing` for a certificate that is null.
pub(super) fn split(fetched: &Fetched) -> Result<Vec<(&'static str, Bytes)>, Failure> {
    let text = |key| fetched.bytes(key).ok();
    let leaf = fetched.bytes("certificate")?;
    let chain: Vec<Bytes> = match fetched.value("ca_chain") {
        Ok(Json::Array(items)) => items.iter().filter_map(Json::bytes).collect(),
        _ => Vec::new(),
    };
    let mut certificates = vec![trimmed(&leaf)];
    for entry in &chain {
        if !certificates.contains(&trimmed(entry)) {
            certificates.push(trimmed(entry));
        }
    }
    let mut files = vec![("tls.crt", joined(&certificates))];
    if let Some(key) = text("private_key") {
        files.push(("tls.key", joined(&[trimmed(&key)])));
    }
    let issuer = text("issuing_ca");
    if let Some(authority) = chain.last().or(issuer.as_ref()) {
        files.push(("ca.crt", joined(&[trimmed(authority)])));
    }
    Ok(files)
}

fn trimmed(pem: &[u8]) -> &[u8] {
    pem.trim_ascii()
}

/// Each PEM with one line feed at its end.
fn joined(parts: &[&[u8]]) -> Bytes {
    let mut bytes = Zeroizing::new(Vec::new());
    for part in parts {
        bytes.extend_from_slice(part);
        bytes.push(b'\n');
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(data: &str) -> Vec<(&'static str, String)> {
        let body = format!(r#"{{"data":{data}}}"#);
        let fetched = Fetched {
            is_pki: true,
            ..super::super::answer::secret(
                body.as_bytes(),
                "application/json",
                "pki/issue/web".to_string(),
                false,
            )
            .unwrap()
        };
        let ask = |format: &str| Ask {
            path: "pki/issue/web".parse().unwrap(),
            version: None,
            write: Some([("format".to_string(), format.to_string())].into()),
        };
        assert!(is_split(&ask("pem"), &fetched));
        assert!(!is_split(&ask("der"), &fetched));
        split(&fetched)
            .unwrap()
            .into_iter()
            .map(|(name, bytes)| (name, String::from_utf8(bytes.to_vec()).unwrap()))
            .collect()
    }

    #[test]
    fn the_chain_follows_the_leaf_and_the_last_is_the_authority() {
        let data = r#"{"certificate":"LEAF","private_key":"KEY\n","issuing_ca":"INT",
            "ca_chain":["INT\n","LEAF\n","ROOT"]}"#;
        assert_eq!(
            files(data),
            [
                ("tls.crt", "LEAF\nINT\nROOT\n".to_string()),
                ("tls.key", "KEY\n".to_string()),
                ("ca.crt", "ROOT\n".to_string()),
            ]
        );
    }

    #[test]
    fn a_signed_request_brings_no_key_and_the_issuer_may_stand_alone() {
        assert_eq!(
            files(r#"{"certificate":"LEAF","issuing_ca":"INT"}"#),
            [
                ("tls.crt", "LEAF\n".to_string()),
                ("ca.crt", "INT\n".to_string()),
            ]
        );
    }
}
