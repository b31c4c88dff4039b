//! JSON that stays as the server sent it: the order of keys, the digits of numbers. Pure.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// Deeper values are nobody's secret.
const MAX_DEPTH: usize = 64;

/// A value that may be secret: it is never printed, and wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// The digits as they came.
    Number(Zeroizing<String>),
    String(Zeroizing<String>),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl fmt::Debug for Json {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(hidden)")
    }
}

impl Json {
    /// Reads a whole JSON text. Its errors would quote the text, so there is none.
    pub(super) fn read(text: &RawValue) -> Option<Self> {
        read(text.get(), MAX_DEPTH)
    }

    /// Compact, with no more escapes than JSON needs.
    pub(super) fn write(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        self.write_to(&mut text);
        text
    }

    fn write_to(&self, text: &mut Zeroizing<String>) {
        match self {
            Self::Null => text.push_str("null"),
            Self::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
            Self::Number(digits) => text.push_str(digits),
            Self::String(value) => push_quoted(text, value),
            Self::Array(items) => {
                text.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        text.push(',');
                    }
                    item.write_to(text);
                }
                text.push(']');
            }
            Self::Object(entries) => {
                text.push('{');
                for (at, (key, value)) in entries.iter().enumerate() {
                    if at > 0 {
                        text.push(',');
                    }
                    push_quoted(text, key);
                    text.push(':');
                    value.write_to(text);
                }
                text.push('}');
            }
        }
    }

    /// What a file of this value alone holds: a string's own bytes, else compact JSON; null has none.
    pub(super) fn bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::Null => None,
            Self::String(text) => Some(Zeroizing::new(text.as_bytes().to_vec())),
            Self::Bool(_) | Self::Number(_) | Self::Array(_) | Self::Object(_) => {
                Some(Zeroizing::new(self.write().as_bytes().to_vec()))
            }
        }
    }
}

/// Writes `value` as a JSON string.
pub(super) fn push_quoted(text: &mut Zeroizing<String>, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\0'..'\u{20}' => text.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => text.push(character),
        }
    }
    text.push('"');
}

fn read(text: &str, depth: usize) -> Option<Json> {
    let depth = depth.checked_sub(1)?;
    Some(match text.as_bytes().first()? {
        b'{' => {
            let Entries(entries) = serde_json::from_str(text).ok()?;
            let read = entries
                .into_iter()
                .map(|(key, value)| Some((key, read(value.get(), depth)?)));
            Json::Object(read.collect::<Option<_>>()?)
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            let read = items.into_iter().map(|item| read(item.get(), depth));
            Json::Array(read.collect::<Option<_>>()?)
        }
        b'"' => Json::String(Zeroizing::new(serde_json::from_str(text).ok()?)),
        b't' => Json::Bool(true),
        b'f' => Json::Bool(false),
        b'n' => Json::Null,
        _ => Json::Number(Zeroizing::new(text.to_string())),
    })
}

/// An object's entries in their order.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// What `key` names among `entries`: exactly, else as a dotted path through objects.
pub(super) fn look_up<'a>(entries: &'a [(String, Json)], key: &str) -> Option<&'a Json> {
    let exactly = |entries: &'a [(String, Json)], key: &str| {
        let found = entries.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value)
    };
    exactly(entries, key).or_else(|| {
        let mut parts = key.split('.');
        let mut value = exactly(entries, parts.next()?)?;
        for part in parts {
            let Json::Object(inner) = value else {
                return None;
            };
            value = exactly(inner, part)?;
        }
        Some(value)
    })
}

#[cfg(test)]
pub(super) fn entries(text: &str) -> Vec<(String, Json)> {
    match read(text, MAX_DEPTH) {
        Some(Json::Object(entries)) => entries,
        _ => panic!("{text} is no object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(text: &str) -> String {
        read(text, MAX_DEPTH).unwrap().write().to_string()
    }

    #[test]
    fn order_digits_and_letters_are_kept() {
        for text in [
            r#"{"a":[6,"x",true],"b":1}"#,
            r#"{"b":9007199254740993,"a":1.0,"c":-0,"d":1e400}"#,
            r#"{"":null,"x":{"y":[[],{}]}}"#,
            r#""é<&>\u0000\n\\""#,
        ] {
            assert_eq!(again(text), text);
        }
        assert_eq!(
            again(r#"{ "a" : "\u003cé\u00e9\/" , "b":[ 1 ] }"#),
            r#"{"a":"<éé/","b":[1]}"#
        );
    }

    #[test]
    fn a_deep_value_is_refused() {
        assert!(read(&"[".repeat(200), MAX_DEPTH).is_none());
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert!(read(&deep, MAX_DEPTH).is_none());
    }

    #[test]
    fn a_key_is_found_exactly_first_then_by_its_dotted_path() {
        let entries = entries(r#"{"nested.bar":"x","nested":{"bar":"y","foo":"oke"}}"#);
        let text = |key| look_up(&entries, key).map(|value| value.write().to_string());
        assert_eq!(text("nested.bar").unwrap(), r#""x""#);
        assert_eq!(text("nested.foo").unwrap(), r#""oke""#);
        assert_eq!(text("nop.a"), None);
        assert_eq!(text("nested.foo.x"), None);
    }

    #[test]
    fn nothing_of_it_is_printed() {
        assert_eq!(
            format!("{:?}", entries(r#"{"a":"hunter2"}"#)),
            r#"[("a", (hidden))]"#
        );
    }
}
