//! zstd: frames one after the other, also skippable ones, with a window of 128 MiB at most.

use std::io::{self, BufRead, Read};

use zstd::stream::raw::{self, DParameter, InBuffer, Operation as _, OutBuffer};

use super::input::another;
use crate::base::failure::{Failure, Kind};

/// The largest window, as a power of two: what zstd takes without `--long=28` or more.
const MAX_WINDOW_LOG: u32 = 27;

/// What zstd says of a larger window.
const TOO_LARGE: &str = "Frame requires too much memory for decoding";

/// What the frames hold.
pub(super) struct Decoder<R> {
    input: R,
    decoder: raw::Decoder<'static>,
    position: Position,
}

/// Where in the stream it is.
#[derive(PartialEq)]
enum Position {
    /// At the very beginning: there must be a frame.
    Start,
    /// In a frame.
    Inside,
    /// After a frame.
    Between,
    /// After the last one.
    End,
}

impl<R: BufRead> Decoder<R> {
    /// # Errors
    /// `Local` if there is no memory for it.
    pub(super) fn new(input: R) -> Result<Self, Failure> {
        let explain = |error| Failure::caused_by(Kind::Local, error).context("start zstd");
        let mut decoder = raw::Decoder::new().map_err(explain)?;
        decoder
            .set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG))
            .map_err(explain)?;
        Ok(Self {
            input,
            decoder,
            position: Position::Start,
        })
    }
}

impl<R> Decoder<R> {
    /// What the frames come from.
    pub(super) fn input_mut(&mut self) -> &mut R {
        &mut self.input
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut out = OutBuffer::around(into);
        while out.pos() == 0 && out.capacity() > 0 {
            match self.position {
                Position::End => break,
                Position::Between if !another(&mut self.input)? => {
                    self.position = Position::End;
                    break;
                }
                Position::Start | Position::Between | Position::Inside => {}
            }
            let available = self.input.fill_buf()?;
            let is_end = available.is_empty();
            let mut input = InBuffer::around(available);
            let hint = self.decoder.run(&mut input, &mut out).map_err(explained)?;
            let consumed = input.pos();
            self.input.consume(consumed);
            self.position = if hint == 0 && !(is_end && self.position == Position::Start) {
                Position::Between
            } else if is_end && out.pos() == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            } else {
                Position::Inside
            };
        }
        Ok(out.pos())
    }
}

fn explained(error: io::Error) -> io::Error {
    if error.to_string() != TOO_LARGE {
        return io::Error::new(io::ErrorKind::InvalidData, error);
    }
    super::carry(
        Failure::new(Kind::Corrupt, "its zstd window is above 128 MiB")
            .hint("repack it without `--long`, or with `--long=27`"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::input::damaged;
    use super::super::samples::zst;
    use super::*;

    fn decoded(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut out = Vec::new();
        Decoder::new(bytes)?
            .read_to_end(&mut out)
            .map_err(damaged)?;
        Ok(out)
    }

    #[test]
    fn frames_follow_each_other_and_zero_bytes_end_them() {
        let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec();
        let mut all = [
            skippable.clone(),
            zst(b"one "),
            skippable,
            zst(b""),
            zst(b"two"),
        ]
        .concat();
        assert_eq!(decoded(&all).unwrap(), b"one two");
        all.extend_from_slice(&[0; 700]);
        assert_eq!(decoded(&all).unwrap(), b"one two");
    }

    #[test]
    fn every_cut_is_noticed_except_between_frames() {
        let one = zst(b"some content of a file, some content");
        let two = [one.clone(), zst(b"more")].concat();
        for end in (0..two.len()).filter(|end| *end != one.len()) {
            let failure = decoded(&two[..end]).unwrap_err();
            assert_eq!(failure.to_string(), "the archive is cut short", "{end}");
        }
    }

    #[test]
    fn a_flipped_byte_and_rubbish_at_the_end_are_noticed() {
        let good = zst(&[7; 100]);
        let mut bad = good.clone();
        *bad.last_mut().unwrap() ^= 1;
        decoded(&bad).unwrap_err();
        decoded(&[good.as_slice(), b"x"].concat()).unwrap_err();
        decoded(&[good.as_slice(), b"\0\0x"].concat()).unwrap_err();
    }

    #[test]
    fn a_window_above_128_mib_is_refused_and_one_of_128_mib_is_not() {
        let frame = |window_log: u8| {
            // A frame header with a window descriptor and without length, one empty last block.
            let exponent = window_log - 10;
            [
                b"\x28\xb5\x2f\xfd\x00".as_slice(),
                &[exponent << 3],
                b"\x01\0\0",
            ]
            .concat()
        };
        assert_eq!(decoded(&frame(27)).unwrap(), b"");
        let failure = decoded(&frame(28)).unwrap_err();
        assert_eq!(failure.to_string(), "its zstd window is above 128 MiB");
        assert_eq!(failure.kind(), Kind::Corrupt);
        assert!(failure.mend().unwrap().contains("--long"));
    }
}
