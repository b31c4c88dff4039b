//! SHA-256: the digest as it is written, and that of a stream. Pure apart from the reader.

use std::fmt;
use std::io::Read;
use std::str::FromStr;

use super::location::hex;

/// A SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sha256(pub(super) [u8; 32]);

impl FromStr for Sha256 {
    type Err = ();

    /// 64 digits of any case; `sha256:` may stand in front.
    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.trim();
        let digits = match text.split_at_checked(7) {
            Some((name, digits)) if name.eq_ignore_ascii_case("sha256:") => digits,
            Some(_) | None => text,
        };
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if digits.len() != 64 || !is_hex {
            return Err(());
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).map_err(|_| ())?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex(&self.0))
    }
}

/// What was read of a file, for comparing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sums {
    /// Bytes read.
    pub(super) length: u64,
    /// CRC-64/NVME.
    pub(super) crc64: u64,
    /// Only if it was asked for.
    pub(super) sha256: Option<Sha256>,
}

/// How much is read at a time; bytes.
const STEP: usize = 256 << 10;

/// Reads to the end, as long as `goes_on` says so.
///
/// # Errors
/// What the reader says; `Interrupted` when it had to stop.
pub(super) fn sum(
    mut reader: impl Read,
    with_sha256: bool,
    goes_on: &dyn Fn() -> bool,
) -> std::io::Result<Sums> {
    let mut buffer = vec![0; STEP];
    let mut crc64 = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
    let mut sha256 = with_sha256.then(|| ring::digest::Context::new(&ring::digest::SHA256));
    let mut length = 0;
    loop {
        if !goes_on() {
            // Not of the kind `Interrupted`, which readers take for a reason to go on.
            return Err(std::io::Error::other("the run had to end"));
        }
        let count = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        crc64.update(&buffer[..count]);
        if let Some(context) = &mut sha256 {
            context.update(&buffer[..count]);
        }
        length += count as u64;
    }
    Ok(Sums {
        length,
        crc64: crc64.finalize(),
        sha256: sha256.map(|context| {
            let mut bytes = [0; 32];
            bytes.copy_from_slice(context.finish().as_ref());
            Sha256(bytes)
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

    #[test]
    fn a_digest_is_read_in_any_case() {
        let wanted: Sha256 = HELLO.parse().unwrap();
        for text in [
            HELLO.to_uppercase(),
            format!("sha256:{HELLO}"),
            format!("SHA256:{HELLO}"),
        ] {
            assert_eq!(text.parse(), Ok(wanted), "{text}");
        }
        assert_eq!(wanted.to_string(), HELLO);
        for wrong in [
            "",
            "abc",
            &HELLO[1..],
            &format!("{HELLO}0"),
            &format!("x{}", &HELLO[1..]),
        ] {
            assert!(wrong.parse::<Sha256>().is_err(), "{wrong}");
        }
        assert!("sha512:é".parse::<Sha256>().is_err());
    }

    #[test]
    fn a_stream_is_summed_whole_or_not_at_all() {
        let sums = sum(&b"hello\n"[..], true, &|| true).unwrap();
        assert_eq!(sums.length, 6);
        assert_eq!(sums.sha256.unwrap().to_string(), HELLO);
        assert!(sum(&b"hello\n"[..], true, &|| false).is_err());
        // The check value of CRC-64/NVME.
        let check = sum(&b"123456789"[..], false, &|| true).unwrap();
        assert_eq!(check.crc64, 0xae8b_1486_0a79_9888);
        assert_eq!(check.sha256, None);
    }
}
