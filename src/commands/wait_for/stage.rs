//! How far an attempt has come, so that whoever cuts it can say what it was waiting for.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use super::verdict::Cause;

/// What the attempt is waiting for now.
#[derive(Debug, Clone, Default)]
enum Step {
    #[default]
    Starting,
    Resolving(String),
    Connecting {
        silent: Vec<SocketAddr>,
    },
    Asking {
        peer: String,
        awaited: String,
    },
}

/// The step of one attempt, told by the probe and read by the loop above it.
#[derive(Debug, Default)]
pub(super) struct Stage(RefCell<Step>);

impl Stage {
    /// A name server is asked about `name`.
    pub(super) fn resolving(&self, name: &str) {
        *self.0.borrow_mut() = Step::Resolving(name.to_string());
    }

    /// SYNs are on their way.
    pub(super) fn connecting(&self, addresses: &[SocketAddr]) {
        *self.0.borrow_mut() = Step::Connecting {
            silent: addresses.to_vec(),
        };
    }

    /// One of the addresses has answered, if only to refuse.
    pub(super) fn heard_of(&self, address: SocketAddr) {
        if let Step::Connecting { silent } = &mut *self.0.borrow_mut() {
            silent.retain(|other| *other != address);
        }
    }

    /// The connection stands, and the peer owes an answer.
    pub(super) fn asking(&self, peer: &str, awaited: impl Into<String>) {
        *self.0.borrow_mut() = Step::Asking {
            peer: peer.to_string(),
            awaited: awaited.into(),
        };
    }

    /// Back to the beginning, for the next attempt.
    pub(super) fn reset(&self) {
        *self.0.borrow_mut() = Step::Starting;
    }

    /// Whether a connection stands that the peer may hold against podinit when it is dropped.
    pub(super) fn is_connected(&self) -> bool {
        matches!(&*self.0.borrow(), Step::Asking { .. })
    }

    /// What cutting the attempt after `limit` means.
    pub(super) fn cut(&self, limit: Duration) -> Cause {
        let after = format!("within {:.1} s", limit.as_secs_f64());
        match &*self.0.borrow() {
            Step::Starting => Cause::new(format!("no answer {after}")),
            Step::Resolving(name) => {
                Cause::new(format!("look up {name}: no answer from the name server {after}"))
                    .hint("is the cluster's DNS reachable? a NetworkPolicy has to let UDP and TCP 53 through")
                    .silence()
            }
            Step::Connecting { silent } => Cause::new(format!(
                "no answer from {} {after}",
                list(silent.iter().map(ToString::to_string).collect())
            ))
            .hint("a NetworkPolicy or firewall may drop the packets, or the sidecar has not started")
            .silence(),
            Step::Asking { peer, awaited } => Cause::new(format!(
                "connected to {peer}, no answer {after}: {awaited} did not come"
            ))
            .hint("the server accepts connections and does not serve them yet, or speaks another protocol"),
        }
    }
}

/// Addresses in one order, whatever the order they were tried in: a changed order is no news.
pub(super) fn list(mut addresses: Vec<String>) -> String {
    addresses.sort_unstable();
    addresses.dedup();
    addresses.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_attempt_tells_the_step_it_was_at() {
        let stage = Stage::default();
        let cut = || stage.cut(Duration::from_secs(5));
        assert_eq!(cut().text, "no answer within 5.0 s");
        stage.resolving("db");
        assert!(cut().text.starts_with("look up db: no answer") && cut().is_silence);
        let [one, other] = ["[::1]:1", "127.0.0.1:1"].map(|text| text.parse().unwrap());
        stage.connecting(&[one, other]);
        assert_eq!(
            cut().text,
            "no answer from 127.0.0.1:1, [::1]:1 within 5.0 s"
        );
        stage.heard_of(one);
        assert_eq!(cut().text, "no answer from 127.0.0.1:1 within 5.0 s");
        stage.asking("127.0.0.1:1", "PONG");
        assert_eq!(
            cut().text,
            "connected to 127.0.0.1:1, no answer within 5.0 s: PONG did not come"
        );
        assert!(!cut().is_silence && stage.is_connected());
        stage.reset();
        assert!(!stage.is_connected());
    }
}
