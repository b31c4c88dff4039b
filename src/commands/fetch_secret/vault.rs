//! Calls of Vault's API, tried again while the server may still come up.

use std::time::Duration;

use http::Method;

use super::refusal::{self, RETRIED};
use super::wire::{Call, Reply, Wire};
use super::words::Known;
use crate::base::deadline::Deadline;
use crate::base::failure::{Failure, Kind};
use crate::base::http::attempt_limit;
use crate::base::retry::{Backoff, until};
use crate::base::secret::Secret;

/// Between two attempts. With the attempt's own time the longest pause stays below a second, so that
/// a server that came up is noticed within one.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(100),
    max: Duration::from_millis(900),
};

/// Refused for this long, a server is not just starting: a service mesh may be in the way.
const MESH: Duration = Duration::from_secs(10);

/// One server, as the run sees it.
#[derive(Debug)]
pub(super) struct Vault {
    pub(super) wire: Wire,
    /// Its address for messages.
    pub(super) address: String,
    pub(super) namespace: Option<String>,
    pub(super) auth_namespace: Option<String>,
    pub(super) known: Known,
    pub(super) deadline: Deadline,
}

/// In which namespace a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// That of the secrets.
    Secrets,
    /// That of the login and the token.
    Login,
}

impl Vault {
    /// A call with what every call has.
    pub(super) fn new_call(
        &self,
        method: Method,
        path: String,
        place: Place,
        token: Option<&Secret>,
    ) -> Call {
        let namespace = match place {
            Place::Secrets => &self.namespace,
            Place::Login => &self.auth_namespace,
        };
        Call {
            method,
            path,
            body: None,
            token: token.cloned(),
            namespace: namespace.clone(),
            limit: attempt_limit(&self.deadline),
        }
    }

    /// Makes the call, as part of `attempt`, until there is an answer that will not change by itself.
    ///
    /// # Errors
    /// `Unavailable` when the deadline comes first; others as `once`.
    pub(super) async fn settle(&self, mut call: Call, attempt: &str) -> Result<Reply, Failure> {
        until(&self.deadline, BACKOFF, attempt, async || {
            call.limit = attempt_limit(&self.deadline);
            self.once(&call)
                .await
                .map_err(|failure| failure.context(attempt))
        })
        .await
    }

    /// Makes the call once.
    ///
    /// # Errors
    /// `Unavailable` for an answer that may be another one soon; others as `base::http`.
    pub(super) async fn once(&self, call: &Call) -> Result<Reply, Failure> {
        let reply = match self.wire.call(call).await {
            Ok(reply) => reply,
            Err(failure) => return Err(self.explain(failure)),
        };
        if refusal::is_tls_port(&reply) {
            return Err(
                Failure::new(Kind::Usage, "the server speaks TLS on this port").hint(format!(
                    "set --addr to {}",
                    self.address.replacen("http://", "https://", 1)
                )),
            );
        }
        if !RETRIED.contains(&reply.status) {
            return Ok(reply);
        }
        let state = if reply.status == 503 {
            self.health().await
        } else {
            None
        };
        Err(state.unwrap_or_else(|| refusal::not_ready(&reply, &self.known)))
    }

    fn explain(&self, failure: Failure) -> Failure {
        let is_refused = failure.to_string().contains("connection refused");
        if is_refused && failure.mend().is_none() && self.deadline.elapsed() >= MESH {
            return failure.hint("is the server up? a service mesh's proxy starts after init containers: exclude the port from it");
        }
        failure
    }

    /// Asks which state lies behind a 503.
    async fn health(&self) -> Option<Failure> {
        let mut call = self.new_call(Method::GET, "sys/health".to_string(), Place::Login, None);
        call.namespace = None;
        let reply = self.wire.call(&call).await.ok()?;
        refusal::health(reply.status)
    }

    /// What the server says, safe to show.
    pub(super) fn told(&self, reply: &Reply) -> String {
        refusal::told(reply, &self.known)
    }
}
