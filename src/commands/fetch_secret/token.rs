//! Giving the token back: who made it, what depends on it, and when it ends.

use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing::warn;

use super::answer;
use super::vault::{Place, Vault};
use crate::base::secret::Secret;

/// What is left for the revoke when the run has failed or has to end.
const LAST_WORDS: Duration = Duration::from_millis(140);

/// When the token is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Revoke {
    /// The login's own, unless a lease depends on it.
    Auto,
    /// Whatever depends on it.
    Always,
    /// Not at all.
    Never,
}

/// Who made the token.
#[derive(Debug, Clone, Copy)]
pub(super) enum Maker {
    /// podinit, by a login.
    Podinit {
        at: Instant,
        /// 0 is no limit.
        seconds: u64,
        is_batch: bool,
    },
    Somebody,
}

/// The token in use.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) secret: Secret,
    pub(super) maker: Maker,
    /// How often it may be used; 0 is no limit.
    pub(super) uses: u64,
}

/// What became of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Fate {
    Revoked,
    Kept,
    Given,
    /// It could not be revoked, and ends by itself.
    Expiring,
}

#[derive(Deserialize)]
struct Lookup {
    ttl: u64,
}

impl Held {
    /// Whether a login's token has outlived its time.
    pub(super) fn is_outlived(&self) -> bool {
        match self.maker {
            Maker::Podinit { at, seconds, .. } => {
                seconds > 0 && at.elapsed() >= Duration::from_secs(seconds)
            }
            Maker::Somebody => false,
        }
    }

    /// The seconds that are left of its life, if they are known and limited.
    fn left(&self) -> Option<u64> {
        match self.maker {
            Maker::Podinit { at, seconds, .. } if seconds > 0 => {
                Some(seconds.saturating_sub(at.elapsed().as_secs()))
            }
            Maker::Podinit { .. } | Maker::Somebody => None,
        }
    }

    /// The same, and for a given token the server is asked.
    pub(super) async fn life(&self, vault: &Vault) -> Option<u64> {
        if let Maker::Podinit { .. } = self.maker {
            return self.left();
        }
        let path = "auth/token/lookup-self".to_string();
        let call = vault.new_call(Method::GET, path, Place::Login, Some(&self.secret));
        let reply = vault.deadline.within(vault.once(&call)).await.ok()?.ok()?;
        let told: Lookup = answer::data(reply.body.expose())?;
        (told.ttl > 0).then_some(told.ttl)
    }

    fn is_batch(&self) -> bool {
        matches!(self.maker, Maker::Podinit { is_batch: true, .. })
    }
}

/// Whether the token is to be revoked.
fn is_revoked(revoke: Revoke, maker: Maker, has_lease: bool, has_failed: bool) -> bool {
    if let Maker::Podinit { is_batch: true, .. } = maker {
        return false;
    }
    match (revoke, maker) {
        (Revoke::Always, _) => true,
        (Revoke::Auto, Maker::Podinit { .. }) => !has_lease || has_failed,
        (Revoke::Auto, Maker::Somebody) | (Revoke::Never, _) => false,
    }
}

/// Gives the token back if the rule says so; `leases` are the paths of what dies with it. A failure
/// is a warning and nothing more.
pub(super) async fn give_back(
    held: &Held,
    revoke: Revoke,
    leases: &[&str],
    has_failed: bool,
    vault: &Vault,
) -> Fate {
    if !is_revoked(revoke, held.maker, !leases.is_empty(), has_failed) {
        return match held.maker {
            Maker::Somebody => Fate::Given,
            Maker::Podinit { .. } if held.is_batch() => Fate::Expiring,
            Maker::Podinit { .. } => Fate::Kept,
        };
    }
    if !leases.is_empty() && !has_failed {
        warn!(
            "the token is revoked, and with it die the credentials of {}",
            leases.join(", ")
        );
    }
    let path = "auth/token/revoke-self".to_string();
    let mut call = vault.new_call(Method::POST, path, Place::Login, Some(&held.secret));
    let answer = if has_failed {
        call.limit = LAST_WORDS;
        tokio::time::timeout(LAST_WORDS, vault.wire.call(&call))
            .await
            .ok()
    } else {
        vault.deadline.within(vault.wire.call(&call)).await.ok()
    };
    let reason = match answer {
        Some(Ok(reply)) if reply.status < 300 => return Fate::Revoked,
        Some(Ok(reply)) => vault.told(&reply),
        Some(Err(failure)) => failure.to_string(),
        None => "no answer in time".to_string(),
    };
    let end = held.left().map_or_else(
        || "it has no end that is known".to_string(),
        |seconds| format!("it ends in {seconds} s"),
    );
    warn!("the token could not be revoked: {reason}; {end}");
    Fate::Expiring
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule() {
        let login = |is_batch| Maker::Podinit {
            at: Instant::now(),
            seconds: 60,
            is_batch,
        };
        for (revoke, maker, has_lease, has_failed, is) in [
            (Revoke::Auto, login(false), false, false, true),
            (Revoke::Auto, login(false), true, false, false),
            (Revoke::Auto, login(false), true, true, true),
            (Revoke::Auto, login(true), false, false, false),
            (Revoke::Auto, Maker::Somebody, false, true, false),
            (Revoke::Always, Maker::Somebody, true, false, true),
            (Revoke::Always, login(false), true, false, true),
            (Revoke::Always, login(true), false, false, false),
            (Revoke::Never, login(false), false, true, false),
        ] {
            assert_eq!(
                is_revoked(revoke, maker, has_lease, has_failed),
                is,
                "{revoke:?} {maker:?} {has_lease} {has_failed}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_outlived_when_its_seconds_are_over() {
        let held = Held {
            secret: Secret::new("x"),
            maker: Maker::Podinit {
                at: Instant::now(),
                seconds: 10,
                is_batch: false,
            },
            uses: 0,
        };
        assert_eq!((held.left(), held.is_outlived()), (Some(10), false));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!((held.left(), held.is_outlived()), (Some(0), true));
    }
}
