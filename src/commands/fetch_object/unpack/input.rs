//! The archive's bytes in their order, with what was looked at ahead. A failure of the download goes
//! through the decoders inside an `io::Error` and comes out as what it was: it must not become the
//! archive's fault.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use super::format::{Format, LOOK_AHEAD};
use super::{Halt, format, of_entry};
use crate::base::failure::{Failure, Kind};

/// A failure on its way through an interface that knows `io::Error` only.
#[derive(Debug)]
struct Carried(Failure);

impl fmt::Display for Carried {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl std::error::Error for Carried {}

/// Puts a failure into an `io::Error`; unpacking then fails with exactly this failure.
pub(in super::super) fn carry(failure: Failure) -> io::Error {
    io::Error::other(Carried(failure))
}

/// The failure that an error carries, else what `judge` makes of it.
pub(super) fn uncarry(error: io::Error, judge: impl FnOnce(io::Error) -> Failure) -> Failure {
    match error.downcast::<Carried>() {
        Ok(Carried(failure)) => failure,
        Err(error) => judge(error),
    }
}

/// What a decoder's error says of the archive.
pub(super) fn damaged(error: io::Error) -> Failure {
    uncarry(error, |error| Failure::new(Kind::Corrupt, damage(&error)))
}

/// What a decoder's error says of one entry of the archive.
pub(super) fn damaged_in(name: &[u8], error: io::Error) -> Failure {
    uncarry(error, |error| of_entry(name, damage(&error)))
}

fn damage(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the archive is cut short".to_string(),
        _ => format!("the archive is damaged: {error}"),
    }
}

/// Reads until `block` is full or the end is reached, and returns how much there is.
pub(super) fn fill(from: &mut dyn Read, block: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match from.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The bytes of an archive.
pub(in super::super) struct Input<'a> {
    inner: &'a mut dyn Read,
    halt: Halt,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    read: Rc<Cell<u64>>,
}

impl<'a> Input<'a> {
    /// Takes what `inner` brings. Its error should come from `carry`; any other is `Unavailable`.
    pub(in super::super) fn new(inner: &'a mut dyn Read, halt: Halt) -> Self {
        Self {
            inner,
            halt,
            buffer: vec![0; LOOK_AHEAD],
            start: 0,
            end: 0,
            read: Rc::default(),
        }
    }

    /// What the bytes are, by their beginning; nothing is lost by looking.
    ///
    /// # Errors
    /// `Corrupt` if they are nothing that can be unpacked; what the input fails with.
    pub(in super::super) fn recognise(&mut self) -> Result<Format, Failure> {
        self.look()?;
        format::recognise(&self.buffer[self.start..self.end])
    }

    /// Refuses bytes that do not begin as `format` does.
    pub(super) fn expect(&mut self, format: Format) -> Result<(), Failure> {
        self.look()?;
        format.expect(&self.buffer[self.start..self.end])
    }

    /// The count of what was read from the download.
    pub(super) fn archive(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.read)
    }

    fn look(&mut self) -> Result<(), Failure> {
        while self.start == 0 && self.end < self.buffer.len() {
            if self.more().map_err(damaged)? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Reads behind what is in the buffer.
    fn more(&mut self) -> io::Result<usize> {
        let room = &mut self.buffer[self.end..];
        let count = pull(self.inner, &self.halt, &self.read, room)?;
        self.end += count;
        Ok(count)
    }
}

/// One read of the download.
fn pull(from: &mut dyn Read, halt: &Halt, read: &Cell<u64>, into: &mut [u8]) -> io::Result<usize> {
    halt().map_err(carry)?;
    loop {
        match from.read(into) {
            Ok(count) => {
                read.set(read.get() + count as u64);
                return Ok(count);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(carry(uncarry(error, unread))),
        }
    }
}

fn unread(error: io::Error) -> Failure {
    Failure::caused_by(Kind::Unavailable, error).context("read the archive")
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            self.more()?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }
}

impl Read for Input<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end && into.len() >= self.buffer.len() {
            return pull(self.inner, &self.halt, &self.read, into);
        }
        let available = self.fill_buf()?;
        let count = available.len().min(into.len());
        into[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

/// After a member or frame: whether another one follows. Zero bytes may, up to the end, and nothing else.
pub(super) fn another(input: &mut impl BufRead) -> io::Result<bool> {
    if input.fill_buf()?.first() != Some(&0) {
        return Ok(!input.fill_buf()?.is_empty());
    }
    loop {
        let rest = input.fill_buf()?;
        if rest.is_empty() {
            return Ok(false);
        }
        if rest.iter().any(|byte| *byte != 0) {
            let reason = "after its end there is more than zero bytes";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        let count = rest.len();
        input.consume(count);
    }
}
