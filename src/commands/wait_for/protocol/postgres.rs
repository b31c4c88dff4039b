//! `postgres://`: a server that asks for a login. What is known without one is read off the first answer.

use std::sync::Arc;

use async_trait::async_trait;
use rustls::ClientConfig;

use super::{Probe, Protocol, Shape, User, scheme};
use crate::base::failure::Failure;
use crate::base::http::Check;
use crate::base::text::{cut, nearest, one_line};
use crate::commands::wait_for::attempt::{Attempt, Endpoint, Reached};
use crate::commands::wait_for::login;
use crate::commands::wait_for::setup::Setup;
use crate::commands::wait_for::talk::Talk;
use crate::commands::wait_for::target::Target;
use crate::commands::wait_for::verdict::{Cause, Found, Unready};

pub(super) const PROTOCOL: Protocol = Protocol {
    schemes: &[
        scheme("postgres", Some(5432), false),
        scheme("postgresql", Some(5432), false),
    ],
    shape: Shape::Net,
    keys: &["sslmode", "password-file", "password-env"],
    is_shared: true,
    is_query_theirs: false,
    user: User::Named,
    example: "postgres://app@db/app",
    about: "it asks for a login; with a password: login, and --sql",
    prepare,
};

const NAME: &str = "PostgreSQL";

/// The request for an encrypted connection: length, then 1234.5679 in place of a version.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Version 3.0 of the protocol.
const VERSION: [u8; 4] = [0, 3, 0, 0];

/// Terminate: only sent to a session that exists, elsewhere it is an error in the server's log.
const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];

/// Longer messages do not come before a login; bytes.
const MAX_MESSAGE: usize = 32 << 10;

/// `sslmode` of libpq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum SslMode {
    /// disable, allow
    Plain,
    /// Encrypted if the server can.
    Prefer,
    /// Encrypted, with so much of the certificate checked.
    Require(Check),
}

const SSL_MODES: [(&str, SslMode); 6] = [
    ("disable", SslMode::Plain),
    ("allow", SslMode::Plain),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require(Check::Nothing)),
    ("verify-ca", SslMode::Require(Check::Chain)),
    ("verify-full", SslMode::Require(Check::Full)),
];

struct Postgres {
    endpoint: Endpoint,
    user: String,
    database: String,
    /// Whether the URL names the database: only then does it count that it is missing.
    is_database_named: bool,
    tls: Option<Arc<ClientConfig>>,
}

fn prepare(target: &Target, setup: &Setup<'_>) -> Result<Box<dyn Probe>, Failure> {
    let mode = read_mode(target, setup)?;
    let named = Some(target.decoded_path()?).filter(|name| !name.is_empty());
    if let Some(text) = [&named, &target.user]
        .into_iter()
        .flatten()
        .find(|it| it.contains('\0'))
    {
        return Err(target.wrong(format!("`{}` holds a NUL", one_line(text)), ""));
    }
    let alpn: &[&[u8]] = &[b"postgresql"];
    let tls = match mode {
        SslMode::Plain => None,
        SslMode::Prefer => Some(setup.tls.config(Check::Nothing, alpn)?),
        SslMode::Require(check) => Some(setup.tls.config(check, alpn)?),
    };
    let endpoint = setup.endpoint(target)?;
    if setup.password.is_some() || setup.sql.is_some() {
        return login::postgres::prepare(target, setup, endpoint, named, mode, tls);
    }
    Ok(Box::new(Postgres {
        endpoint,
        user: target.user.clone().unwrap_or_else(|| "podinit".to_string()),
        is_database_named: named.is_some(),
        database: named.unwrap_or_else(|| "postgres".to_string()),
        tls: tls.filter(|_| matches!(mode, SslMode::Require(_))),
    }))
}

