//! `amqp://`, `amqps://`: Connection.Start, and with a password a login and the opening of the vhost.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::{Probe, Protocol, Shape, User, scheme};
use crate::base::failure::{Failure, Kind};
use crate::base::text::{cut, one_line};
use crate::commands::wait_for::attempt::{Attempt, Endpoint};
use crate::commands::wait_for::escape::excerpt;
use crate::commands::wait_for::setup::{Password, Setup};
use crate::commands::wait_for::talk::Talk;
use crate::commands::wait_for::target::Target;
use crate::commands::wait_for::verdict::{Cause, Found, Unready};

pub(super) const PROTOCOL: Protocol = Protocol {
    schemes: &[
        scheme("amqp", Some(5672), false),
        scheme("amqps", Some(5671), true),
    ],
    shape: Shape::Net,
    keys: &["password-file", "password-env"],
    is_shared: true,
    is_query_theirs: false,
    user: User::Named,
    example: "amqp://app@queue/vhost",
    about: "Connection.Start; with a password: login, the vhost opens",
    prepare,
};

/// Version 0-9-1.
const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

/// Time for the answer to a goodbye, without which the server logs a warning.
const FAREWELL: Duration = Duration::from_millis(200);

/// A frame with a method, and the byte that ends each frame.
const METHOD_FRAME: u8 = 1;
const FRAME_END: u8 = 0xce;

/// Class and method.
type Method = (u16, u16);
const START: Method = (10, 10);
const START_OK: Method = (10, 11);
const SECURE: Method = (10, 20);
const TUNE: Method = (10, 30);
const TUNE_OK: Method = (10, 31);
const OPEN: Method = (10, 40);
const OPEN_OK: Method = (10, 41);
const CLOSE: Method = (10, 50);
const CLOSE_OK: Method = (10, 51);

/// Reply codes of Close.
const ACCESS_REFUSED: u16 = 403;
const NOT_ALLOWED: u16 = 530;

struct Amqp {
    endpoint: Endpoint,
    login: Option<Login>,
}

struct Login {
    user: String,
    password: Password,
    vhost: String,
}

fn prepare(target: &Target, setup: &Setup<'_>) -> Result<Box<dyn Probe>, Failure> {
    let vhost = match target.decoded_path()? {
        path if path.is_empty() => "/".to_string(),
        path => path,
    };
    if vhost.len() > 255 {
        return Err(target.wrong("the name of a vhost has at most 255 bytes", ""));
    }
    let login = match (&target.user, &setup.password) {
        (Some(user), Some(password)) => Some(Login {
            user: user.clone(),
            password: password.clone(),
            vhost,
        }),
        _ => None,
    };
    Ok(Box::new(Amqp {
        endpoint: setup.endpoint(target)?,
        login,
    }))
}

#[async_trait(?Send)]
impl Probe for Amqp {
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found {
        let exchange = attempt.converse(&self.endpoint, "AMQP", async |talk| {
            talk.send(HEADER).await?;
            let (method, _) = read(talk, "Connection.Start").await?;
            if method != START {
                return Err(talk.wrong().into());
            }
            match &self.login {
                None => Ok(()),
                Some(login) => login.open(talk).await,
            }
        });
        exchange.await
    }

    fn proves(&self) -> String {
        match &self.login {
            None => "it sends Connection.Start".to_string(),
            Some(login) => format!("{} can open the vhost {}", login.user, login.vhost),
        }
    }
}

impl Login {
    async fn open(&self, talk: &mut Talk<'_>) -> Found {
        talk.send(&frame(START_OK, &self.start_ok())).await?;
        let tune = self.expect(talk, TUNE, "Connection.Tune").await?;
        // The server's own limits are accepted; a heartbeat of 0 is none.
        let limits = tune.get(..6).ok_or_else(|| talk.wrong())?;
        talk.send(&frame(TUNE_OK, &[limits, &[0, 0]].concat()))
            .await?;
        // The vhost, then two reserved fields.
        talk.send(&frame(
            OPEN,
            &[short(self.vhost.as_bytes()), vec![0, 0]].concat(),
        ))
        .await?;
        self.expect(talk, OPEN_OK, "Connection.OpenOk").await?;
        let goodbye = [&200_u16.to_be_bytes()[..], &short(b"bye"), &[0; 4]].concat();
        talk.send(&frame(CLOSE, &goodbye)).await?;
        // The vhost was open: what the goodbye brings no longer counts.
        let _ = timeout(FAREWELL, read(talk, "Connection.CloseOk")).await;
        Ok(())
    }

    /// What the client is and can do, mechanism, response and locale.
    fn start_ok(&self) -> Vec<u8> {
        let able = [&short(b"authentication_failure_close")[..], b"t\x01"].concat();
        let capabilities = [&short(b"capabilities")[..], b"F", &long(&able)].concat();
        let product = [&short(b"product")[..], b"S", &long(b"podinit")].concat();
        let response = [
            &[0],
            self.user.as_bytes(),
            &[0],
            self.password.secret.expose(),
        ]
        .concat();
        [
            long(&[product, capabilities].concat()),
            short(b"PLAIN"),
            long(&response),
            short(b"en_US"),
        ]
        .concat()
    }

