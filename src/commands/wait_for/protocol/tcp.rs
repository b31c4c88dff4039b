//! `tcp://`: an open port, and with `expect` the bytes that it sends.

use async_trait::async_trait;

use super::{Probe, Protocol, Shape, User, scheme};
use crate::base::failure::Failure;
use crate::commands::wait_for::attempt::{Attempt, Endpoint};
use crate::commands::wait_for::escape::excerpt;
use crate::commands::wait_for::setup::Setup;
use crate::commands::wait_for::target::Target;
use crate::commands::wait_for::verdict::Found;

pub(super) const PROTOCOL: Protocol = Protocol {
    schemes: &[scheme("tcp", None, false)],
    shape: Shape::Net,
    keys: &["send", "expect"],
    is_shared: false,
    is_query_theirs: false,
    user: User::None,
    example: "tcp://mail:25?expect=220",
    about: "connected; with expect (and send): these bytes come back",
    prepare,
};

/// Where a plain connection does harm.
const MYSQL_PORT: u16 = 3306;

struct Tcp {
    endpoint: Endpoint,
    send: Vec<u8>,
    expect: Vec<u8>,
}

fn prepare(target: &Target, setup: &Setup<'_>) -> Result<Box<dyn Probe>, Failure> {
    target.refuse_path()?;
    let send = target.key("send").unwrap_or_default().to_vec();
    let expect = target.key("expect").unwrap_or_default().to_vec();
    if target.key("expect").is_some_and(<[u8]>::is_empty) {
        return Err(target.wrong("?expect= is empty", "say which bytes have to come"));
    }
    if target.key("send").is_some() && expect.is_empty() {
        return Err(target.wrong("?send= needs ?expect=", "say which bytes have to come back"));
    }
    if target.port == MYSQL_PORT {
        setup.warn(format!(
            "{target}: MySQL and MariaDB count a plain connection as an error, and block this host after \
             100 of them: write mysql://{} instead",
            target.host
        ));
    }
    Ok(Box::new(Tcp {
        endpoint: setup.endpoint(target)?,
        send,
        expect,
    }))
}

#[async_trait(?Send)]
impl Probe for Tcp {
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found {
        let exchange = attempt.converse(&self.endpoint, "expected", async |talk| {
            if self.expect.is_empty() {
                return Ok(());
            }
            if !self.send.is_empty() {
                talk.send(&self.send).await?;
            }
            let awaited = format!("the expected {}", excerpt(&self.expect));
            talk.until(&awaited, |come| contains(come, &self.expect))
                .await?;
            Ok(())
        });
        exchange.await
    }

    fn proves(&self) -> String {
        match self.expect.as_slice() {
            [] => "a connection is accepted".to_string(),
            bytes => format!("it sends {}", excerpt(bytes)),
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_anywhere() {
        assert!(contains(b"220 mail ESMTP", b"mail"));
        assert!(contains(b"ab", b"ab") && !contains(b"a", b"ab"));
    }
}
