//! The protocols, one line and one file each. The table feeds `--help`, the hints, the README and a test.

mod amqp;
mod dns;
mod file;
mod grpc;
mod http;
mod k8s;
mod kafka;
mod memcached;
mod mongodb;
pub(super) mod mysql;
mod nats;
pub(super) mod postgres;
mod redis;
mod s3;
mod tcp;
mod unix;
mod vault;

use std::time::Duration;

use async_trait::async_trait;

use super::attempt::Attempt;
use super::setup::Setup;
use super::target::Target;
use super::verdict::Found;
use crate::base::failure::Failure;

/// The name before `://`.
#[derive(Debug)]
pub(super) struct Scheme {
    pub(super) name: &'static str,
    /// Where there is none, a target has to say it.
    pub(super) port: Option<u16>,
    /// Encrypted from the first byte.
    pub(super) is_tls: bool,
}

/// What stands behind `://`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A host and a port.
    Net,
    /// A name to look up.
    Name,
    /// An absolute path.
    Path,
    /// A bucket and a key, taken literally.
    Bucket,
    /// A namespace and what is in it.
    Namespace,
}

impl Shape {
    /// What is wrong when there is nothing.
    pub(super) const fn missing(self) -> &'static str {
        match self {
            Self::Net => "no host",
            Self::Name => "no name",
            Self::Path => "no path",
            Self::Bucket => "no bucket",
            Self::Namespace => "no namespace",
        }
    }
}

/// What a user before the `@` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum User {
    /// A target that names one takes a password.
    Named,
    /// A target takes a password with a user or without.
    Optional,
    /// It is the app's business.
    Ignored,
    /// There is no such thing.
    None,
}

/// Makes a probe of a target.
type Prepare = fn(&Target, &Setup<'_>) -> Result<Box<dyn Probe>, Failure>;

/// One kind of server.
#[derive(Debug)]
pub(super) struct Protocol {
    pub(super) schemes: &'static [Scheme],
    pub(super) shape: Shape,
    /// Podinit's own options in a query.
    pub(super) keys: &'static [&'static str],
    /// The app may use the same URL: foreign keys are ignored with a warning.
    pub(super) is_shared: bool,
    /// The query is the server's, and sent untouched.
    pub(super) is_query_theirs: bool,
    pub(super) user: User,
    /// For hints and `--help`.
    pub(super) example: &'static str,
    /// When it is ready, without a password and with one.
    pub(super) about: &'static str,
    /// Checks what the target says; nothing is sent.
    pub(super) prepare: Prepare,
}

/// Asks one server. It tries once and knows no retry.
#[async_trait(?Send)]
pub(super) trait Probe: Send {
    /// Makes one attempt.
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found;

    /// What a met target proves, for `--dry-run`.
    fn proves(&self) -> String;

    /// The least pause after an attempt that was cut while connected.
    fn pause_after_cut(&self) -> Duration {
        Duration::ZERO
    }
}

/// All protocols, in the order of `--help`.
pub(super) const PROTOCOLS: &[Protocol] = &[
    tcp::PROTOCOL,
    unix::PROTOCOL,
    http::PROTOCOL,
    dns::PROTOCOL,
    file::PROTOCOL,
    postgres::PROTOCOL,
    mysql::PROTOCOL,
    redis::PROTOCOL,
    mongodb::PROTOCOL,
    amqp::PROTOCOL,
    kafka::PROTOCOL,
    nats::PROTOCOL,
    memcached::PROTOCOL,
    grpc::PROTOCOL,
    vault::PROTOCOL,
    s3::PROTOCOL,
    k8s::PROTOCOL,
];

/// Every scheme of every protocol.
pub(super) fn all_schemes() -> impl Iterator<Item = &'static Scheme> {
    PROTOCOLS.iter().flat_map(|protocol| protocol.schemes)
}

/// The protocol and scheme of a name.
pub(super) fn named(name: &str) -> Option<(&'static Protocol, &'static Scheme)> {
    PROTOCOLS.iter().find_map(|protocol| {
        let scheme = protocol.schemes.iter().find(|scheme| scheme.name == name)?;
        Some((protocol, scheme))
    })
}

/// The names of all schemes, for hints.
pub(super) fn schemes() -> String {
    all_schemes()
        .map(|scheme| scheme.name)
        .collect::<Vec<_>>()
        .join(", ")
}

/// A scheme in the table.
const fn scheme(name: &'static str, port: Option<u16>, is_tls: bool) -> Scheme {
    Scheme { name, port, is_tls }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::target::{Origin, parse};
    use super::*;

    #[test]
    fn every_scheme_is_one_protocols_and_every_example_is_a_target() {
        let names: Vec<&str> = all_schemes().map(|scheme| scheme.name).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        for protocol in PROTOCOLS {
            let target = parse(protocol.example, Origin::Argument).unwrap();
            assert_eq!(target.protocol.example, protocol.example);
            // A row of the table in --help fits on a line.
            assert!(protocol.example.len() <= 38 && (1..=58).contains(&protocol.about.len()));
        }
    }
}
