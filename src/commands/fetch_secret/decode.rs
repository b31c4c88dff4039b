//! `decode`: base64 or hex in a value becomes bytes. Pure.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Decode {
    /// The standard alphabet, with padding.
    Base64,
    /// Two digits a byte.
    Hex,
}

impl FromStr for Decode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "base64" => Ok(Self::Base64),
            "hex" => Ok(Self::Hex),
            _ => Err(()),
        }
    }
}

impl Decode {
    /// The name in arguments and messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Base64 => "base64",
            Self::Hex => "hex",
        }
    }

    /// The bytes that `text` stands for; white space of ASCII is skipped.
    pub(super) fn read(self, text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let solid: Zeroizing<Vec<u8>> = Zeroizing::new(
            text.iter()
                .copied()
                .filter(|byte| !byte.is_ascii_whitespace() && *byte != b'\x0b')
                .collect(),
        );
        match self {
            Self::Base64 => STANDARD.decode(solid.as_slice()).ok().map(Zeroizing::new),
            Self::Hex => {
                let (pairs, rest) = solid.as_chunks::<2>();
                let bytes: Option<Vec<u8>> = pairs
                    .iter()
                    .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
                    .collect();
                bytes.filter(|_| rest.is_empty()).map(Zeroizing::new)
            }
        }
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_or_refused() {
        for (way, text, bytes) in [
            (Decode::Base64, "c2VjcmV0IHYx", Some("secret v1".as_bytes())),
            (Decode::Base64, "c2Vj\r\n cmV0IHYx\n", Some(b"secret v1")),
            (Decode::Base64, "YQ==", Some(b"a")),
            (Decode::Base64, "YQ", None),
            (Decode::Base64, "!!!", None),
            (Decode::Base64, "-_==", None),
            (Decode::Base64, "", Some(b"")),
            (Decode::Hex, "00fF", Some(b"\x00\xff")),
            (Decode::Hex, "0 0\n", Some(b"\x00")),
            (Decode::Hex, "000", None),
            (Decode::Hex, "+0", None),
            (Decode::Hex, "zz", None),
        ] {
            let read = way.read(text.as_bytes());
            assert_eq!(read.as_ref().map(|read| read.as_slice()), bytes, "{text}");
        }
    }
}
