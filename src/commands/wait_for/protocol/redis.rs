//! `redis://`, `rediss://`: PONG, or a server that asks for a login.

use async_trait::async_trait;

use super::{Probe, Protocol, Shape, User, scheme};
use crate::base::failure::{Failure, Kind};
use crate::base::text::{cut, one_line};
use crate::commands::wait_for::attempt::{Attempt, Endpoint};
use crate::commands::wait_for::setup::{Password, Setup};
use crate::commands::wait_for::talk::Talk;
use crate::commands::wait_for::target::Target;
use crate::commands::wait_for::verdict::{Cause, Found, Unready};

pub(super) const PROTOCOL: Protocol = Protocol {
    schemes: &[
        scheme("redis", Some(6379), false),
        scheme("rediss", Some(6379), true),
    ],
    shape: Shape::Net,
    keys: &["password-file", "password-env"],
    is_shared: true,
    is_query_theirs: false,
    user: User::Optional,
    example: "redis://cache",
    about: "PONG, or it asks for a login; with a password: AUTH, PONG",
    prepare,
};

const PING: &[u8] = b"PING\r\n";

/// So much of what the server says is passed on; bytes.
const SAID: usize = 200;

struct Redis {
    endpoint: Endpoint,
    user: Option<String>,
    password: Option<Password>,
}

fn prepare(target: &Target, setup: &Setup<'_>) -> Result<Box<dyn Probe>, Failure> {
    Ok(Box::new(Redis {
        endpoint: setup.endpoint(target)?,
        user: target.user.clone(),
        password: setup.password.clone(),
    }))
}

#[async_trait(?Send)]
impl Probe for Redis {
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found {
        let exchange = attempt.converse(&self.endpoint, "Redis", async |talk| {
            if let Some(password) = &self.password {
                talk.send(&auth(self.user.as_deref(), password)).await?;
                let answer = talk.line("the answer to AUTH").await?;
                check_auth(&answer, self.user.as_deref(), password, talk)?;
            }
            talk.send(PING).await?;
            let answer = talk.line("PONG").await?;
            check_ping(&answer, self.password.is_some(), talk)
        });
        exchange.await
    }

    fn proves(&self) -> String {
        match self.password {
            None => "it answers PING, or asks for a login".to_string(),
            Some(_) => "the login is accepted, and PING answered".to_string(),
        }
    }
}

/// AUTH as an array: a password may hold any bytes.
fn auth(user: Option<&str>, password: &Password) -> Vec<u8> {
    let mut words: Vec<&[u8]> = vec![b"AUTH"];
    words.extend(user.map(str::as_bytes));
    words.push(password.secret.expose());
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
    request
}

/// What heals by itself: loading the data set, a master that is away, a running script, too many clients.
fn is_passing(error: &str) -> bool {
    [
        "-LOADING",
        "-MASTERDOWN",
        "-BUSY",
        "-TRYAGAIN",
        "-CLUSTERDOWN",
        "-ERR max number of clients",
    ]
    .iter()
    .any(|beginning| error.starts_with(beginning))
}

fn said(answer: &[u8]) -> String {
    cut(&one_line(&String::from_utf8_lossy(answer)), SAID)
}

fn check_auth(
    answer: &[u8],
    user: Option<&str>,
    password: &Password,
    talk: &Talk<'_>,
) -> Result<(), Unready> {
    let words = said(answer);
    if answer.starts_with(b"+OK") {
        return Ok(());
    }
    if is_passing(&words) {
        return Err(Cause::new(format!("the server says {words}")).into());
    }
    if !answer.starts_with(b"-") {
        return Err(talk.wrong().into());
    }
    if words.starts_with("-DENIED") {
        return Err(protected(&words).into());
    }
    let who = user.map_or_else(String::new, |user| format!(" as {user}"));
    Err(Failure::new(Kind::Denied, words)
        .context(format!("log in{who}"))
        .hint(format!("the password came from {}", password.source))
        .into())
}

fn check_ping(answer: &[u8], has_login: bool, talk: &Talk<'_>) -> Result<(), Unready> {
    let words = said(answer);
    if answer == b"+PONG" || words.starts_with("-NOPERM") {
        return Ok(());
    }
    if words.starts_with("-NOAUTH") && !has_login {
        return Ok(());
    }
    if words.starts_with("-DENIED") {
        return Err(protected(&words).into());
    }
    if words.starts_with("-WRONGPASS") {
        return Err(Failure::new(Kind::Denied, words).into());
    }
    if answer.starts_with(b"-") {
        return Err(Cause::new(format!("the server says {words}")).into());
    }
    Err(talk.wrong().into())
}

fn protected(words: &str) -> Failure {
    Failure::new(Kind::Denied, words).hint(
        "the server is in protected mode: set a password (requirepass), or bind and protected-mode no, on \
         the server",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;
    use crate::commands::wait_for::stage::Stage;

    fn password() -> Password {
        Password {
            secret: Secret::new("pä ss\r\n"),
            source: "the variable PW".into(),
        }
    }

    fn with_talk<T>(check: impl FnOnce(&Talk<'_>) -> T) -> T {
        let stage = Stage::default();
        let (near, _far) = tokio::io::duplex(16);
        check(&Talk::new(Box::new(near), "h:1".into(), "Redis", &stage))
    }

    #[test]
    fn auth_counts_bytes() {
        assert_eq!(
            auth(None, &password()),
            "*2\r\n$4\r\nAUTH\r\n$8\r\npä ss\r\n\r\n".as_bytes()
        );
        assert!(auth(Some("app"), &password()).starts_with(b"*3\r\n$4\r\nAUTH\r\n$3\r\napp\r\n$8"));
    }

    #[test]
    fn an_answer_to_ping_is_ready_passing_or_final() {
        with_talk(|talk| {
            let check = |answer: &str, login| check_ping(answer.as_bytes(), login, talk);
            assert!(check("+PONG", true).is_ok());
            assert!(check("-NOAUTH Authentication required.", false).is_ok());
            assert!(check("-NOPERM this user has no permissions", false).is_ok());
            for passing in [
                "-LOADING Redis is loading the dataset in memory",
                "-MASTERDOWN Link with MASTER is down",
                "-BUSY Redis is busy running a script",
                "-ERR max number of clients reached",
                "HTTP/1.1 400 Bad Request",
            ] {
                assert!(
                    matches!(check(passing, false), Err(Unready::Yet(_))),
                    "{passing}"
                );
            }
            assert!(matches!(check("-NOAUTH x", true), Err(Unready::Yet(_))));
            assert!(matches!(
                check("-DENIED Redis is running in protected mode", false),
                Err(Unready::Final(_))
            ));
        });
    }

    #[test]
    fn an_answer_to_auth_is_ok_passing_or_final() {
        with_talk(|talk| {
            let check =
                |answer: &str| check_auth(answer.as_bytes(), Some("app"), &password(), talk);
            assert!(check("+OK").is_ok());
            for denied in [
                "-WRONGPASS invalid username-password pair",
                "-ERR AUTH <password> called without any password configured",
                "-DENIED x",
            ] {
                let Err(Unready::Final(failure)) = check(denied) else {
                    panic!("{denied}");
                };
                assert_eq!(failure.kind(), Kind::Denied);
                assert!(!failure.to_string().contains("pä"));
            }
            assert!(matches!(check("-LOADING x"), Err(Unready::Yet(_))));
            assert!(matches!(check("HTTP/1.1"), Err(Unready::Yet(_))));
        });
    }
}
