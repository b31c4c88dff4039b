//! `mysql://`: a server that answers a login attempt. Every exchange is finished: the server counts each
//! one that is not, and blocks the host after a hundred.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustls::ClientConfig;
use sqlx::mysql::MySqlSslMode;

use super::{Probe, Protocol, Shape, User, scheme};
use crate::base::failure::{Failure, Kind};
use crate::base::http::Check;
use crate::base::text::{cut, nearest, one_line};
use crate::commands::wait_for::attempt::{Attempt, Endpoint, Reached};
use crate::commands::wait_for::login;
use crate::commands::wait_for::setup::Setup;
use crate::commands::wait_for::talk::Talk;
use crate::commands::wait_for::target::Target;
use crate::commands::wait_for::verdict::{Cause, Found};

pub(super) const PROTOCOL: Protocol = Protocol {
    schemes: &[
        scheme("mysql", Some(3306), false),
        scheme("mariadb", Some(3306), false),
    ],
    shape: Shape::Net,
    keys: &["ssl-mode", "password-file", "password-env"],
    is_shared: true,
    is_query_theirs: false,
    user: User::Named,
    example: "mysql://app@db/app",
    about: "it answers a login attempt; with a password: login, --sql",
    prepare,
};

const NAME: &str = "MySQL";

/// The next attempt after one that was cut: the server has counted it.
pub(in super::super) const AFTER_A_CUT: Duration = Duration::from_secs(10);

/// Whom nobody lets in: the answer is all that is wanted.
const USER: &[u8] = b"podinit";

/// `CLIENT_PROTOCOL_41`, `CLIENT_SECURE_CONNECTION`, `CLIENT_PLUGIN_AUTH`
const CAPABILITIES: u32 = 0x0000_0200 | 0x0000_8000 | 0x0008_0000;

/// `CLIENT_SSL`
const SSL: u32 = 0x0000_0800;

/// `utf8mb4_general_ci`
const CHARSET: u8 = 45;

/// The plugin that counts an empty answer as an error, and the length of its signatures.
const ED25519: (&[u8], usize) = (b"client_ed25519", 64);

/// The first byte of an answer.
mod first {
    pub(super) const OK: u8 = 0x00;
    pub(super) const MORE: u8 = 0x01;
    pub(super) const GREETING: u8 = 0x0a;
    pub(super) const SWITCH: u8 = 0xfe;
    pub(super) const ERR: u8 = 0xff;
}

const SSL_MODES: [(&str, MySqlSslMode); 5] = [
    ("DISABLED", MySqlSslMode::Disabled),
    ("PREFERRED", MySqlSslMode::Preferred),
    ("REQUIRED", MySqlSslMode::Required),
    ("VERIFY_CA", MySqlSslMode::VerifyCa),
    ("VERIFY_IDENTITY", MySqlSslMode::VerifyIdentity),
];

struct MySql {
    endpoint: Endpoint,
    /// Where the mode demands it.
    tls: Option<Arc<ClientConfig>>,
}

fn prepare(target: &Target, setup: &Setup<'_>) -> Result<Box<dyn Probe>, Failure> {
    let mode = read_mode(target, setup)?;
    if setup.password.is_some() || setup.sql.is_some() {
        return login::mysql::prepare(target, setup, mode);
    }
    let check = match mode {
        MySqlSslMode::Disabled | MySqlSslMode::Preferred => None,
        MySqlSslMode::Required => Some(Check::Nothing),
        MySqlSslMode::VerifyCa => Some(Check::Chain),
        MySqlSslMode::VerifyIdentity => Some(Check::Full),
    };
    Ok(Box::new(MySql {
        endpoint: setup.endpoint(target)?,
        tls: check
            .map(|check| setup.tls.config(check, &[]))
            .transpose()?,
    }))
}

