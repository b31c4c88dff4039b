//! `kafka://`: `ApiVersions`, then Metadata; every partition of a topic has a leader.

use async_trait::async_trait;

use super::{Probe, Protocol, Shape, User, scheme};
use crate::base::failure::Failure;
use crate::base::http::Check;
use crate::base::text::one_line;
use crate::commands::wait_for::attempt::{Attempt, Endpoint};
use crate::commands::wait_for::setup::Setup;
use crate::commands::wait_for::talk::Talk;
use crate::commands::wait_for::target::Target;
use crate::commands::wait_for::verdict::{Cause, Found};

pub(super) const PROTOCOL: Protocol = Protocol {
    schemes: &[scheme("kafka", Some(9092), false)],
    shape: Shape::Net,
    keys: &["topic", "tls"],
    is_shared: false,
    is_query_theirs: false,
    user: User::None,
    example: "kafka://broker?topic=orders",
    about: "it knows a broker; every partition of topic has a leader",
    prepare,
};

/// `ApiVersions` 0 from `podinit`: every broker there is knows it.
const API_VERSIONS: &[u8] = b"\0\0\0\x11\0\x12\0\0\0\0\0\x01\0\x07podinit";

const METADATA: i16 = 3;

/// Before 4 the broker would create the topic; from 9 on messages are laid out otherwise.
const VERSIONS: std::ops::RangeInclusive<i16> = 4..=8;

/// A longer answer is none of these; bytes.
const MAX_ANSWER: usize = 48 << 10;

struct Kafka {
    endpoint: Endpoint,
    topic: Option<String>,
}

fn prepare(target: &Target, setup: &Setup<'_>) -> Result<Box<dyn Probe>, Failure> {
    target.refuse_path()?;
    let topic = target.text("topic")?.map(str::to_string);
    // Kafka's own rule for names.
    let is_name = |name: &String| (1..=249).contains(&name.len()) && name.is_ascii();
    if topic.as_ref().is_some_and(|name| !is_name(name)) {
        return Err(target.wrong("?topic= is no name of a topic", "at most 249 ASCII letters"));
    }
    let mut endpoint = setup.endpoint(target)?;
    if target.flag("tls")? {
        endpoint.tls = Some(setup.tls.config(Check::Full, &[])?);
    }
    Ok(Box::new(Kafka { endpoint, topic }))
}

#[async_trait(?Send)]
impl Probe for Kafka {
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found {
        let exchange = attempt.converse(&self.endpoint, "Kafka", async |talk| {
            talk.send(API_VERSIONS).await?;
            let answer = read(talk, 1, "the answer to ApiVersions").await?;
            let range = metadata_range(&answer)
                .ok_or_else(|| talk.wrong())?
                .map_err(|code| {
                    Cause::new(format!("the broker answers ApiVersions with error {code}"))
                })?;
            let version = range.1.min(*VERSIONS.end());
            if !VERSIONS.contains(&version) || version < range.0 {
                return Err(Cause::new(format!(
                    "the broker speaks versions {} to {} of Metadata, podinit {} to {}",
                    range.0,
                    range.1,
                    VERSIONS.start(),
                    VERSIONS.end()
                ))
                .into());
            }
            talk.send(&metadata_request(version, self.topic.as_deref()))
                .await?;
            let answer = match read(talk, 2, "the answer to Metadata").await {
                Ok(answer) => answer,
                // A listener that wants SASL hangs up on whoever asks without.
                Err(_) if talk.is_closed() && self.topic.is_none() => return Ok(()),
                Err(cause) if talk.is_closed() => {
                    return Err(cause
                        .hint("a SASL listener tells nothing about topics")
                        .into());
                }
                Err(cause) => return Err(cause.into()),
            };
            let metadata = Metadata::read(&answer, version).ok_or_else(|| talk.wrong())?;
            metadata.judge(self.topic.as_deref()).map_err(Into::into)
        });
        exchange.await
    }

    fn proves(&self) -> String {
        match &self.topic {
            None => "it knows at least one broker".to_string(),
            Some(topic) => format!("every partition of {topic} has a leader"),
        }
    }
}

/// An answer without length and number.
async fn read(talk: &mut Talk<'_>, number: i32, awaited: &str) -> Result<Vec<u8>, Cause> {
    let head = talk.take(4, awaited).await?;
    let length = i32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if !(6..=MAX_ANSWER).contains(&length) {
        return Err(talk.wrong());
    }
    let body = talk.take(length, awaited).await?;
    match body.strip_prefix(&number.to_be_bytes()) {
        Some(rest) => Ok(rest.to_vec()),
        None => Err(talk.wrong()),
    }
}

/// The versions of Metadata that the broker knows, or its error.
fn metadata_range(answer: &[u8]) -> Option<Result<(i16, i16), i16>> {
    let mut fields = Fields(answer);
    let error = fields.short()?;
    let mut range = None;
    for _ in 0..fields.count()? {
        let (key, least, most) = (fields.short()?, fields.short()?, fields.short()?);
        if key == METADATA {
            range = Some((least, most));
        }
    }
    if error != 0 {
        return Some(Err(error));
    }
    range.map(Ok)
}

