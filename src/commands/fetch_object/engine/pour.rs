//! A body on its way into buffers: small pieces are collected, silence is noticed, bandwidth is paid for.
//! Time in which our own writer holds it up is not the server's silence.

use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::super::source::Body;
use super::fetch::Fetch;
use super::pool::Buffer;
use super::sink::Sink;
use super::verdict::check_cap;
use crate::base::failure::Failure;

/// How a body ended.
#[derive(Debug)]
pub enum Poured {
    /// With its own end.
    End,
    /// With bytes beyond the limit.
    Over,
    /// Before its end, in a way that may heal.
    Cut(Failure),
}

/// Bytes in order from some offset on, over any number of bodies.
#[derive(Debug)]
pub struct Pour<'a> {
    sink: &'a Sink,
    /// Where the next byte goes.
    pub at: u64,
    buffer: Option<Buffer>,
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Sink")
    }
}

impl<'a> Pour<'a> {
    pub fn new(sink: &'a Sink, at: u64) -> Self {
        Self {
            sink,
            at,
            buffer: None,
        }
    }

    /// Takes a body in, up to `limit`. The last buffer is kept until `flush`, or until more comes.
    ///
    /// # Errors
    /// Those of the body that cannot heal; `Corrupt` above the cap on the object.
    pub async fn run(
        &mut self,
        fetch: &Fetch<'_>,
        mut body: Body,
        limit: Option<u64>,
    ) -> Result<Poured, Failure> {
        let stall = fetch.shared.tuning.stall_timeout;
        loop {
            let mut piece = match timeout(stall, body.next()).await {
                Err(_) => return Ok(Poured::Cut(fetch.stalled())),
                Ok(None) => return Ok(Poured::End),
                Ok(Some(Err(failure))) if failure.kind().is_retried() => {
                    return Ok(Poured::Cut(failure));
                }
                Ok(Some(piece)) => piece?,
            };
            let length = piece.len() as u64;
            fetch.came(length);
            let end = self.at.saturating_add(length);
            if limit.is_some_and(|limit| end > limit) {
                fetch.wasted(length);
                return Ok(Poured::Over);
            }
            check_cap(fetch.job.max_size, end)?;
            while !piece.is_empty() {
                let taken = self.take(fetch, &piece).await;
                bytes::Buf::advance(&mut piece, taken);
            }
            fetch
                .patience
                .hold(
                    fetch
                        .shared
                        .throttle
                        .pay(usize::try_from(length).unwrap_or(usize::MAX)),
                )
                .await;
        }
    }

    /// Puts some of `piece` into the buffer; a full one makes room first.
    async fn take(&mut self, fetch: &Fetch<'_>, piece: &[u8]) -> usize {
        let size = self.sink.buffer_size(&fetch.shared.pool);
        let buffer = match &mut self.buffer {
            Some(buffer) => buffer,
            none => none.insert(self.sink.buffer(&fetch.shared.pool).await),
        };
        // Buffers end at multiples of their size, so that none lies in two blocks.
        let start = self.at - buffer.bytes().len() as u64;
        let limit = size - usize::try_from(start % size as u64).unwrap_or(0);
        let taken = buffer.append(piece, limit);
        self.at += taken as u64;
        if taken == 0 {
            self.flush();
        }
        taken
    }

    /// Hands over what is in the buffer.
    pub fn flush(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            let start = self.at - buffer.bytes().len() as u64;
            self.sink.put(start, buffer);
        }
    }

    /// Before waiting for another attempt: a file's buffer goes to those who have a connection, a stream's
    /// has its place in the window.
    pub fn pause(&mut self) {
        if matches!(self.sink, Sink::File(_)) {
            self.flush();
        }
    }
}
