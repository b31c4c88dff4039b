//! The grammar of a SETTING: `[-]KEY=VALUE`, `[-]KEY>=N`, `[-]KEY<=N`.

use std::fmt;
use std::str::FromStr;

use super::key::{Key, Subject};
use super::scope::is_hidden;
use crate::base::argument::BadArgument;
use crate::base::secret::Secret;
use crate::base::text::{cut, one_line};

/// Where a setting was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Argument,
    Min,
    Max,
    Sys,
    /// `FILE:LINE`
    Line(String),
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Argument => "argument",
            Self::Min => "--min",
            Self::Max => "--max",
            Self::Sys => "--sys",
            Self::Line(place) => place,
        })
    }
}

/// What is asked of a key.
#[derive(Debug, Clone)]
pub(super) enum Ask {
    Exactly(Secret),
    AtLeast(Vec<u64>),
    AtMost(Vec<u64>),
}

/// One SETTING, whole and sound.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) optional: bool,
    pub(super) subject: Subject,
    pub(super) ask: Ask,
}

/// `--min KEY=N`
#[derive(Debug, Clone)]
pub(super) struct Minimum(pub(super) Setting);

/// `--max KEY=N`
#[derive(Debug, Clone)]
pub(super) struct Maximum(pub(super) Setting);

/// `--sys KEY=VALUE`
#[derive(Debug, Clone)]
pub(super) struct SysSetting(pub(super) Setting);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    AtLeast,
    AtMost,
}

/// A SETTING cut at its operator; nothing is checked yet but the operator itself.
struct Parts<'a> {
    optional: bool,
    key: &'a str,
    operator: Operator,
    value: &'a str,
}

fn split(text: &str) -> Result<Parts<'_>, BadArgument> {
    let text = text.trim();
    let (optional, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let Some(at) = rest.find(['=', '>', '<']) else {
        return Err(no_operator(rest));
    };
    let key = rest[..at].trim();
    let after = &rest[at + 1..];
    let (operator, value) = match (&rest[at..=at], after.strip_prefix('=')) {
        ("=", _) => (Operator::Equal, after),
        (">", Some(value)) => (Operator::AtLeast, value),
        ("<", Some(value)) => (Operator::AtMost, value),
        (sign, _) => return Err(bad_operator(key, &format!("{sign} without ="), after)),
    };
    let value = value.trim();
    if let Some(sign) = value.chars().next().filter(|sign| "=<>".contains(*sign)) {
        return Err(bad_operator(
            key,
            &format!("{sign} at the start of the value"),
            value,
        ));
    }
    if value.contains(['\n', '\0']) {
        return Err(BadArgument {
            reason: format!("{}: the value holds a line break or a NUL", named(key)),
            hint: "a setting takes one line".to_string(),
        });
    }
    Ok(Parts {
        optional,
        key,
        operator,
        value,
    })
}

fn named(key: &str) -> String {
    cut(&one_line(key), 200)
}

fn no_operator(word: &str) -> BadArgument {
    let word = first_word(word);
    BadArgument {
        reason: format!("`{word}` has no operator"),
        hint: format!(
            "write it as one argument, KEY=VALUE; a shell eats an unquoted > or <, so quote it or use \
             --min {word}=N"
        ),
    }
}

fn bad_operator(key: &str, what: &str, value: &str) -> BadArgument {
    let key = named(key);
    let number = number_or_n(value.trim_start_matches(['=', '<', '>', ' ']).trim());
    let sign = if what.starts_with('<') || value.trim_start().starts_with('<') {
        "<="
    } else {
        ">="
    };
    BadArgument {
        reason: format!("{key}: {what}"),
        hint: format!("exactly is {key}=VALUE, a bound is '{key}{sign}{number}'"),
    }
}

/// Only a number is repeated in a message: anything else could be a secret, or is no help.
fn number_or_n(text: &str) -> &str {
    if parse_vector(text).is_some() {
        text
    } else {
        "N"
    }
}

/// One or more decimal numbers, 0 to 2^64-1, without sign or leading zero.
fn parse_vector(text: &str) -> Option<Vec<u64>> {
    let numbers: Option<Vec<u64>> = text
        .split_whitespace()
        .map(|word| {
            let is_plain = word.bytes().all(|byte| byte.is_ascii_digit());
            let has_leading_zero = word.len() > 1 && word.starts_with('0');
            if is_plain && !has_leading_zero {
                word.parse().ok()
            } else {
                None
            }
        })
        .collect();
    numbers.filter(|numbers| !numbers.is_empty())
}

fn bound(key: &str, value: &str) -> Result<Vec<u64>, BadArgument> {
    parse_vector(value).ok_or_else(|| BadArgument {
        reason: format!(
            "{}: a bound takes decimal numbers from 0 to 2^64-1",
            named(key)
        ),
        hint: format!(
            "like '{0}>=262144', or '{0}>=4096 131072 16777216' for a vector",
            named(key)
        ),
    })
}

impl FromStr for Setting {
    type Err = BadArgument;

