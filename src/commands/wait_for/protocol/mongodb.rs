//! `mongodb://`: a primary, a secondary or a mongos, by its own word.

use async_trait::async_trait;

use super::{Probe, Protocol, Shape, User, scheme};
use crate::base::failure::Failure;
use crate::base::http::Check;
use crate::base::text::{cut, one_line};
use crate::commands::wait_for::attempt::{Attempt, Endpoint};
use crate::commands::wait_for::setup::Setup;
use crate::commands::wait_for::talk::Talk;
use crate::commands::wait_for::target::Target;
use crate::commands::wait_for::verdict::{Cause, Found};

pub(super) const PROTOCOL: Protocol = Protocol {
    schemes: &[scheme("mongodb", Some(27017), false)],
    shape: Shape::Net,
    keys: &["tls"],
    is_shared: true,
    is_query_theirs: false,
    user: User::Ignored,
    example: "mongodb://db?tls=true",
    about: "it is a primary, a secondary or a mongos",
    prepare,
};

/// The code of `OP_MSG`.
const OP_MSG: i32 = 2013;

/// A command that the server does not know.
const COMMAND_NOT_FOUND: i64 = 59;

struct MongoDb(Endpoint);

fn prepare(target: &Target, setup: &Setup<'_>) -> Result<Box<dyn Probe>, Failure> {
    let mut endpoint = setup.endpoint(target)?;
    if target.flag("tls")? {
        endpoint.tls = Some(setup.tls.config(Check::Full, &[])?);
    }
    Ok(Box::new(MongoDb(endpoint)))
}

#[async_trait(?Send)]
impl Probe for MongoDb {
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found {
        let exchange = attempt.converse(&self.0, "MongoDB", async |talk| {
            let hello = ask(talk, "hello").await?;
            if hello.code == Some(COMMAND_NOT_FOUND) {
                let old = ask(talk, "isMaster").await?;
                return judge(&old);
            }
            judge(&hello)
        });
        exchange.await
    }

    fn proves(&self) -> String {
        "it says that it is a primary, a secondary or a mongos".to_string()
    }
}

async fn ask(talk: &mut Talk<'_>, command: &str) -> Result<Hello, Cause> {
    talk.send(&message(command)).await?;
    let head = talk.take(16, "the answer to hello").await?;
    let number =
        |at: usize| i32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let length = usize::try_from(number(0)).unwrap_or(0);
    if number(12) != OP_MSG || !(26..=48 << 10).contains(&length) {
        return Err(talk.wrong());
    }
    let body = talk.take(length - 16, "the rest of the answer").await?;
    // Flags 4, then one section of kind 0: a document.
    body.get(5..)
        .filter(|_| body[4] == 0)
        .and_then(Hello::read)
        .ok_or_else(|| talk.wrong())
}

/// A command without arguments for the database `admin`.
fn message(command: &str) -> Vec<u8> {
    let mut document = Vec::new();
    document.push(0x10);
    document.extend_from_slice(command.as_bytes());
    document.extend_from_slice(&[0, 1, 0, 0, 0, 0x02]);
    document.extend_from_slice(b"$db\0\x06\0\0\0admin\0\0");
    let size = i32::try_from(document.len() + 4).unwrap_or(0);
    let mut message = (size + 16 + 5).to_le_bytes().to_vec();
    for number in [1, 0, OP_MSG, 0] {
        message.extend_from_slice(&number.to_le_bytes());
    }
    message.push(0);
    message.extend_from_slice(&size.to_le_bytes());
    message.extend_from_slice(&document);
    message
}

/// What the answer says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Hello {
    is_ok: bool,
    is_primary: bool,
    is_secondary: bool,
    is_replica_set: bool,
    has_set_name: bool,
    code: Option<i64>,
    words: String,
}

impl Hello {
    /// Reads a BSON document, as far as it matters.
    fn read(document: &[u8]) -> Option<Self> {
        let mut hello = Self::default();
        let size = usize::try_from(i32::from_le_bytes(document.get(..4)?.try_into().ok()?)).ok()?;
        let mut rest = document.get(4..size)?;
        loop {
            let (kind, after) = rest.split_first()?;
            if *kind == 0 {
                return Some(hello);
            }
            let end = after.iter().position(|byte| *byte == 0)?;
            let (name, after) = (after.get(..end)?, after.get(end + 1..)?);
            let length = length(*kind, after)?;
            let value = after.get(..length)?;
            rest = after.get(length..)?;
            hello.note(*kind, name, value);
        }
    }

