//! The grammar of a SECRET: `[FILE=]PATH[?PARAM=VALUE&...][#KEY]`. Pure.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::num::NonZeroU64;
use std::str::FromStr;

use super::decode::Decode;
use super::name::{check_path, check_segment};
use crate::base::argument::{BadArgument, read_mode};
use crate::base::text::one_line;

/// The form of a SECRET, for hints.
const FORM: &str =
    "[FILE=]PATH[?PARAM=VALUE&...][#KEY], such as secret/app or pw=secret/app#password";

/// A path of Vault's API, decoded, without `/v1/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ApiPath(Vec<String>);

impl ApiPath {
    /// The path as it is written into a URL.
    pub(super) fn wire(&self) -> String {
        let segments: Vec<String> = self.0.iter().map(|segment| encode(segment)).collect();
        segments.join("/")
    }

    /// Splits it behind the segments of `mount`, which may stand behind a namespace or `auth/`.
    pub(super) fn split_at_mount(&self, mount: &str) -> Option<(Self, Self)> {
        let mount: Vec<&str> = mount.trim_end_matches('/').split('/').collect();
        let at = self
            .0
            .windows(mount.len())
            .position(|window| window.iter().eq(mount.iter().copied()))?;
        let (head, rest) = self.0.split_at(at + mount.len());
        Some((Self(head.to_vec()), Self(rest.to_vec())))
    }

    /// What follows `head`, if the path begins with it.
    pub(super) fn rest_below(&self, head: &Self) -> Option<Self> {
        self.0
            .strip_prefix(&*head.0)
            .map(|rest| Self(rest.to_vec()))
    }

    /// The first segment, if others follow it.
    pub(super) fn first_folder(&self) -> Option<&str> {
        match self.0.as_slice() {
            [first, _, ..] => Some(first),
            [] | [_] => None,
        }
    }

    /// `self`, then the segment, then `rest`.
    pub(super) fn with(&self, segment: &str, rest: &Self) -> Self {
        let head = self.0.iter().cloned();
        Self(
            head.chain([segment.to_string()])
                .chain(rest.0.iter().cloned())
                .collect(),
        )
    }
}

impl fmt::Display for ApiPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("/"))
    }
}

impl FromStr for ApiPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix('/').unwrap_or(text);
        if text.is_empty() {
            return Err("has an empty PATH".to_string());
        }
        let segments: Result<Vec<String>, String> = text.split('/').map(read_segment).collect();
        segments.map(Self)
    }
}

fn read_segment(segment: &str) -> Result<String, String> {
    let text = decode(segment)?;
    let wrong = |what: &str| Err(format!("has {what} in its PATH"));
    if text.is_empty() {
        return wrong("an empty segment, or a `/` at the end,");
    }
    if text == "." || text == ".." {
        return wrong(&format!("the segment `{text}`"));
    }
    if text.chars().any(char::is_control) {
        return wrong(&format!("a control character in `{}`", one_line(&text)));
    }
    Ok(text)
}

/// Writes what is not unreserved in RFC 3986 as `%XX`.
pub(super) fn encode(text: &str) -> String {
    let mut wire = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            wire.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(wire, "%{byte:02X}");
        }
    }
    wire
}

/// Reads `%XX`; anything else stands for itself.
fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, tail) = tail
            .split_at_checked(2)
            .ok_or("has a `%` without two hex digits")?;
        let value = std::str::from_utf8(digits)
            .ok()
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .ok_or("has a `%` without two hex digits")?;
        bytes.push(value);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 once its %XX are decoded".to_string())
}

/// What is asked of Vault; equal ones share an answer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ask {
    pub(super) path: ApiPath,
    pub(super) version: Option<NonZeroU64>,
    /// The parameters of a write. They may hold secrets.
    pub(super) write: Option<BTreeMap<String, String>>,
}

impl fmt::Debug for Ask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Ask({})", self.path)
    }
}

/// What becomes of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// A file per key, below a directory if there is one.
    PerKey { folder: Option<String> },
    /// One key's bytes.
    Key { key: String, file: String },
    /// The whole secret in one file.
    Whole { file: String },
}

/// One SECRET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SecretSpec {
    pub(super) ask: Ask,
    pub(super) shape: Shape,
    pub(super) decode: Option<Decode>,
    pub(super) mode: Option<u32>,
}

impl FromStr for SecretSpec {
    type Err = BadArgument;