    fn from_str(text: &str) -> Result<Self, BadArgument> {
        let Parts {
            optional,
            key,
            operator,
            value,
        } = split(text)?;
        let subject = Subject::parse(key)?;
        let ask = match operator {
            Operator::Equal => Ask::Exactly(Secret::new(value)),
            Operator::AtLeast => Ask::AtLeast(bound(key, value)?),
            Operator::AtMost => Ask::AtMost(bound(key, value)?),
        };
        Ok(Self {
            optional,
            subject,
            ask,
        })
    }
}

/// A value may begin with one dash; with two it is the next flag, and the value was forgotten.
fn refuse_flag(text: &str, flag: &str) -> Result<(), BadArgument> {
    if !text.starts_with("--") {
        return Ok(());
    }
    Err(BadArgument {
        reason: format!("--{flag} has no value: {} follows it", first_word(text)),
        hint: format!("write --{flag} KEY=VALUE"),
    })
}

/// Reads `KEY=N` for the flag `--min` or `--max`.
fn flag_bound(text: &str, flag: &str) -> Result<(bool, Subject, Vec<u64>), BadArgument> {
    refuse_flag(text, flag)?;
    let parts = split(text).map_err(|bad| BadArgument {
        hint: format!("write --{flag} KEY=N"),
        ..bad
    })?;
    if parts.operator != Operator::Equal {
        return Err(BadArgument {
            reason: format!(
                "--{flag} {}: the operator is said by the flag",
                named(parts.key)
            ),
            hint: format!(
                "write --{flag} {}={}",
                named(parts.key),
                number_or_n(parts.value)
            ),
        });
    }
    let numbers = parse_vector(parts.value).ok_or_else(|| BadArgument {
        reason: format!(
            "--{flag} {}: takes decimal numbers from 0 to 2^64-1",
            named(parts.key)
        ),
        hint: format!("like --{flag} {}=262144", named(parts.key)),
    })?;
    Ok((parts.optional, Subject::parse(parts.key)?, numbers))
}

impl FromStr for Minimum {
    type Err = BadArgument;

    fn from_str(text: &str) -> Result<Self, BadArgument> {
        let (optional, subject, numbers) = flag_bound(text, "min")?;
        Ok(Self(Setting {
            optional,
            subject,
            ask: Ask::AtLeast(numbers),
        }))
    }
}

impl FromStr for Maximum {
    type Err = BadArgument;

    fn from_str(text: &str) -> Result<Self, BadArgument> {
        let (optional, subject, numbers) = flag_bound(text, "max")?;
        Ok(Self(Setting {
            optional,
            subject,
            ask: Ask::AtMost(numbers),
        }))
    }
}

impl FromStr for SysSetting {
    type Err = BadArgument;

    fn from_str(text: &str) -> Result<Self, BadArgument> {
        refuse_flag(text, "sys")?;
        let Parts {
            optional,
            key,
            operator,
            value,
        } = split(text)?;
        let key = Key::parse_sys(key)?;
        match operator {
            Operator::Equal => Ok(Self(Setting {
                optional,
                subject: Subject::One(key),
                ask: Ask::Exactly(Secret::new(value)),
            })),
            Operator::AtLeast | Operator::AtMost => Err(BadArgument {
                reason: format!("--sys {key}: takes = only"),
                hint: format!("write --sys {key}=VALUE"),
            }),
        }
    }
}

/// What a line of a file says.
#[derive(Debug, Clone)]
pub(super) enum Line {
    Setting(Setting),
    /// `-KEY`: the keys it covers are taken out of every glob.
    Exclusion(Subject),
}

/// Reads one line of a file; blank lines and comments are nothing.
///
/// # Errors
/// As for a SETTING, and a comment behind a value.
pub(super) fn parse_line(line: &str) -> Result<Option<Line>, BadArgument> {
    let line = line.trim();
    if line.is_empty() || line.starts_with(['#', ';']) {
        return Ok(None);
    }
    if let Some(key) = line.strip_prefix('-')
        && !key.contains(['=', '<', '>'])
    {
        refuse_comment(key, key)?;
        return Subject::parse(key.trim()).map(|subject| Some(Line::Exclusion(subject)));
    }
    let parts = split(line)?;
    refuse_comment(parts.key, parts.value)?;
    line.parse().map(|setting| Some(Line::Setting(setting)))
}

/// A comment behind a value would reach the kernel as a part of it.
fn refuse_comment(key: &str, text: &str) -> Result<(), BadArgument> {
    let is_comment = |pair: &[char]| pair[0].is_whitespace() && matches!(pair[1], '#' | ';');
    let characters: Vec<char> = text.chars().collect();
    if !characters.windows(2).any(is_comment) {
        return Ok(());
    }
    Err(BadArgument {
        reason: format!("{}: a comment behind the value", first_word(key)),
        hint: "comments stand on their own line".to_string(),
    })
}

/// What follows white space may be a value, and so a secret.
fn first_word(text: &str) -> String {
    named(text.split_whitespace().next().unwrap_or_default())
}

/// A value as it may be shown: on one line, cut at 200 bytes, and not at all if it is a secret.
pub(super) fn shown(key: &Key, value: &str) -> String {
    const MAX_SHOWN: usize = 200;
    if is_hidden(key) {
        "(hidden)".to_string()
    } else if value.is_empty() {
        "(empty)".to_string()
    } else {
        cut(&one_line(value), MAX_SHOWN)
    }
}

#[cfg(test)]
mod tests;