fn read_mode(target: &Target, setup: &Setup<'_>) -> Result<SslMode, Failure> {
    let text = target.text("sslmode")?.unwrap_or("prefer");
    let names = SSL_MODES.map(|(name, _)| name);
    let Some((_, mode)) = SSL_MODES.iter().find(|(name, _)| *name == text) else {
        let hint = match nearest(text, names, 3) {
            Some(name) => format!("did you mean {name}"),
            None => format!("one of {}", names.join(", ")),
        };
        return Err(target.wrong(format!("?sslmode={} is none", one_line(text)), hint));
    };
    match mode {
        SslMode::Require(Check::Chain | Check::Full) if setup.tls.is_unchecked => Err(target
            .wrong(
                format!("?sslmode={text} contradicts --insecure-skip-verify"),
                "leave one of them out",
            )),
        // As libpq does: with roots of one's own there is something to check.
        SslMode::Require(Check::Nothing) if setup.tls.own_roots().is_some() => {
            Ok(SslMode::Require(Check::Chain))
        }
        mode => Ok(*mode),
    }
}

#[async_trait(?Send)]
impl Probe for Postgres {
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found {
        let mut talk = open(attempt, &self.endpoint, self.tls.as_ref(), true).await?;
        let found = self.exchange(&mut talk).await;
        talk.leave().await;
        found
    }

    fn proves(&self) -> String {
        "it asks for a login, so it has started and has a free slot".to_string()
    }
}

/// Connects, and asks for an encrypted connection where `tls` says so.
///
/// # Errors
/// As connecting has them; without TLS on the server's side only if it is required.
pub(in super::super) async fn open<'a>(
    attempt: &Attempt<'a>,
    endpoint: &Endpoint,
    tls: Option<&Arc<ClientConfig>>,
    is_required: bool,
) -> Result<Talk<'a>, Unready> {
    let Reached { wire, peer, .. } = attempt.reach(endpoint).await?;
    let mut talk = Talk::new(wire, peer.clone(), NAME, attempt.stage);
    let Some(config) = tls else {
        return Ok(talk);
    };
    talk.send(&SSL_REQUEST).await?;
    let answer = talk.take(1, "the answer to the request for TLS").await?;
    match answer[0] {
        b'S' => {
            // Bytes behind the answer were put there by somebody else.
            let wire = talk.into_wire()?;
            let secured = attempt.secure(wire, &peer, &endpoint.host, config).await?;
            Ok(Talk::new(secured.wire, peer, NAME, attempt.stage))
        }
        b'N' if is_required => {
            talk.leave().await;
            Err(Cause::new("the server does not offer TLS")
                .hint("switch ssl on in the server, or say sslmode=prefer")
                .into())
        }
        b'N' => Ok(talk),
        _ => {
            let wrong = talk.wrong();
            talk.leave().await;
            Err(wrong.into())
        }
    }
}

impl Postgres {
    async fn exchange(&self, talk: &mut Talk<'_>) -> Found {
        talk.send(&startup(&self.user, &self.database)).await?;
        loop {
            let head = talk.take(5, "the request for a login").await?;
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if !head[0].is_ascii_alphabetic() || !(4..=MAX_MESSAGE).contains(&length) {
                return Err(talk.wrong().into());
            }
            let body = talk.take(length - 4, "the rest of the answer").await?;
            match (head[0], body.as_slice()) {
                // Anything but "ok" asks for a login: that is all there is to know without one.
                (b'R', code) if code.get(..4).is_some_and(|code| code != [0; 4]) => return Ok(()),
                (b'Z', _) => {
                    talk.send(&TERMINATE).await?;
                    return Ok(());
                }
                (b'E', body) => return self.judge(&fields(body)),
                // Trust, parameters, the key for cancelling, notices, and a lower minor version.
                (b'R' | b'S' | b'K' | b'N' | b'v', _) => {}
                _ => return Err(talk.wrong().into()),
            }
        }
    }

    fn judge(&self, error: &ErrorFields) -> Found {
        let is_missing_database = error.code == "3D000";
        if error.code.starts_with("28") || (is_missing_database && !self.is_database_named) {
            return Ok(());
        }
        Err(not_ready(&error.code, &error.message).into())
    }
}

/// What the server says, with its code.
pub(in super::super) fn not_ready(code: &str, message: &str) -> Cause {
    let cause = Cause::new(format!(
        "the server says {code}: {}",
        cut(&one_line(message), 200)
    ));
    match code {
        "57P03" => cause.hint("it is starting, stopping or recovering"),
        "53300" => {
            cause.hint("all slots are taken: raise max_connections, or let fewer clients in")
        }
        "3D000" => cause.hint("the database does not exist yet: who creates it?"),
        _ => cause,
    }
}

