//! `memcached://`: VERSION.

use async_trait::async_trait;

use super::{Probe, Protocol, Shape, User, scheme};
use crate::base::failure::Failure;
use crate::commands::wait_for::attempt::{Attempt, Endpoint};
use crate::commands::wait_for::setup::Setup;
use crate::commands::wait_for::target::Target;
use crate::commands::wait_for::verdict::Found;

pub(super) const PROTOCOL: Protocol = Protocol {
    schemes: &[scheme("memcached", Some(11211), false)],
    shape: Shape::Net,
    keys: &[],
    is_shared: false,
    is_query_theirs: false,
    user: User::None,
    example: "memcached://cache",
    about: "it tells its VERSION",
    prepare,
};

struct Memcached(Endpoint);

fn prepare(target: &Target, setup: &Setup<'_>) -> Result<Box<dyn Probe>, Failure> {
    target.refuse_path()?;
    Ok(Box::new(Memcached(setup.endpoint(target)?)))
}

#[async_trait(?Send)]
impl Probe for Memcached {
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found {
        let exchange = attempt.converse(&self.0, "memcached", async |talk| {
            talk.send(b"version\r\n").await?;
            let answer = talk.line("VERSION").await?;
            if answer.starts_with(b"VERSION ") {
                Ok(())
            } else {
                Err(talk.wrong().into())
            }
        });
        exchange.await
    }

    fn proves(&self) -> String {
        "it tells its version".to_string()
    }
}
