//! gzip: members one after the other, each with its checksum and length.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

use super::input::another;

/// What the members hold.
pub(super) struct Decoder<R> {
    /// `None` after the end, and after an error.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Decoder<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            member: Some(GzDecoder::new(input)),
        }
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        while let Some(member) = &mut self.member {
            let count = member.read(into)?;
            if count > 0 {
                return Ok(count);
            }
            // The checksum was right, or reading would have failed.
            let input = self.member.take().map(GzDecoder::into_inner);
            if let Some(mut input) = input
                && another(&mut input)?
            {
                self.member = Some(GzDecoder::new(input));
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::gz;
    use super::*;

    fn decoded(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Decoder::new(bytes).read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn members_follow_each_other_and_zero_bytes_end_them() {
        let mut two = [gz(b"one "), gz(b""), gz(b"two")].concat();
        assert_eq!(decoded(&two).unwrap(), b"one two");
        two.extend_from_slice(&[0; 700]);
        assert_eq!(decoded(&two).unwrap(), b"one two");
    }

    #[test]
    fn every_cut_is_noticed_except_between_members() {
        let one = gz(b"some content of a file");
        let two = [one.clone(), gz(b"more")].concat();
        for end in (0..two.len()).filter(|end| *end != one.len()) {
            let error = decoded(&two[..end]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{end}");
        }
    }

    #[test]
    fn a_flipped_byte_and_rubbish_at_the_end_are_noticed() {
        let good = gz(b"some content of a file");
        let last = good.len() - 1;
        for at in [last, last - 4, 15] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            decoded(&bad).unwrap_err();
        }
        decoded(&[good.as_slice(), b"x"].concat()).unwrap_err();
        decoded(&[good.as_slice(), b"\0\0x"].concat()).unwrap_err();
    }
}
