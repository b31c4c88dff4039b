//! Fetches what is asked for: each request once, whoever shares its answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use http::Method;
use tracing::{debug, warn};

use super::answer::{self, Content, Fetched};
use super::json::Json;
use super::mount::{Api, Mounts};
use super::refusal;
use super::spec::Ask;
use super::token::Held;
use super::vault::{Place, Vault};
use super::wire::Reply;
use super::words::Known;
use crate::base::failure::{Failure, Kind};
use crate::base::secret::Secret;

/// Static secrets that are read at a time.
const AT_A_TIME: usize = 8;

/// Everything fetched with one token.
#[derive(Default)]
pub(super) struct Store {
    mounts: Mounts,
    answers: BTreeMap<Api, Arc<Fetched>>,
    /// The same, by what was asked.
    pub(super) by_ask: BTreeMap<Ask, Arc<Fetched>>,
    /// Paths and seconds of the leases, in the order in which they came.
    pub(super) leases: Vec<(String, u64)>,
}

impl Store {
    /// The requests behind what is asked, in its order.
    ///
    /// # Errors
    /// As `Mounts::resolve`.
    pub(super) async fn resolve(
        &mut self,
        asks: &[Ask],
        vault: &Vault,
        held: &Held,
    ) -> Result<Vec<(Ask, Api)>, Failure> {
        let mut resolved = Vec::with_capacity(asks.len());
        for ask in asks {
            let api = self.mounts.resolve(ask, vault, &held.secret).await?;
            resolved.push((ask.clone(), api));
        }
        Ok(resolved)
    }

    /// Fetches what is not there yet: static secrets first, some at a time, then all others in order.
    ///
    /// # Errors
    /// That of the first request that fails.
    pub(super) async fn fetch(
        &mut self,
        asks: &[Ask],
        vault: &Vault,
        held: &Held,
    ) -> Result<(), Failure> {
        let resolved = self.resolve(asks, vault, held).await?;
        let mut new: Vec<Api> = Vec::new();
        for (_, api) in &resolved {
            if !self.answers.contains_key(api) && !new.contains(api) {
                new.push(api.clone());
            }
        }
        let (fixed, others): (Vec<Api>, Vec<Api>) = new.into_iter().partition(|api| api.is_static);
        let reads = fixed.into_iter().map(|api| async move {
            let fetched = fetch_one(&api, vault, held).await;
            (api, fetched)
        });
        let mut reads = std::pin::pin!(stream::iter(reads).buffer_unordered(AT_A_TIME));
        while let Some((api, fetched)) = reads.next().await {
            self.keep(&api, fetched?, vault);
        }
        for api in others {
            let fetched = fetch_one(&api, vault, held).await?;
            self.keep(&api, fetched, vault);
        }
        for (ask, api) in resolved {
            if let Some(fetched) = self.answers.get(&api) {
                self.by_ask.insert(ask, Arc::clone(fetched));
            }
        }
        Ok(())
    }

    fn keep(&mut self, api: &Api, fetched: Fetched, vault: &Vault) {
        learn(&fetched.content, &vault.known);
        for warning in &fetched.warnings {
            warn!(
                "the server says of {}: {}",
                fetched.from,
                vault.known.clean(warning)
            );
        }
        if let Some(seconds) = fetched.lease {
            self.leases.push((fetched.from.clone(), seconds));
        }
        self.answers.insert(api.clone(), Arc::new(fetched));
    }
}

async fn fetch_one(api: &Api, vault: &Vault, held: &Held) -> Result<Fetched, Failure> {
    let verb = if api.write.is_some() {
        "write to"
    } else {
        "read"
    };
    let attempt = format!("{verb} {} at {}", api.path, vault.address);
    debug!("{attempt}");
    let method = if api.write.is_some() {
        Method::POST
    } else {
        Method::GET
    };
    let mut call = vault.new_call(method, api.wire(), Place::Secrets, Some(&held.secret));
    if let Some(write) = &api.write {
        // A map of strings can always be written.
        let body = serde_json::to_vec(write).unwrap_or_default();
        call.body = Some(Secret::new(body));
    }
    let reply = vault.settle(call, &attempt).await?;
    read(&reply, api, vault, held).map_err(|failure| failure.context(attempt))
}

fn read(reply: &Reply, api: &Api, vault: &Vault, held: &Held) -> Result<Fetched, Failure> {
    if !(200..300).contains(&reply.status) {
        return Err(refusal::secret(reply, api, held.uses, &vault.known));
    }
    let body = reply.body.expose();
    if body.is_empty() {
        return Err(Failure::new(Kind::Missing, "the answer is empty"));
    }
    let fetched = answer::secret(body, &reply.media, api.path.to_string(), api.is_versioned)?;
    Ok(Fetched {
        is_pki: api.is_pki,
        ..fetched
    })
}

/// Remembers all texts of a secret, to keep them out of messages.
fn learn(content: &Content, known: &Known) {
    match content {
        Content::Plain { body, .. } => known.learn(body.clone()),
        Content::Object { entries, .. } => {
            for (_, value) in entries {
                learn_value(value, known);
            }
        }
    }
}

fn learn_value(value: &Json, known: &Known) {
    match value {
        Json::String(text) => known.learn(Secret::new(text.as_bytes())),
        Json::Number(digits) => known.learn(Secret::new(digits.as_bytes())),
        Json::Array(items) => items.iter().for_each(|item| learn_value(item, known)),
        Json::Object(entries) => entries
            .iter()
            .for_each(|(_, value)| learn_value(value, known)),
        Json::Null | Json::Bool(_) => {}
    }
}
