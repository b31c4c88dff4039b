//! `vault://`, `vaults://`: initialised, unsealed, active or standby. OpenBao too.

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

use super::{Probe, Protocol, Shape, User, scheme};
use crate::base::failure::Failure;
use crate::base::http::probe::Reply;
use crate::commands::wait_for::attempt::Attempt;
use crate::commands::wait_for::setup::Setup;
use crate::commands::wait_for::target::Target;
use crate::commands::wait_for::verdict::{Cause, Found};
use crate::commands::wait_for::web::{Ask, EITHER_VERSION, Site};

pub(super) const PROTOCOL: Protocol = Protocol {
    schemes: &[
        scheme("vault", Some(8200), false),
        scheme("vaults", Some(8200), true),
    ],
    shape: Shape::Net,
    keys: &[],
    is_shared: false,
    is_query_theirs: false,
    user: User::None,
    example: "vaults://vault.vault",
    about: "initialised, unsealed, active or standby; OpenBao too",
    prepare,
};

const HEALTH: &str = "/v1/sys/health";

/// Vault's own answer is some hundred bytes.
const MAX_BODY: usize = 64 << 10;

struct Vault(Site);

fn prepare(target: &Target, setup: &Setup<'_>) -> Result<Box<dyn Probe>, Failure> {
    target.refuse_path()?;
    Ok(Box::new(Vault(Site::new(
        target,
        "Vault",
        EITHER_VERSION,
        setup,
    )?)))
}

#[async_trait(?Send)]
impl Probe for Vault {
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found {
        let ask = Ask {
            method: Method::GET,
            target: HEALTH.to_string(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            wanted: Some(MAX_BODY),
        };
        let reply = self.0.fetch(attempt, ask).await?;
        judge(&reply, &self.0.via())
    }

    fn proves(&self) -> String {
        "it is initialised, unsealed, and active or standby".to_string()
    }
}

fn judge(reply: &Reply, via: &str) -> Found {
    let status = reply.status;
    let health: Option<Value> = serde_json::from_slice(&reply.body)
        .ok()
        .filter(|_| !reply.is_longer);
    let is = |name: &str| health.as_ref().and_then(|health| health[name].as_bool());
    let cause = match (status, is("initialized"), is("sealed")) {
        (200 | 429 | 473, Some(true), Some(false)) => return Ok(()),
        (501, ..) | (_, Some(false), _) => {
            Cause::new(format!("status {status}: not initialised{via}"))
                .hint("run operator init on it")
        }
        (503, Some(_), _) | (_, _, Some(true)) => {
            Cause::new(format!("status {status}: sealed{via}")).hint("unseal it")
        }
        (472, ..) => Cause::new(format!("status 472: a DR secondary serves nobody{via}")),
        (530, ..) => Cause::new(format!(
            "status 530: the node has been removed from its cluster{via}"
        )),
        _ => Cause::new(format!("status {status}, and not Vault's JSON{via}"))
            .hint("another service on this port?"),
    };
    Err(cause.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::wait_for::verdict::Unready;

    fn judged(status: u16, body: &str) -> Result<(), String> {
        let reply = Reply {
            status,
            headers: HeaderMap::new(),
            body: body.into(),
            is_longer: false,
            trailers: HeaderMap::new(),
        };
        judge(&reply, "").map_err(|unready| match unready {
            Unready::Yet(cause) => cause.text,
            Unready::Final(failure) => panic!("{failure}"),
        })
    }

    #[test]
    fn status_and_json_have_to_agree() {
        let open = r#"{"initialized":true,"sealed":false,"standby":true}"#;
        for status in [200, 429, 473] {
            assert_eq!(judged(status, open), Ok(()), "{status}");
        }
        assert!(
            judged(503, r#"{"initialized":true,"sealed":true}"#)
                .unwrap_err()
                .contains("sealed")
        );
        assert!(
            judged(501, r#"{"initialized":false,"sealed":true}"#)
                .unwrap_err()
                .contains("not initialised")
        );
        assert!(judged(472, open).unwrap_err().contains("DR secondary"));
        assert!(judged(530, open).unwrap_err().contains("removed"));
        for body in ["<html>", "{}", "[]", ""] {
            assert!(
                judged(200, body).unwrap_err().contains("not Vault's JSON"),
                "{body}"
            );
        }
        assert!(
            judged(503, "no upstream")
                .unwrap_err()
                .contains("not Vault's JSON")
        );
    }
}
