//! Percent escapes, decoded by hand: a plus sign stays a plus sign.

/// Whether each percent sign begins an escape.
pub(super) fn check_escapes(text: &str) -> bool {
    let is_hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let bytes = text.as_bytes();
    (0..bytes.len())
        .filter(|at| bytes[*at] == b'%')
        .all(|at| is_hex(bytes.get(at + 1)) && is_hex(bytes.get(at + 2)))
}

/// The bytes that a text with escapes stands for.
pub(super) fn decode(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(text).collect()
}

/// The text that a text with escapes stands for, if it is one.
pub(super) fn decode_text(text: &str) -> Option<String> {
    String::from_utf8(decode(text)).ok()
}

/// The first bytes of an answer, fit for a message.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    /// So much tells one protocol from another; bytes.
    const LENGTH: usize = 32;
    let head = &bytes[..bytes.len().min(LENGTH)];
    let more = if bytes.len() > LENGTH { "…" } else { "" };
    format!("\"{}{more}\"", head.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_checked_and_decoded_and_a_plus_is_a_plus() {
        assert!(check_escapes("a%20b") && check_escapes("") && check_escapes("a+b"));
        for wrong in ["%", "%2", "%zz", "a%2", "%%41"] {
            assert!(!check_escapes(wrong), "{wrong}");
        }
        assert_eq!(decode("a%2Bb+c%00"), b"a+b+c\0");
        assert_eq!(decode_text("%ff"), None);
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt(b"HTTP/1.1\r\n"), "\"HTTP/1.1\\r\\n\"");
        assert_eq!(excerpt(&[0xff; 40]).matches("\\xff").count(), 32);
        assert!(excerpt(&[b'a'; 33]).ends_with("…\""));
    }
}