    async fn expect(
        &self,
        talk: &mut Talk<'_>,
        wanted: Method,
        awaited: &str,
    ) -> Result<Vec<u8>, Unready> {
        let (method, arguments) = read(talk, awaited).await?;
        if method == wanted {
            return Ok(arguments);
        }
        if method == SECURE {
            return Err(Cause::new("the server asks for more than PLAIN").into());
        }
        if method != CLOSE {
            return Err(talk.wrong().into());
        }
        talk.send(&frame(CLOSE_OK, &[])).await?;
        let code = arguments
            .get(..2)
            .map_or(0, |code| u16::from_be_bytes([code[0], code[1]]));
        let length = arguments.get(2).map_or(0, |length| usize::from(*length));
        let text = arguments.get(3..3 + length).unwrap_or_default();
        Err(self.refusal(code, &cut(&one_line(&String::from_utf8_lossy(text)), 200)))
    }

    fn refusal(&self, code: u16, text: &str) -> Unready {
        match code {
            ACCESS_REFUSED => Failure::new(Kind::Denied, format!("{code}: {text}"))
                .context(format!("log in as {}", self.user))
                .hint(format!("the password came from {}", self.password.source))
                .into(),
            NOT_ALLOWED => Cause::new(format!("the server says {code}: {text}"))
                .hint("the vhost does not exist yet, or this user has no right to it")
                .into(),
            _ => Cause::new(format!("the server says {code}: {text}")).into(),
        }
    }
}

/// The next method and its arguments.
async fn read(talk: &mut Talk<'_>, awaited: &str) -> Result<(Method, Vec<u8>), Cause> {
    let head = talk.take(7, awaited).await?;
    if head.starts_with(b"AMQP") {
        let rest = talk.take(1, awaited).await?;
        let version = excerpt(&[head, rest].concat());
        return Err(Cause::new(format!(
            "the server refuses version 0-9-1, and offers {version}"
        ))
        .hint("podinit speaks AMQP 0-9-1 only"));
    }
    let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if head[0] != METHOD_FRAME || !(4..=48 << 10).contains(&size) {
        return Err(talk.wrong());
    }
    let body = talk.take(size + 1, awaited).await?;
    if body[size] != FRAME_END {
        return Err(talk.wrong());
    }
    let number = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    Ok(((number(0), number(2)), body[4..size].to_vec()))
}

fn frame(method: Method, arguments: &[u8]) -> Vec<u8> {
    let size = u32::try_from(arguments.len() + 4).unwrap_or(0);
    let mut bytes = vec![METHOD_FRAME, 0, 0];
    bytes.extend_from_slice(&size.to_be_bytes());
    bytes.extend_from_slice(&method.0.to_be_bytes());
    bytes.extend_from_slice(&method.1.to_be_bytes());
    bytes.extend_from_slice(arguments);
    bytes.push(FRAME_END);
    bytes
}

/// A text of at most 255 bytes.
fn short(text: &[u8]) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap_or(0);
    [&[length], &text[..usize::from(length)]].concat()
}

/// A text or a table.
fn long(text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap_or(0);
    [&length.to_be_bytes()[..], text].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;
    use crate::commands::wait_for::stage::Stage;

    fn login() -> Login {
        Login {
            user: "app".into(),
            password: Password {
                secret: Secret::new("hunter2"),
                source: "the variable PW".into(),
            },
            vhost: "/".into(),
        }
    }

    #[test]
    fn frames_are_those_of_the_protocol() {
        assert_eq!(
            frame(CLOSE_OK, &[]),
            [1, 0, 0, 0, 0, 0, 4, 0, 10, 0, 51, 0xce]
        );
        let start_ok = login().start_ok();
        let text = String::from_utf8_lossy(&start_ok);
        assert!(
            text.contains("authentication_failure_closet\u{1}"),
            "{text}"
        );
        assert!(
            text.ends_with("\u{5}PLAIN\0\0\0\u{c}\0app\0hunter2\u{5}en_US"),
            "{text}"
        );
    }

    async fn answered(frames: &[Vec<u8>]) -> Found {
        use tokio::io::AsyncWriteExt as _;
        let stage = Stage::default();
        let (near, mut far) = tokio::io::duplex(8192);
        far.write_all(&frames.concat()).await.unwrap();
        let mut talk = Talk::new(Box::new(near), "h:1".into(), "AMQP", &stage);
        login().open(&mut talk).await
    }

    #[tokio::test]
    async fn a_login_opens_the_vhost_or_is_refused() {
        let tune = frame(TUNE, &[0, 1, 0, 0, 1, 0, 0, 60]);
        let opened = [tune.clone(), frame(OPEN_OK, &[0]), frame(CLOSE_OK, &[])];
        assert!(answered(&opened).await.is_ok());
        let close = |code: u16| {
            frame(
                CLOSE,
                &[&code.to_be_bytes()[..], &short(b"words"), &[0; 4]].concat(),
            )
        };
        let denied = answered(&[close(403)]).await;
        assert!(matches!(denied, Err(Unready::Final(failure)) if failure.kind() == Kind::Denied));
        for code in [530, 320] {
            let refused = answered(&[tune.clone(), close(code)]).await;
            assert!(matches!(refused, Err(Unready::Yet(_))), "{code}");
        }
        assert!(answered(&[b"AMQP\0\x01\0\0".to_vec()]).await.is_err());
    }
}
