//! A conversation with a server: bytes out, bounded bytes in, and a polite end.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::connect::{Wire, io_words};
use super::escape::excerpt;
use super::stage::Stage;
use super::verdict::Cause;

/// So much of an answer is read at most; bytes.
const MAX_ANSWER: usize = 64 << 10;

/// The last word of an encrypted connection must not hold anybody up.
const FAREWELL: Duration = Duration::from_millis(50);

/// One connection, and what has come over it.
pub(super) struct Talk<'a> {
    wire: Box<dyn Wire>,
    pub(super) peer: String,
    /// In the words of the field, for messages.
    protocol: &'static str,
    stage: &'a Stage,
    /// Everything that has come, and how much of it has been taken.
    come: Vec<u8>,
    taken: usize,
    is_closed: bool,
}

impl<'a> Talk<'a> {
    pub(super) fn new(
        wire: Box<dyn Wire>,
        peer: String,
        protocol: &'static str,
        stage: &'a Stage,
    ) -> Self {
        Self {
            wire,
            peer,
            protocol,
            stage,
            come: Vec::new(),
            taken: 0,
            is_closed: false,
        }
    }

    /// Sends all of `bytes`.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        self.stage
            .asking(&self.peer, format!("room for a {} request", self.protocol));
        let sending = async {
            self.wire.write_all(bytes).await?;
            self.wire.flush().await
        };
        let sent = sending.await;
        // A server that hangs up may have said why.
        sent.or_else(|error| match error.kind() {
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => Ok(()),
            _ => Err(self.broken(&error)),
        })
    }

    /// Takes exactly `count` bytes.
    pub(super) async fn take(&mut self, count: usize, awaited: &str) -> Result<Vec<u8>, Cause> {
        while self.rest().len() < count {
            self.read(awaited).await?;
        }
        let taken = self.rest()[..count].to_vec();
        self.taken += count;
        Ok(taken)
    }

    /// Takes a line, without its end.
    pub(super) async fn line(&mut self, awaited: &str) -> Result<Vec<u8>, Cause> {
        loop {
            if let Some(end) = self.rest().iter().position(|byte| *byte == b'\n') {
                let line = self.rest()[..end].to_vec();
                self.taken += end + 1;
                return Ok(line
                    .strip_suffix(b"\r")
                    .map_or(line.clone(), <[u8]>::to_vec));
            }
            self.read(awaited).await?;
        }
    }

    /// Reads until `is_enough` of all that has come.
    pub(super) async fn until(
        &mut self,
        awaited: &str,
        is_enough: impl Fn(&[u8]) -> bool,
    ) -> Result<(), Cause> {
        while !is_enough(&self.come) {
            let awaited = match self.come.len() {
                0 => awaited.to_string(),
                _ => format!("{awaited} (only {})", excerpt(&self.come)),
            };
            self.read(&awaited).await?;
        }
        Ok(())
    }

    /// Whether the server has hung up.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// What has come and has not been taken.
    pub(super) fn rest(&self) -> &[u8] {
        &self.come[self.taken..]
    }

    /// All that has come so far does not look like the protocol.
    pub(super) fn wrong(&self) -> Cause {
        Cause::new(format!(
            "not {}: {} from {}",
            self.protocol,
            excerpt(&self.come),
            self.peer
        ))
        .hint("TLS on one side only? another service on this port?")
    }

    /// Gives the connection away, to be encrypted; whatever came with the last answer is refused.
    pub(super) fn into_wire(self) -> Result<Box<dyn Wire>, Cause> {
        if self.rest().is_empty() {
            Ok(self.wire)
        } else {
            Err(self.wrong())
        }
    }

    async fn read(&mut self, awaited: &str) -> Result<(), Cause> {
        if self.come.len() >= MAX_ANSWER {
            return Err(Cause::new(format!(
                "no {awaited} in the first {} KiB of the answer from {}",
                MAX_ANSWER >> 10,
                self.peer
            )));
        }
        self.stage.asking(&self.peer, awaited);
        self.come.reserve(4096);
        match self.wire.read_buf(&mut self.come).await {
            Ok(0) => Err(self.closed("closed")),
            Ok(_) => Ok(()),
            Err(error) => Err(self.broken(&error)),
        }
    }

    fn broken(&mut self, error: &std::io::Error) -> Cause {
        match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => self.closed("reset"),
            ErrorKind::UnexpectedEof => self.closed("closed"),
            _ => self.closed(&format!("broken ({})", io_words(error))),
        }
    }

    fn closed(&mut self, how: &str) -> Cause {
        self.is_closed = true;
        let peer = &self.peer;
        if self.rest().is_empty() {
            return Cause::new(format!(
                "connected to {peer}, then {how} before a {} answer",
                self.protocol
            ))
            .hint(
                "a mesh proxy accepts for a dead upstream, or the server is starting or stopping",
            );
        }
        Cause::new(format!(
            "connected to {peer}, then {how} within a {} answer: {}",
            self.protocol,
            excerpt(self.rest())
        ))
        .hint("TLS on one side only? another service on this port?")
    }

    /// Closes the connection without a reset: what the server has sent already is read first.
    pub(super) async fn leave(mut self) {
        drain(self.wire.as_mut(), self.come.len()).await;
    }
}

/// Reads what is there already, and closes.
pub(super) async fn drain(wire: &mut dyn Wire, come: usize) {
    let mut pit = [0; 4096];
    let mut total = come;
    while total < MAX_ANSWER {
        match timeout(Duration::ZERO, wire.read(&mut pit)).await {
            Ok(Ok(count)) if count > 0 => total += count,
            Ok(_) | Err(_) => break,
        }
    }
    let _ = timeout(FAREWELL, wire.shutdown()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk<'a>(stage: &'a Stage, answer: &[u8]) -> Talk<'a> {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let answer = answer.to_vec();
        tokio::spawn(async move {
            far.write_all(&answer).await.unwrap();
        });
        Talk::new(Box::new(near), "h:1".into(), "Redis", stage)
    }

    #[tokio::test]
    async fn lines_and_counts_come_in_order_and_an_early_end_is_told() {
        let stage = Stage::default();
        let mut talk = talk(&stage, b"+OK\r\nabcd");
        assert_eq!(talk.line("a line").await.unwrap(), b"+OK");
        assert_eq!(talk.take(3, "bytes").await.unwrap(), b"abc");
        let cause = talk.take(2, "bytes").await.unwrap_err();
        assert_eq!(
            cause.text,
            "connected to h:1, then closed within a Redis answer: \"d\""
        );
    }

    #[tokio::test]
    async fn silence_and_floods_are_told_apart() {
        let stage = Stage::default();
        let mut silent = talk(&stage, b"");
        let cause = silent.line("PONG").await.unwrap_err();
        assert_eq!(
            cause.text,
            "connected to h:1, then closed before a Redis answer"
        );
        let mut flood = talk(&stage, &vec![b'x'; 100_000]);
        let cause = flood.line("PONG").await.unwrap_err();
        assert_eq!(
            cause.text,
            "no PONG in the first 64 KiB of the answer from h:1"
        );
        assert!(flood.wrong().text.starts_with("not Redis: \"xxxx"));
    }
}
