//! The Kubernetes API server's part in a login: it vouches for service-account tokens.

use serde_json::{Value, json};

use super::jwt;
use super::proxy::{Proxy, Reply};
use super::wire::Response;

/// An hour that no test lives to see, in seconds since 1970.
const FAR: u64 = 4_000_000_000;

/// A TokenReview endpoint that vouches for every token of ours, under the name the token gives.
pub fn vouching() -> Proxy {
    Proxy::alone(|request, _| {
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let token = asked["spec"]["token"].as_str().unwrap_or_default();
        let claims = claims_of(token);
        let account = claims["sub"].as_str().unwrap_or_default();
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "status": {
                "authenticated": !account.is_empty(),
                "audiences": asked["spec"]["audiences"],
                "user": {
                    "username": account,
                    "uid": claims["kubernetes.io"]["serviceaccount"]["uid"],
                    "groups": ["system:serviceaccounts", "system:authenticated"],
                },
            },
        });
        Reply::Say(Response::json(201, &review.to_string()))
    })
}

/// A projected token of a service account in the namespace `apps`, for this audience.
pub fn projected_token(account: &str, audience: &str) -> String {
    jwt::signed(&json!({
        "aud": [audience],
        "exp": FAR,
        "iat": 1,
        "nbf": 1,
        "iss": "https://kubernetes.default.svc.cluster.local",
        "sub": format!("system:serviceaccount:apps:{account}"),
        "kubernetes.io": {
            "namespace": "apps",
            "pod": {"name": "app-0", "uid": "8a0f5c9e-0000-4000-8000-000000000001"},
            "serviceaccount": {"name": account, "uid": "8a0f5c9e-0000-4000-8000-000000000002"},
        },
    }))
}

/// What a token claims, unproved.
fn claims_of(token: &str) -> Value {
    let middle = token.split('.').nth(1).unwrap_or_default();
    serde_json::from_slice(&from_base64url(middle)).unwrap_or_default()
}

fn from_base64url(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.bytes() {
        let Some(value) = ALPHABET.iter().position(|known| *known == letter) else {
            return Vec::new();
        };
        bits = bits << 6 | u32::try_from(value).expect("below 64");
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}