    fn from_str(text: &str) -> Result<Self, BadArgument> {
        read(text).map_err(|reason| BadArgument {
            // Parameters may hold secrets, and so may what looks like one.
            reason: format!("SECRET `{}` {reason}", one_line(shown(text))),
            hint: format!("write {FORM}"),
        })
    }
}

/// The part of a SECRET that a message may repeat.
fn shown(text: &str) -> &str {
    let left = text.split_once('#').map_or(text, |(left, _)| left);
    left.split_once('?').map_or(left, |(path, _)| path)
}

fn read(text: &str) -> Result<SecretSpec, String> {
    let (left, key) = match text.split_once('#') {
        Some((_, "")) => return Err("has an empty KEY".to_string()),
        Some((left, key)) => (left, Some(key)),
        None => (text, None),
    };
    let (left, parameters) = match left.split_once('?') {
        Some((left, parameters)) => (left, Some(parameters)),
        None => (left, None),
    };
    let (file, path) = match left.split_once('=') {
        Some(("", _)) => return Err("has an empty FILE".to_string()),
        Some((file, path)) => (Some(file), path),
        None => (None, left),
    };
    let path = path.parse()?;
    let Parameters {
        version,
        decode,
        mode,
        write,
    } = parameters.map_or_else(|| Ok(Parameters::default()), read_parameters)?;
    Ok(SecretSpec {
        ask: Ask {
            path,
            version,
            write,
        },
        shape: shape(file, key)?,
        decode,
        mode,
    })
}

fn shape(file: Option<&str>, key: Option<&str>) -> Result<Shape, String> {
    if let Some(file) = file {
        let bare = file.strip_suffix('/').unwrap_or(file);
        check_path(bare).map_err(|unfit| format!("has a bad FILE: {unfit}"))?;
    }
    let folder = file.and_then(|file| file.strip_suffix('/'));
    let named = |key: &str| {
        check_segment(key).map_err(|unfit| {
            format!("has a KEY that cannot name a file: {unfit}; say FILE=PATH#KEY")
        })
    };
    Ok(match (file, folder, key) {
        (None, _, Some(key)) => {
            named(key)?;
            Shape::Key {
                key: key.to_string(),
                file: key.to_string(),
            }
        }
        (Some(_), Some(folder), Some(key)) => {
            named(key)?;
            Shape::Key {
                key: key.to_string(),
                file: format!("{folder}/{key}"),
            }
        }
        (Some(file), None, Some(key)) => Shape::Key {
            key: key.to_string(),
            file: file.to_string(),
        },
        (Some(file), None, None) => Shape::Whole {
            file: file.to_string(),
        },
        (_, folder, None) => Shape::PerKey {
            folder: folder.map(str::to_string),
        },
    })
}

#[derive(Debug, Default)]
struct Parameters {
    version: Option<NonZeroU64>,
    decode: Option<Decode>,
    mode: Option<u32>,
    write: Option<BTreeMap<String, String>>,
}

fn read_parameters(text: &str) -> Result<Parameters, String> {
    let mut parameters = Parameters::default();
    if text.is_empty() {
        parameters.write = Some(BTreeMap::new());
        return Ok(parameters);
    }
    let mut seen = Vec::new();
    for pair in text.split('&') {
        let (name, value) = pair.split_once('=').ok_or("has a parameter without `=`")?;
        let (name, value) = (decode(name)?, decode(value)?);
        let shown = one_line(&name);
        if name.is_empty() {
            return Err("has a parameter without a name".to_string());
        }
        if seen.contains(&name) {
            return Err(format!("has the parameter `{shown}` twice"));
        }
        match name.as_str() {
            "version" => {
                let digits = value.bytes().all(|byte| byte.is_ascii_digit());
                let number = value.parse().ok().filter(|_| digits);
                parameters.version =
                    Some(number.ok_or("has a `version` that is no number from 1 on")?);
            }
            "decode" => {
                let way = value.parse();
                parameters.decode =
                    Some(way.map_err(|()| "has a `decode` other than base64 or hex")?);
            }
            "mode" => {
                parameters.mode = Some(
                    read_mode(&value).map_err(|reason| format!("has a `mode` that {reason}"))?,
                );
            }
            _ => {
                let write = parameters.write.get_or_insert_default();
                write.insert(name.clone(), value);
            }
        }
        seen.push(name);
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests;
