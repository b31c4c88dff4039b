//! `nats://`: INFO, then PONG; INFO alone where it demands a login and none is given.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Probe, Protocol, Shape, User, scheme};
use crate::base::failure::{Failure, Kind};
use crate::base::http::Check;
use crate::base::text::{cut, one_line};
use crate::commands::wait_for::attempt::{Attempt, Endpoint, Reached};
use crate::commands::wait_for::setup::{Password, Setup, Tls};
use crate::commands::wait_for::talk::Talk;
use crate::commands::wait_for::target::Target;
use crate::commands::wait_for::verdict::{Cause, Found};

pub(super) const PROTOCOL: Protocol = Protocol {
    schemes: &[scheme("nats", Some(4222), false)],
    shape: Shape::Net,
    keys: &["password-file", "password-env"],
    is_shared: false,
    is_query_theirs: false,
    user: User::Named,
    example: "nats://bus",
    about: "PONG, or it demands a login; with a password: login, PONG",
    prepare,
};

const NAME: &str = "NATS";

struct Nats {
    endpoint: Endpoint,
    login: Option<(String, String, Password)>,
    /// Only read if the server demands it.
    tls: Arc<Tls>,
}

fn prepare(target: &Target, setup: &Setup<'_>) -> Result<Box<dyn Probe>, Failure> {
    target.refuse_path()?;
    let login = match (&target.user, &setup.password) {
        (Some(user), Some(password)) => {
            let text = std::str::from_utf8(password.secret.expose())
                .map_err(|_| target.wrong("the password is not UTF-8", "correct the Secret"))?;
            Some((user.clone(), text.to_string(), password.clone()))
        }
        _ => None,
    };
    Ok(Box::new(Nats {
        endpoint: setup.endpoint(target)?,
        login,
        tls: Arc::clone(&setup.tls),
    }))
}

#[async_trait(?Send)]
impl Probe for Nats {
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found {
        let Reached { wire, peer, .. } = attempt.reach(&self.endpoint).await?;
        let mut talk = Talk::new(wire, peer.clone(), NAME, attempt.stage);
        let line = talk.line("INFO").await;
        let info = line.and_then(|line| parse_info(&line).ok_or_else(|| talk.wrong()));
        let info = match info {
            Ok(info) => info,
            Err(cause) => {
                talk.leave().await;
                return Err(cause.into());
            }
        };
        let is_set = |name: &str| info[name].as_bool() == Some(true);
        if is_set("auth_required") && self.login.is_none() {
            talk.leave().await;
            return Ok(());
        }
        let is_tls = is_set("tls_required");
        if is_tls {
            let config = self.tls.config(Check::Full, &[])?;
            let wire = talk.into_wire()?;
            let secured = attempt
                .secure(wire, &peer, &self.endpoint.host, &config)
                .await?;
            talk = Talk::new(secured.wire, peer, NAME, attempt.stage);
        }
        let found = self.ping(&mut talk, is_tls).await;
        talk.leave().await;
        found
    }

    fn proves(&self) -> String {
        match &self.login {
            None => "it answers PING, or demands a login".to_string(),
            Some((user, _, _)) => format!("{user} can log in, and PING is answered"),
        }
    }
}

impl Nats {
    async fn ping(&self, talk: &mut Talk<'_>, is_tls: bool) -> Found {
        talk.send(&self.connect(is_tls)).await?;
        loop {
            let line = talk.line("PONG").await?;
            let words = line.split(|byte| *byte == b' ').next().unwrap_or_default();
            match words.to_ascii_uppercase().as_slice() {
                b"PONG" => return Ok(()),
                b"+OK" | b"INFO" => {}
                b"PING" => talk.send(b"PONG\r\n").await?,
                b"-ERR" => return self.refusal(&line),
                _ => return Err(talk.wrong().into()),
            }
        }
    }

    fn connect(&self, is_tls: bool) -> Vec<u8> {
        let mut options = json!({
            "verbose": false,
            "pedantic": false,
            "tls_required": is_tls,
            "name": "podinit",
            "lang": "podinit",
            "version": env!("CARGO_PKG_VERSION"),
        });
        if let Some((user, password, _)) = &self.login {
            options["user"] = user.as_str().into();
            options["pass"] = password.as_str().into();
        }
        format!("CONNECT {options}\r\nPING\r\n").into_bytes()
    }

    fn refusal(&self, line: &[u8]) -> Found {
        let words = cut(&one_line(&String::from_utf8_lossy(line)), 200);
        let is_login = words
            .to_ascii_lowercase()
            .contains("authorization violation");
        match &self.login {
            Some((user, _, password)) if is_login => Err(Failure::new(Kind::Denied, words)
                .context(format!("log in as {user}"))
                .hint(format!("the password came from {}", password.source))
                .into()),
            _ => Err(Cause::new(format!("the server says {words}")).into()),
        }
    }
}

fn parse_info(line: &[u8]) -> Option<Value> {
    let json = line.strip_prefix(b"INFO ")?;
    serde_json::from_slice(json).ok().filter(Value::is_object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::http::Roots;
    use crate::base::secret::Secret;
    use crate::commands::wait_for::host::Host;
    use crate::commands::wait_for::stage::Stage;
    use crate::commands::wait_for::verdict::Unready;

    fn nats(has_login: bool) -> Nats {
        let password = Password {
            secret: Secret::new("hunter2"),
            source: "the variable PW".into(),
        };
        Nats {
            endpoint: Endpoint {
                host: Host::Name("h".into()),
                port: 4222,
                tls: None,
            },
            login: has_login.then(|| ("app".into(), "hun\"ter2".into(), password)),
            tls: Arc::new(Tls::new(Roots::System, false).unwrap()),
        }
    }

    async fn answered(has_login: bool, answer: &[u8]) -> Found {
        use tokio::io::AsyncWriteExt as _;
        let stage = Stage::default();
        let (near, mut far) = tokio::io::duplex(4096);
        far.write_all(answer).await.unwrap();
        let mut talk = Talk::new(Box::new(near), "h:1".into(), NAME, &stage);
        nats(has_login).ping(&mut talk, false).await
    }

    #[tokio::test]
    async fn pong_is_ready_whatever_comes_before_it() {
        assert!(
            answered(false, b"+OK\r\nPING\r\nINFO {}\r\nPONG\r\n")
                .await
                .is_ok()
        );
        let refused = b"-ERR 'Authorization Violation'\r\n";
        assert!(matches!(
            answered(true, refused).await,
            Err(Unready::Final(_))
        ));
        assert!(matches!(
            answered(false, refused).await,
            Err(Unready::Yet(_))
        ));
        assert!(matches!(
            answered(true, b"-ERR 'maximum connections exceeded'\r\n").await,
            Err(Unready::Yet(_))
        ));
        assert!(matches!(
            answered(true, b"HTTP/1.1 400\r\n").await,
            Err(Unready::Yet(_))
        ));
    }

    #[test]
    fn info_is_json_and_connect_is_too() {
        assert!(parse_info(b"INFO {\"auth_required\":true} ").is_some());
        assert!(parse_info(b"INFO x").is_none() && parse_info(b"+OK").is_none());
        let sent = String::from_utf8(nats(true).connect(false)).unwrap();
        assert!(sent.contains(r#""pass":"hun\"ter2""#) && sent.ends_with("\r\nPING\r\n"));
        assert!(
            !String::from_utf8(nats(false).connect(false))
                .unwrap()
                .contains("pass")
        );
    }
}
