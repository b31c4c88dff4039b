//! What one attempt is given, and the tools that all attempts of a run share.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::time::Instant;

use super::connect::{Wire, connect, encrypt};
use super::host::Host;
use super::resolve::Resolver;
use super::stage::Stage;
use super::talk::Talk;
use super::verdict::{Cause, Found, Unready};

/// What all attempts of a run share.
#[derive(Default)]
pub(super) struct Tools {
    resolver: OnceCell<Resolver>,
    /// One client for all targets.
    pub(super) s3: tokio::sync::OnceCell<aws_sdk_s3::Client>,
    /// How many exchanges are under way that do harm when they are cut.
    careful: Cell<usize>,
}

impl Tools {
    /// Whether an exchange is under way that does harm when it is cut.
    pub(super) fn is_careful(&self) -> bool {
        self.careful.get() > 0
    }

    /// Marks an exchange as one that does harm when it is cut, for as long as the mark lives.
    pub(super) fn with_care(&self) -> Care<'_> {
        self.careful.set(self.careful.get() + 1);
        Care(&self.careful)
    }
}

/// The mark of an exchange that does harm when it is cut.
pub(super) struct Care<'a>(&'a Cell<usize>);

impl Drop for Care<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// One attempt.
pub(super) struct Attempt<'a> {
    /// From 0; the first address tried moves on with it.
    pub(super) number: usize,
    /// When it is cut, if ever.
    pub(super) until: Option<Instant>,
    pub(super) stage: &'a Stage,
    pub(super) tools: &'a Tools,
}

/// Where and how a server is reached.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) host: Host,
    pub(super) port: u16,
    /// For a server that speaks TLS from the first byte.
    pub(super) tls: Option<Arc<ClientConfig>>,
}

impl Endpoint {
    /// `HOST:PORT`
    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// A connection that stands.
pub(super) struct Reached {
    pub(super) wire: Box<dyn Wire>,
    /// The address that has won.
    pub(super) peer: String,
    /// Both sides have agreed on HTTP/2.
    pub(super) is_h2: bool,
}

impl Attempt<'_> {
    /// The system's resolver, set up by the first who needs it.
    pub(super) fn resolver(&self) -> Result<&Resolver, Cause> {
        let known = &self.tools.resolver;
        if known.get().is_none() {
            let made = Resolver::of_system().map_err(|failure| Cause::new(failure.to_string()))?;
            let _ = known.set(made);
        }
        known.get().ok_or_else(|| Cause::new("no resolver"))
    }

    /// Connects, and encrypts if the endpoint says so.
    pub(super) async fn reach(&self, endpoint: &Endpoint) -> Result<Reached, Unready> {
        let stream = connect(self, &endpoint.host, endpoint.port).await?;
        let peer = stream
            .peer_addr()
            .map_err(|error| Cause::new(format!("connected, then closed: {error}")))?;
        let _ = stream.set_nodelay(true);
        let Some(config) = &endpoint.tls else {
            return Ok(Reached {
                wire: Box::new(stream),
                peer: peer.to_string(),
                is_h2: false,
            });
        };
        self.secure(Box::new(stream), &peer.to_string(), &endpoint.host, config)
            .await
    }

    /// Encrypts a connection that stands already.
    pub(super) async fn secure(
        &self,
        wire: Box<dyn Wire>,
        peer: &str,
        host: &Host,
        config: &Arc<ClientConfig>,
    ) -> Result<Reached, Unready> {
        let encrypted = encrypt(self, wire, host, peer, Arc::clone(config)).await?;
        Ok(Reached {
            wire: encrypted.wire,
            peer: peer.to_string(),
            is_h2: encrypted.is_h2,
        })
    }

    /// Connects, holds a conversation, and leaves politely however it went.
    pub(super) async fn converse(
        &self,
        endpoint: &Endpoint,
        protocol: &'static str,
        exchange: impl AsyncFnOnce(&mut Talk<'_>) -> Found,
    ) -> Found {
        let Reached { wire, peer, .. } = self.reach(endpoint).await?;
        let mut talk = Talk::new(wire, peer, protocol, self.stage);
        let found = exchange(&mut talk).await;
        talk.leave().await;
        found
    }
}
