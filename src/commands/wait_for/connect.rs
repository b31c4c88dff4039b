//! From a target to a connection: look up, race the addresses, encrypt. One attempt, no retry.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use nix::errno::Errno;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::attempt::Attempt;
use super::host::Host;
use super::stage::{Stage, list};
use super::verdict::{Cause, Unready};
use crate::base::http::tls_trouble;

/// The next address is tried when this one has been silent for so long.
const HEAD_START: Duration = Duration::from_millis(250);

/// A dropped SYN is sent again after so long, by a new socket: the kernel would wait twice as long each
/// time.
const PATIENCE: Duration = Duration::from_secs(1);

/// A connection, whatever it runs over.
pub(super) type BoxedWire = Box<dyn Wire>;

/// What bytes run over.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// Connects to a host by any of its addresses.
///
/// # Errors
/// The cause says which addresses refused; it is a proof of absence only if all of them did.
pub(super) async fn connect(
    attempt: &Attempt<'_>,
    host: &Host,
    port: u16,
) -> Result<TcpStream, Cause> {
    let found = match host {
        Host::V4(address) => vec![IpAddr::V4(*address)],
        Host::V6(address) => vec![IpAddr::V6(*address)],
        Host::Name(name) => attempt.resolver()?.addresses(name, attempt.stage).await?,
    };
    let mut addresses = in_turn(found);
    let first = attempt.number % addresses.len().max(1);
    addresses.rotate_left(first);
    let sockets = addresses.into_iter().map(|ip| SocketAddr::new(ip, port));
    race(sockets.collect(), attempt.stage).await
}

/// IPv6 and IPv4 in turn, each once.
fn in_turn(found: Vec<IpAddr>) -> Vec<IpAddr> {
    let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) = found.into_iter().partition(IpAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut ordered: Vec<IpAddr> = Vec::new();
    loop {
        let pair = [v6.next(), v4.next()];
        if pair == [None, None] {
            return ordered;
        }
        for address in pair.into_iter().flatten() {
            if !ordered.contains(&address) {
                ordered.push(address);
            }
        }
    }
}

/// The first connection wins; the others are dropped while they are still being made.
async fn race(addresses: Vec<SocketAddr>, stage: &Stage) -> Result<TcpStream, Cause> {
    stage.connecting(&addresses);
    let mut waiting = addresses.into_iter();
    let mut racing = FuturesUnordered::new();
    let mut lost: Vec<(SocketAddr, std::io::Error)> = Vec::new();
    loop {
        if let Some(address) = waiting.next() {
            racing.push(dial(address));
        } else if racing.is_empty() {
            return Err(explain(&lost));
        }
        let next = if waiting.len() == 0 {
            racing.next().await
        } else {
            let Ok(next) = timeout(HEAD_START, racing.next()).await else {
                continue;
            };
            next
        };
        match next {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err((address, error))) => {
                stage.heard_of(address);
                lost.push((address, error));
            }
            None => {}
        }
    }
}

/// Connects to one address, and tries anew for as long as it is silent.
async fn dial(address: SocketAddr) -> Result<TcpStream, (SocketAddr, std::io::Error)> {
    loop {
        let Ok(outcome) = timeout(PATIENCE, TcpStream::connect(address)).await else {
            continue;
        };
        let stream = outcome.map_err(|error| (address, error))?;
        // On loopback a port without a listener can be given to the caller itself.
        let is_itself = stream.local_addr().ok() == stream.peer_addr().ok();
        return if is_itself {
            Err((address, ErrorKind::ConnectionRefused.into()))
        } else {
            Ok(stream)
        };
    }
}

fn explain(lost: &[(SocketAddr, std::io::Error)]) -> Cause {
    let words = |error: &std::io::Error| match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_string(),
        ErrorKind::NetworkUnreachable => "network unreachable".to_string(),
        ErrorKind::HostUnreachable => "no route to host".to_string(),
        _ => io_words(error),
    };
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (address, error) in lost {
        let words = words(error);
        match groups.iter_mut().find(|(known, _)| *known == words) {
            Some((_, addresses)) => addresses.push(address.to_string()),
            None => groups.push((words, vec![address.to_string()])),
        }
    }
    groups.sort();
    let parts: Vec<String> = groups
        .into_iter()
        .map(|(words, addresses)| format!("{words} by {}", list(addresses)))
        .collect();
    let text = parts.join("; ").replace("unreachable by", "unreachable:");
    let is_refused = |error: &std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
    let is_one_refused = lost.iter().any(|(_, error)| is_refused(error));
    if is_one_refused
        && lost
            .iter()
            .all(|(at, error)| is_refused(error) || has_no_ipv6(*at, error))
    {
        return Cause::new(text)
            .hint("nothing listens there: a Service without a ready Pod, or a wrong port")
            .absence();
    }
    Cause::new(text).hint("there is no way there: check routes and NetworkPolicies")
}