fn metadata_request(version: i16, topic: Option<&str>) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(&METADATA.to_be_bytes());
    body.extend_from_slice(&version.to_be_bytes());
    body.extend_from_slice(&2_i32.to_be_bytes());
    body.extend_from_slice(b"\0\x07podinit");
    // An empty list asks for no topic, its absence would ask for all.
    let topics = i32::from(topic.is_some());
    body.extend_from_slice(&topics.to_be_bytes());
    if let Some(topic) = topic {
        let length = u16::try_from(topic.len()).unwrap_or(0);
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(topic.as_bytes());
    }
    // No topic is created.
    body.push(0);
    if version >= 8 {
        // Nobody's rights are asked for.
        body.extend_from_slice(&[0, 0]);
    }
    let length = i32::try_from(body.len()).unwrap_or(0);
    [&length.to_be_bytes()[..], &body].concat()
}

/// What the answer says, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
struct Metadata {
    brokers: usize,
    topics: Vec<Topic>,
}

#[derive(Debug, PartialEq, Eq)]
struct Topic {
    error: i16,
    name: String,
    partitions: usize,
    /// Numbers of partitions without a leader, with their errors.
    leaderless: Vec<(i32, i16)>,
}

impl Metadata {
    fn read(answer: &[u8], version: i16) -> Option<Self> {
        let mut fields = Fields(answer);
        // How long the broker has held the answer back.
        fields.long()?;
        let brokers = fields.count()?;
        for _ in 0..brokers {
            fields.long()?;
            fields.text()?;
            fields.long()?;
            fields.text()?;
        }
        // Cluster and controller.
        fields.text()?;
        fields.long()?;
        let mut topics = Vec::new();
        for _ in 0..fields.count()? {
            topics.push(Topic::read(&mut fields, version)?);
        }
        Some(Self { brokers, topics })
    }

    fn judge(&self, topic: Option<&str>) -> Result<(), Cause> {
        if self.brokers == 0 {
            return Err(Cause::new("the cluster has no broker"));
        }
        let Some(name) = topic else {
            return Ok(());
        };
        let Some(topic) = self.topics.iter().find(|topic| topic.name == name) else {
            return Err(Cause::new(format!(
                "the answer does not name the topic {name}"
            )));
        };
        match topic.error {
            0 => {}
            3 => {
                return Err(Cause::new(format!("error 3: there is no topic {name}"))
                    .hint("who creates it? podinit does not"));
            }
            code => {
                return Err(Cause::new(format!(
                    "error {code} for the topic {name}{}",
                    words(code)
                )));
            }
        }
        if topic.partitions == 0 {
            return Err(Cause::new(format!("the topic {name} has no partition")));
        }
        match topic.leaderless.first() {
            None => Ok(()),
            Some((number, code)) => Err(Cause::new(format!(
                "partition {number} of {name} has no leader (error {code}{})",
                words(*code)
            ))),
        }
    }
}

fn words(code: i16) -> &'static str {
    match code {
        5 => ": leader not available",
        9 => ": replica not available",
        29 => ": topic authorization failed",
        35 => ": unsupported version",
        _ => "",
    }
}

impl Topic {
    fn read(fields: &mut Fields<'_>, version: i16) -> Option<Self> {
        let error = fields.short()?;
        let name = one_line(&String::from_utf8_lossy(fields.text()?));
        // Whether it is internal.
        fields.take(1)?;
        let partitions = fields.count()?;
        let mut leaderless = Vec::new();
        for _ in 0..partitions {
            let (error, number, leader) = (fields.short()?, fields.long()?, fields.long()?);
            if version >= 7 {
                fields.long()?;
            }
            // Replicas, those in sync, and from 5 on those that are away.
            for _ in 0..if version >= 5 { 3 } else { 2 } {
                for _ in 0..fields.count()? {
                    fields.long()?;
                }
            }
            // Error 9 is about a replica, not the leader.
            if leader < 0 || !matches!(error, 0 | 9) {
                leaderless.push((number, error));
            }
        }
        if version >= 8 {
            fields.long()?;
        }
        Some(Self {
            error,
            name,
            partitions,
            leaderless,
        })
    }
}

/// The fields of an answer, in order.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn short(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn long(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// How many follow; none is written as -1.
    fn count(&mut self) -> Option<usize> {
        match self.long()? {
            -1 => Some(0),
            count => usize::try_from(count).ok(),
        }
    }

    /// A text; none is written as -1.
    fn text(&mut self) -> Option<&'a [u8]> {
        match self.short()? {
            -1 => Some(&[]),
            length => self.take(usize::try_from(length).ok()?),
        }
    }
}

#[cfg(test)]
mod tests;