fn read_mode(target: &Target, setup: &Setup<'_>) -> Result<MySqlSslMode, Failure> {
    let text = target
        .text("ssl-mode")?
        .unwrap_or("PREFERRED")
        .to_ascii_uppercase();
    let names = SSL_MODES.map(|(name, _)| name);
    let Some((_, mode)) = SSL_MODES.iter().find(|(name, _)| *name == text) else {
        let hint = match nearest(&text, names, 3) {
            Some(name) => format!("did you mean {name}"),
            None => format!("one of {}", names.join(", ")),
        };
        return Err(target.wrong(format!("?ssl-mode={} is none", one_line(&text)), hint));
    };
    if matches!(mode, MySqlSslMode::VerifyCa | MySqlSslMode::VerifyIdentity)
        && setup.tls.is_unchecked
    {
        return Err(target.wrong(
            format!("?ssl-mode={text} contradicts --insecure-skip-verify"),
            "leave one of them out",
        ));
    }
    Ok(*mode)
}

#[async_trait(?Send)]
impl Probe for MySql {
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found {
        let Reached { wire, peer, .. } = attempt.reach(&self.endpoint).await?;
        let _care = attempt.tools.with_care();
        let mut talk = Talk::new(wire, peer.clone(), NAME, attempt.stage);
        let greeting = match greeting(&mut talk).await {
            Ok(greeting) => greeting,
            Err(unready) => {
                talk.leave().await;
                return Err(unready);
            }
        };
        let mut sequence = 1;
        if let Some(config) = &self.tls {
            if greeting.capabilities & SSL == 0 {
                // The exchange is finished all the same.
                let _ = answer(&mut talk, &greeting, sequence, 0).await;
                talk.leave().await;
                return Err(Cause::new("the server does not offer TLS")
                    .hint("switch it on in the server, or say ssl-mode=PREFERRED")
                    .into());
            }
            talk.send(&packet(sequence, &head(SSL))).await?;
            let wire = talk.into_wire()?;
            let secured = attempt
                .secure(wire, &peer, &self.endpoint.host, config)
                .await?;
            talk = Talk::new(secured.wire, peer, NAME, attempt.stage);
            sequence += 1;
        }
        let flags = if self.tls.is_some() { SSL } else { 0 };
        let found = answer(&mut talk, &greeting, sequence, flags).await;
        talk.leave().await;
        found
    }

    fn proves(&self) -> String {
        "it answers a login attempt, so it has started and has a free slot".to_string()
    }

    fn pause_after_cut(&self) -> Duration {
        AFTER_A_CUT
    }
}

/// What the server says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Greeting {
    capabilities: u32,
    plugin: Vec<u8>,
}

async fn greeting(talk: &mut Talk<'_>) -> Result<Greeting, super::super::verdict::Unready> {
    let (_, payload) = read(talk, "the greeting").await?;
    match payload.first() {
        Some(&first::GREETING) => parse_greeting(&payload).ok_or_else(|| talk.wrong().into()),
        Some(&first::ERR) => {
            let Some((number, message)) = parse_error(&payload) else {
                return Err(talk.wrong().into());
            };
            match number {
                1129 => Err(blocked(&message).into()),
                _ => Err(not_ready(number, &message).into()),
            }
        }
        _ => Err(talk.wrong().into()),
    }
}

/// The login attempt, and whatever the server wants to hear until it says yes or no.
async fn answer(talk: &mut Talk<'_>, greeting: &Greeting, sequence: u8, flags: u32) -> Found {
    talk.send(&packet(sequence, &response(greeting, flags)))
        .await?;
    loop {
        let (sequence, payload) = read(talk, "the answer to a login attempt").await?;
        match payload.first() {
            Some(&first::OK) => return Ok(()),
            Some(&first::SWITCH) => {
                let plugin = payload[1..]
                    .split(|byte| *byte == 0)
                    .next()
                    .unwrap_or_default();
                let length = if plugin == ED25519.0 { ED25519.1 } else { 0 };
                talk.send(&packet(sequence.wrapping_add(1), &vec![0; length]))
                    .await?;
            }
            // More data of the plugin: the exchange goes on with an empty answer.
            Some(&first::MORE) => {
                talk.send(&packet(sequence.wrapping_add(1), &[])).await?;
            }
            Some(&first::ERR) => {
                let Some((number, message)) = parse_error(&payload) else {
                    return Err(talk.wrong().into());
                };
                return match number {
                    // It is going down: ER_SERVER_SHUTDOWN, ER_CONNECTION_KILLED.
                    1053 | 1927 => Err(not_ready(number, &message).into()),
                    1129 => Err(blocked(&message).into()),
                    // It has read the attempt and refused it: whoever can refuse can also accept.
                    _ => Ok(()),
                };
            }
            _ => return Err(talk.wrong().into()),
        }
    }
}

