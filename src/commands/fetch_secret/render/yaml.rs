//! YAML that every reader takes alike: one line a key, both sides written as JSON.

use super::{Bytes, Format};
use crate::base::failure::{Failure, Kind};
use crate::commands::fetch_secret::answer::Fetched;
use crate::commands::fetch_secret::json::Json;

/// A longer key needs a form that few readers know; characters, from YAML 1.2, section 7.4.2.
const MAX_KEY: usize = 1024;

pub(super) const FORMAT: Format = Format {
    name: "yaml",
    extension: Some(".yaml"),
    about: "one line a key, values as JSON",
    write,
};

fn write(fetched: &Fetched) -> Result<Bytes, Failure> {
    let mut bytes = Bytes::new(Vec::new());
    for (key, value) in fetched.entries()? {
        let mut quoted = zeroize::Zeroizing::new(String::new());
        crate::commands::fetch_secret::json::push_quoted(&mut quoted, key);
        if quoted.len() > MAX_KEY {
            return Err(Failure::new(
                Kind::Corrupt,
                format!("a key of {} is too long for YAML", fetched.from),
            )
            .hint("use another format, or FILE=PATH#KEY"));
        }
        push(&mut bytes, &quoted);
        bytes.extend_from_slice(b": ");
        push(&mut bytes, &Json::write(value));
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// Escapes what JSON lets stand but YAML does not, or not everywhere. Such characters occur within
/// quotes only.
fn push(bytes: &mut Bytes, json: &str) {
    for character in json.chars() {
        match character {
            '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                bytes.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
            }
            _ => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::written;
    use super::*;

    #[test]
    fn a_line_for_each_key() {
        assert_eq!(
            written(&FORMAT, r#"{"n":8080,"s":"a\n'é\u0085","o":{"x":[1]}}"#).unwrap(),
            "\"n\": 8080\n\"s\": \"a\\n'é\\u0085\"\n\"o\": {\"x\":[1]}\n"
        );
    }

    #[test]
    fn a_reader_gets_the_same_back() {
        let data =
            r#"{"yes":"no","a: b":"\u007f\u2028\ufeff\ufffe #'\"\\","0x1":null,"🐶":"🐶","d":1.5}"#;
        let text = written(&FORMAT, data).unwrap();
        let read: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let sent: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(read, sent);
    }
}
