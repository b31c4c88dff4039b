//! Java's properties, as `Properties.load` reads them.

use super::{Bytes, Format};
use crate::base::failure::{Failure, Kind};
use crate::commands::fetch_secret::answer::{Fetched, null};

pub(super) const FORMAT: Format = Format {
    name: "properties",
    extension: Some(".properties"),
    about: "key=value lines for Java",
    write,
};

fn write(fetched: &Fetched) -> Result<Bytes, Failure> {
    let mut bytes = Bytes::new(Vec::new());
    for (key, value) in fetched.entries()? {
        push(&mut bytes, key, |character, _| {
            " =:#!\\".contains(character)
        });
        bytes.push(b'=');
        let value = value.bytes().ok_or_else(|| null(key, &fetched.from))?;
        let text = std::str::from_utf8(&value)
            .map_err(|_| Failure::new(Kind::Bug, "a JSON value is not UTF-8"))?;
        push(&mut bytes, text, |character, is_leading| {
            character == '\\' || (character == ' ' && is_leading)
        });
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// Writes `text`; `is_special` says of a character, and whether only spaces stand before it, that it
/// needs a backslash.
fn push(bytes: &mut Bytes, text: &str, is_special: impl Fn(char, bool) -> bool) {
    let mut is_leading = true;
    for character in text.chars() {
        match character {
            '\n' => bytes.extend_from_slice(b"\\n"),
            '\r' => bytes.extend_from_slice(b"\\r"),
            '\t' => bytes.extend_from_slice(b"\\t"),
            '\u{c}' => bytes.extend_from_slice(b"\\f"),
            ' '..='~' => {
                if is_special(character, is_leading) {
                    bytes.push(b'\\');
                }
                bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    bytes.extend_from_slice(format!("\\u{unit:04X}").as_bytes());
                }
            }
        }
        is_leading &= character == ' ';
    }
}

#[cfg(test)]
mod tests {
    use super::super::written;
    use super::*;

    #[test]
    fn keys_and_values_are_escaped_each_in_its_way() {
        assert_eq!(
            written(&FORMAT, r#"{"k ey":"é\n:x"," ":" y"}"#).unwrap(),
            "k\\ ey=\\u00E9\\n:x\n\\ =\\ y\n"
        );
        assert_eq!(
            written(&FORMAT, r##"{"#a!=:\\":"  x  =\\🐶\u007f\t","":1}"##).unwrap(),
            "\\#a\\!\\=\\:\\\\=\\ \\ x  =\\\\\\uD83D\\uDC36\\u007F\\t\n=1\n"
        );
        assert_eq!(
            written(&FORMAT, r#"{"a":null}"#).unwrap_err().kind(),
            Kind::Missing
        );
    }
}