/// Sequence number and payload of a packet.
async fn read(talk: &mut Talk<'_>, awaited: &str) -> Result<(u8, Vec<u8>), Cause> {
    let head = talk.take(4, awaited).await?;
    let length = u32::from_le_bytes([head[0], head[1], head[2], 0]);
    if length == 0 || length > 1 << 14 {
        return Err(talk.wrong());
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    Ok((head[3], talk.take(length, awaited).await?))
}

fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_le_bytes();
    [&length[..3], &[sequence], payload].concat()
}

fn parse_greeting(payload: &[u8]) -> Option<Greeting> {
    let rest = payload.strip_prefix(&[first::GREETING])?;
    let version = rest.iter().position(|byte| *byte == 0)?;
    // Thread id 4, first part of the nonce 8, filler 1.
    let rest = rest.get(version + 1 + 13..)?;
    let low = u16::from_le_bytes(rest.get(..2)?.try_into().ok()?);
    let Some(high) = rest.get(5..7) else {
        return Some(Greeting {
            capabilities: low.into(),
            plugin: Vec::new(),
        });
    };
    let high = u16::from_le_bytes(high.try_into().ok()?);
    let nonce_length = usize::from(*rest.get(7)?);
    // Reserved 10, then the second part of the nonce, at least 13.
    let plugin = rest
        .get(18 + nonce_length.saturating_sub(8).max(13)..)
        .unwrap_or_default();
    Some(Greeting {
        capabilities: u32::from(high) << 16 | u32::from(low),
        plugin: plugin
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default()
            .to_vec(),
    })
}

/// Flags, the longest packet, character set and filler: alone it is the request for TLS.
fn head(more_flags: u32) -> Vec<u8> {
    let mut bytes = (CAPABILITIES | more_flags).to_le_bytes().to_vec();
    bytes.extend_from_slice(&(1_u32 << 24).to_le_bytes());
    bytes.push(CHARSET);
    bytes.extend_from_slice(&[0; 23]);
    bytes
}

/// `HandshakeResponse41` without a password.
fn response(greeting: &Greeting, more_flags: u32) -> Vec<u8> {
    let mut bytes = head(more_flags);
    bytes.extend_from_slice(USER);
    // The end of the name, an answer of no bytes, the plugin and its end.
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(&greeting.plugin);
    bytes.push(0);
    bytes
}

/// Number and words of an error; before the login it has no SQLSTATE.
fn parse_error(payload: &[u8]) -> Option<(u16, String)> {
    let rest = payload.strip_prefix(&[first::ERR])?;
    let number = u16::from_le_bytes(rest.get(..2)?.try_into().ok()?);
    let text = rest.get(2..)?;
    let text = match text.first() {
        Some(b'#') => text.get(6..).unwrap_or_default(),
        _ => text,
    };
    Some((number, cut(&one_line(&String::from_utf8_lossy(text)), 200)))
}

/// What the server says, with its number.
pub(in super::super) fn not_ready(number: u16, message: &str) -> Cause {
    let cause = Cause::new(format!("the server says {number}: {message}"));
    match number {
        1040 => cause.hint("all slots are taken: raise max_connections, or let fewer clients in"),
        1130 => cause.hint("no account lets this host in yet: create one for '%'"),
        1049 | 1044 => {
            cause.hint("the database does not exist yet, or this user has no right to it")
        }
        _ => cause,
    }
}

/// The server no longer listens to this host.
pub(in super::super) fn blocked(message: &str) -> Failure {
    Failure::new(
        Kind::Denied,
        format!("1129: this host is blocked: {message}"),
    )
    .hint("FLUSH HOSTS on the server; wait with mysql:// and a login, never with tcp:// or nc")
}

#[cfg(test)]
mod tests;
