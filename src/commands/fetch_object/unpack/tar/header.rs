//! The fields of a tar's header. Pure.

use nix::sys::time::TimeSpec;
use tar::Header;

use crate::commands::fetch_object::unpack::staging::Nature;

/// Length of a header, and what content is padded to.
pub(in super::super) const HEADER: usize = 512;

/// The first length that a header cannot say in octal digits.
const OCTAL_END: u64 = 8 << 30;

/// Whether this is a header with the right checksum.
pub(in super::super) fn is_header(bytes: &[u8; HEADER]) -> bool {
    let header = Header::from_byte_slice(bytes);
    let stored = number(&header.as_old().cksum);
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    // The checksum itself counts as eight spaces.
    stored == Some(sum(&bytes[..148]) + 8 * u64::from(b' ') + sum(&bytes[156..]))
}

/// What a member is, by its type.
pub(super) fn nature(kind: u8, name: &[u8], target: Vec<u8>) -> Result<Nature, &'static str> {
    Ok(match kind {
        // Before there was a type for directories, a final `/` made one.
        b'0' | 0 if name.ends_with(b"/") => Nature::Folder,
        b'0' | 0 | b'7' => Nature::File,
        b'1' => Nature::HardLink(target),
        b'2' => Nature::Link(target),
        b'5' => Nature::Folder,
        b'3' => return Err("is a character device"),
        b'4' => return Err("is a block device"),
        b'6' => return Err("is a named pipe"),
        b'S' => return Err("is a sparse file, which is not supported: repack it without --sparse"),
        _ => return Err("is of a type that is not supported"),
    })
}

/// The length of a member's content. pax is needed where octal digits do not suffice, and elsewhere must
/// say the same as the header, if that says anything.
pub(super) fn agreed_size(
    header: &Header,
    own: u64,
    pax: Option<u64>,
) -> Result<u64, &'static str> {
    let is_binary = header.as_old().size[0] & 0x80 != 0;
    match pax {
        Some(pax) if pax != own && own != 0 && (pax < OCTAL_END || is_binary) => {
            Err("its extended header contradicts its length")
        }
        Some(pax) => Ok(pax),
        None => Ok(own),
    }
}

/// A length, which has to leave room for its padding.
pub(super) fn length(field: &[u8; 12]) -> Option<u64> {
    number(field).filter(|size| *size <= u64::MAX / 2)
}

/// A time, which may be before 1970 in binary.
pub(super) fn mtime(field: &[u8; 12]) -> Option<TimeSpec> {
    let seconds = if field[0] == 0xff {
        let [_, _, _, _, low @ ..] = *field;
        Some(i64::from_be_bytes(low)).filter(|seconds| *seconds < 0)
    } else {
        i64::try_from(number(field)?).ok()
    };
    seconds.map(|seconds| TimeSpec::new(seconds, 0))
}

/// A number that is not negative: octal digits among spaces, up to a NUL, or binary after a set first bit.
/// An empty field is zero.
pub(super) fn number(field: &[u8]) -> Option<u64> {
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        // The second bit is the sign.
        let first = Some(first & 0x7f).filter(|bits| bits & 0x40 == 0)?;
        return rest.iter().try_fold(u64::from(first), |sum, byte| {
            sum.checked_mul(256)?.checked_add(u64::from(*byte))
        });
    }
    let end = field.iter().position(|byte| *byte == 0);
    let digits = field[..end.unwrap_or(field.len())].trim_ascii();
    digits.iter().try_fold(0_u64, |sum, digit| match digit {
        b'0'..=b'7' => sum.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_binary() {
        for (field, value) in [
            (b"0000644\0".as_slice(), Some(0o644)),
            (b"   755 \0", Some(0o755)),
            (b"77777777777\0", Some((8 << 30) - 1)),
            (b"\0\0\0\0", Some(0)),
            (b"    ", Some(0)),
            (b"\x80\0\0\x02\0\0\0\0", Some(2 << 32)),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"12 34\0", None),
            (b"8\0", None),
            (b"-1\0", None),
            (b"0x10\0", None),
        ] {
            assert_eq!(number(field), value, "{field:?}");
        }
        assert_eq!(mtime(&[0xff; 12]), Some(TimeSpec::new(-1, 0)));
        assert_eq!(mtime(b"00000000000\0"), Some(TimeSpec::new(0, 0)));
        assert_eq!(length(b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    }
}