/// The first message: who, and for which database.
fn startup(user: &str, database: &str) -> Vec<u8> {
    let mut body = VERSION.to_vec();
    for (name, value) in [
        ("user", user),
        ("database", database),
        ("application_name", "podinit"),
    ] {
        body.extend_from_slice(name.as_bytes());
        body.push(0);
        body.extend_from_slice(value.as_bytes());
        body.push(0);
    }
    body.push(0);
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), body.as_slice()].concat()
}

/// Code and message of an `ErrorResponse`.
#[derive(Debug, Default, PartialEq, Eq)]
struct ErrorFields {
    code: String,
    message: String,
}

fn fields(body: &[u8]) -> ErrorFields {
    let mut error = ErrorFields::default();
    for field in body.split(|byte| *byte == 0) {
        let Some((kind, text)) = field.split_first() else {
            continue;
        };
        let text = String::from_utf8_lossy(text).into_owned();
        match kind {
            b'C' => error.code = text,
            b'M' => error.message = text,
            _ => {}
        }
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::wait_for::host::Host;

    fn postgres(is_database_named: bool) -> Postgres {
        Postgres {
            endpoint: Endpoint {
                host: Host::Name("db".into()),
                port: 5432,
                tls: None,
            },
            user: "podinit".into(),
            database: "postgres".into(),
            is_database_named,
            tls: None,
        }
    }

    #[test]
    fn the_first_message_is_that_of_the_protocol() {
        let message = startup("podinit", "postgres");
        assert_eq!(message.len(), 65);
        assert_eq!(message[..8], [0, 0, 0, 0x41, 0, 3, 0, 0]);
        assert_eq!(
            &message[8..],
            b"user\0podinit\0database\0postgres\0application_name\0podinit\0\0"
        );
    }

    #[test]
    fn an_error_is_judged_by_its_code() {
        let error = |code: &str| fields(format!("SFATAL\0C{code}\0Mthe words\0\0").as_bytes());
        assert_eq!(error("57P03").message, "the words");
        for ready in ["28000", "28P01"] {
            assert!(postgres(true).judge(&error(ready)).is_ok(), "{ready}");
        }
        assert!(postgres(false).judge(&error("3D000")).is_ok());
        for waiting in ["3D000", "57P03", "53300", "XX000"] {
            assert!(matches!(
                postgres(true).judge(&error(waiting)),
                Err(Unready::Yet(cause)) if cause.text == format!("the server says {waiting}: the words")
            ));
        }
    }

    async fn answered(is_database_named: bool, answer: &[u8]) -> (Found, Vec<u8>) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let stage = crate::commands::wait_for::stage::Stage::default();
        let (near, mut far) = tokio::io::duplex(4096);
        far.write_all(answer).await.unwrap();
        let mut talk = Talk::new(Box::new(near), "h:1".into(), NAME, &stage);
        let found = postgres(is_database_named).exchange(&mut talk).await;
        talk.leave().await;
        let mut sent = Vec::new();
        far.read_to_end(&mut sent).await.unwrap();
        (found, sent.split_off(65))
    }

    #[tokio::test]
    async fn a_session_is_ended_and_a_login_is_not_begun() {
        let sasl = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";
        let (found, sent) = answered(true, sasl).await;
        assert!(found.is_ok() && sent.is_empty());
        let trusted = b"R\0\0\0\x08\0\0\0\0S\0\0\0\x08a\0b\0Z\0\0\0\x05I";
        let (found, sent) = answered(true, trusted).await;
        assert!(found.is_ok() && sent == TERMINATE);
        let missing = b"R\0\0\0\x08\0\0\0\0E\0\0\0\x0eC3D000\0Mx\0\0";
        assert!(answered(true, missing).await.0.is_err());
        assert!(answered(false, missing).await.0.is_ok());
        assert!(
            answered(true, b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .0
                .is_err()
        );
    }
}