/// Whether an address failed only because this network namespace has no IPv6 at all: nobody can be there.
fn has_no_ipv6(address: SocketAddr, error: &std::io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    address.is_ipv6() && matches!(errno, Some(Errno::EADDRNOTAVAIL | Errno::EAFNOSUPPORT))
}

/// An error of the system in its own words, without its number.
pub(super) fn io_words(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => {
            let words = Errno::from_raw(number).desc();
            words[..1].to_lowercase() + &words[1..]
        }
        None => error.to_string(),
    }
}

/// A connection with TLS.
pub(super) struct Encrypted {
    pub(super) wire: Box<dyn Wire>,
    /// Both sides have agreed on HTTP/2.
    pub(super) is_h2: bool,
}

/// Makes a connection an encrypted one.
///
/// # Errors
/// Final for a certificate that is not trusted; what hangs up or speaks plain can heal.
pub(super) async fn encrypt(
    attempt: &Attempt<'_>,
    stream: Box<dyn Wire>,
    host: &Host,
    peer: &str,
    config: Arc<ClientConfig>,
) -> Result<Encrypted, Unready> {
    attempt.stage.asking(peer, "the TLS handshake");
    let name = match host {
        Host::Name(name) => ServerName::try_from(name.trim_end_matches('.').to_string())
            .map_err(|_| Cause::new(format!("{name} cannot be the name of a certificate")))?,
        Host::V4(address) => ServerName::from(IpAddr::V4(*address)),
        Host::V6(address) => ServerName::from(IpAddr::V6(*address)),
    };
    match TlsConnector::from(config).connect(name, stream).await {
        Ok(stream) => Ok(Encrypted {
            is_h2: stream.get_ref().1.alpn_protocol() == Some(b"h2"),
            wire: Box::new(stream),
        }),
        Err(error) => Err(match tls_trouble(&error) {
            Some(distrust) => Unready::Final(distrust.context(format!("trust {host} at {peer}"))),
            None => Cause::new(format!(
                "connected to {peer}, but the TLS handshake failed: {}",
                io_words(&error)
            ))
            .hint("TLS on one side only? another service? a mesh proxy accepts for a dead upstream")
            .into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let [a, b, c, d] =
            ["10.0.0.1", "10.0.0.2", "::1", "::2"].map(|text| text.parse::<IpAddr>().unwrap());
        assert_eq!(in_turn(vec![a, b, c, d, a]), [c, a, d, b]);
        assert_eq!(in_turn(vec![a, b]), [a, b]);
        assert!(in_turn(Vec::new()).is_empty());
    }

    #[test]
    fn every_address_is_named_and_only_refusals_prove_absence() {
        use super::super::verdict::{Goal, Verdict, judge};
        let [one, other] = ["10.0.0.2:1", "10.0.0.1:1"].map(|text| text.parse().unwrap());
        let refused = || ErrorKind::ConnectionRefused.into();
        let both = explain(&[(one, refused()), (other, refused())]);
        assert_eq!(both.text, "connection refused by 10.0.0.1:1, 10.0.0.2:1");
        assert!(matches!(judge(Err(both.into()), Goal::Gone), Verdict::Met));
        let local: SocketAddr = "[::1]:1".parse().unwrap();
        let no_ipv6 = || std::io::Error::from_raw_os_error(Errno::EADDRNOTAVAIL as i32);
        let half = explain(&[(local, no_ipv6()), (one, refused())]);
        assert!(matches!(judge(Err(half.into()), Goal::Gone), Verdict::Met));
        for unproven in [
            vec![(local, no_ipv6())],
            vec![(one, refused()), (other, no_ipv6())],
        ] {
            let found = Err(explain(&unproven).into());
            assert!(matches!(judge(found, Goal::Gone), Verdict::Waiting(_)));
        }
        let mixed = explain(&[
            (one, refused()),
            (other, ErrorKind::NetworkUnreachable.into()),
        ]);
        assert_eq!(
            mixed.text,
            "connection refused by 10.0.0.2:1; network unreachable: 10.0.0.1:1"
        );
        assert!(matches!(
            judge(Err(mixed.into()), Goal::Gone),
            Verdict::Waiting(_)
        ));
    }
}