    fn note(&mut self, kind: u8, name: &[u8], value: &[u8]) {
        let number = number(kind, value);
        let is_true = number.is_some_and(|number| number != 0);
        match name {
            b"ok" => self.is_ok = number == Some(1),
            b"isWritablePrimary" | b"ismaster" => self.is_primary |= is_true,
            b"secondary" => self.is_secondary = is_true,
            b"isreplicaset" => self.is_replica_set = is_true,
            b"setName" => self.has_set_name = true,
            b"code" => self.code = number,
            b"errmsg" => {
                let text = value.get(4..).unwrap_or_default();
                let text = String::from_utf8_lossy(text.strip_suffix(b"\0").unwrap_or(text));
                self.words = cut(&one_line(&text), 200);
            }
            _ => {}
        }
    }
}

/// How many bytes a value has.
fn length(kind: u8, value: &[u8]) -> Option<usize> {
    let counted = || -> Option<usize> {
        usize::try_from(i32::from_le_bytes(value.get(..4)?.try_into().ok()?)).ok()
    };
    match kind {
        0x01 | 0x09 | 0x11 | 0x12 => Some(8),
        0x02 | 0x0d | 0x0e => counted()?.checked_add(4),
        0x03 | 0x04 => counted(),
        0x05 => counted()?.checked_add(5),
        0x06 | 0x0a | 0x7f | 0xff => Some(0),
        0x07 => Some(12),
        0x08 => Some(1),
        0x10 => Some(4),
        0x13 => Some(16),
        _ => None,
    }
}

/// A boolean, an integer, or a double that is one.
fn number(kind: u8, value: &[u8]) -> Option<i64> {
    match kind {
        0x08 => value.first().map(|byte| i64::from(*byte)),
        0x10 => Some(i32::from_le_bytes(value.try_into().ok()?).into()),
        0x12 => Some(i64::from_le_bytes(value.try_into().ok()?)),
        0x01 => {
            let double: [u8; 8] = value.try_into().ok()?;
            [0_i32, 1, 59]
                .into_iter()
                .find(|it| f64::from(*it).to_le_bytes() == double)
                .map(i64::from)
        }
        _ => None,
    }
}

fn judge(hello: &Hello) -> Found {
    if !hello.is_ok {
        let code = hello
            .code
            .map_or_else(|| "an error".to_string(), |code| code.to_string());
        return Err(Cause::new(format!("the server says {code}: {}", hello.words)).into());
    }
    if hello.is_primary || hello.is_secondary {
        return Ok(());
    }
    if hello.is_replica_set && !hello.has_set_name {
        return Err(Cause::new("replica set not initiated")
            .hint("run rs.initiate() on one of its members")
            .into());
    }
    Err(Cause::new("it is neither primary nor secondary")
        .hint("it is starting, recovering or an arbiter; or the set has no primary yet")
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::wait_for::verdict::Unready;

    #[test]
    fn hello_is_the_message_of_the_protocol() {
        let wanted = [
            &b"\x34\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0"[..],
            b"\x1f\0\0\0\x10hello\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0",
        ];
        assert_eq!(message("hello"), wanted.concat());
        assert_eq!(message("hello").len(), 52);
    }

    fn flag(name: &str, value: u8) -> Vec<u8> {
        [&[0x08], name.as_bytes(), &[0, value]].concat()
    }

    fn document(parts: &[Vec<u8>]) -> Vec<u8> {
        let body = parts.concat();
        let size = i32::try_from(body.len() + 5).unwrap();
        [&size.to_le_bytes()[..], &body, &[0]].concat()
    }

    fn judged(parts: &[Vec<u8>]) -> Result<(), String> {
        let ok = [&[0x01][..], b"ok\0", &1_f64.to_le_bytes()].concat();
        let id = [&[0x07][..], b"id\0", &[7; 12]].concat();
        let mut all = vec![id, document(&[]).split_off(5)];
        all.extend_from_slice(parts);
        all.push(ok);
        let hello = Hello::read(&document(&all)).unwrap();
        judge(&hello).map_err(|unready| match unready {
            Unready::Yet(cause) => cause.text,
            Unready::Final(failure) => panic!("{failure}"),
        })
    }

    #[test]
    fn a_member_is_ready_when_it_serves() {
        assert!(judged(&[flag("isWritablePrimary", 1)]).is_ok());
        assert!(judged(&[flag("ismaster", 1)]).is_ok());
        assert!(judged(&[flag("ismaster", 0), flag("secondary", 1)]).is_ok());
        assert_eq!(
            judged(&[flag("isreplicaset", 1)]).unwrap_err(),
            "replica set not initiated"
        );
        assert_eq!(
            judged(&[flag("ismaster", 0)]).unwrap_err(),
            "it is neither primary nor secondary"
        );
    }

    #[test]
    fn what_is_no_document_is_refused() {
        let whole = document(&[flag("ismaster", 1)]);
        for end in 0..whole.len() {
            assert_eq!(Hello::read(&whole[..end]), None, "{end}");
        }
    }
}
