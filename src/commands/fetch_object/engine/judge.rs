//! What an answer is worth: whether its range is the one asked for, whether the object is still the same.
//! Pure.

use std::ops::Range;

use super::super::source::{Framing, Validator};

/// What is known of an object since its first answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its length in bytes; a body without one tells it by its end.
    pub length: Option<u64>,
    /// Its state.
    pub validator: Validator,
}

/// What a 206 is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Good: its body is the bytes up to `end`, of `total`.
    Part { end: u64, total: u64 },
    /// Of another state of the object; how that shows.
    Changed(String),
    /// Not to be trusted, and why.
    Wrong(String),
}

/// The head of a 206.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    pub content_range: Option<&'a str>,
    pub framing: Framing,
    pub validator: &'a Validator,
}

/// Judges a 206 that answers for `asked`.
pub fn part(asked: &Range<u64>, head: Head<'_>, known: Option<&Known>) -> Verdict {
    if let Some(how) = known.and_then(|known| difference(&known.validator, head.validator)) {
        return Verdict::Changed(how);
    }
    let Some(text) = head.content_range else {
        return Verdict::Wrong("a 206 without Content-Range".to_string());
    };
    let wrong = || {
        Verdict::Wrong(format!(
            "Content-Range `{text}` for bytes {}-{}",
            asked.start,
            asked.end - 1
        ))
    };
    let Some((range, total)) = parse(text) else {
        return wrong();
    };
    if let Some(length) = known.and_then(|known| known.length)
        && length != total
    {
        return Verdict::Changed(format!("{length} bytes, then {total}"));
    }
    if range.start != asked.start || range.end > asked.end || range.end > total {
        return wrong();
    }
    if let Framing::Length(length) = head.framing
        && length != range.end - range.start
    {
        return Verdict::Wrong(format!(
            "Content-Range `{text}` with Content-Length {length}"
        ));
    }
    Verdict::Part {
        end: range.end,
        total,
    }
}

/// `bytes 0-4/10` as `0..5` and `10`; an unknown total, or an empty range, is none.
fn parse(text: &str) -> Option<(Range<u64>, u64)> {
    let (unit, rest) = text.trim().split_once(char::is_whitespace)?;
    let (range, total) = rest.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let is_bytes = unit.eq_ignore_ascii_case("bytes") && first <= last;
    is_bytes.then_some((first..last.checked_add(1)?, number(total)?))
}

/// Digits only: no sign.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok())?
}

/// How two states differ, if they do. A generation or a strong `ETag` decides alone; without one all that
/// is known has to agree.
pub fn difference(first: &Validator, later: &Validator) -> Option<String> {
    let differ = |what: &str, one: &Option<String>, two: &Option<String>| {
        let show = |told: &Option<String>| told.clone().unwrap_or_else(|| "none".to_string());
        (one != two).then(|| format!("{what} {}, then {}", show(one), show(two)))
    };
    if first.generation.is_some() {
        // It is asked for by its number; not every answer repeats it.
        let is_repeated = later.generation.is_some();
        return is_repeated
            .then(|| differ("generation", &first.generation, &later.generation))
            .flatten();
    }
    let versions = (first.version.is_some() && later.version.is_some())
        .then(|| differ("version", &first.version, &later.version))
        .flatten();
    let etags = differ("ETag", &first.etag, &later.etag);
    let dates = || differ("Last-Modified", &first.last_modified, &later.last_modified);
    match first.strong_etag() {
        Some(_) => versions.or(etags),
        None => versions.or(etags).or_else(dates),
    }
}

/// Whether both are surely the same state.
pub fn is_same(one: &Validator, other: &Validator) -> bool {
    let by_generation = one.generation.is_some() && one.generation == other.generation;
    let by_etag = one.strong_etag().is_some() && one.strong_etag() == other.strong_etag();
    by_generation || by_etag
}

/// An `ETag` without its quotes, weak or not.
pub fn bare(etag: &str) -> &str {
    let etag = etag.strip_prefix("W/").unwrap_or(etag);
    etag.strip_prefix('"')
        .and_then(|etag| etag.strip_suffix('"'))
        .unwrap_or(etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn etag(etag: &str) -> Validator {
        Validator {
            etag: Some(etag.to_string()),
            ..Validator::default()
        }
    }

    fn judged(range: &str, framing: Framing) -> Verdict {
        let validator = etag("\"a\"");
        let known = Known {
            length: Some(100),
            validator: validator.clone(),
        };
        let head = Head {
            content_range: Some(range),
            framing,
            validator: &validator,
        };
        part(&(10..20), head, Some(&known))
    }

    #[test]
    fn a_range_starts_where_it_was_asked_for_and_does_not_go_beyond() {
        let good = |end| Verdict::Part { end, total: 100 };
        assert_eq!(judged("bytes 10-19/100", Framing::Length(10)), good(20));
        assert_eq!(judged("Bytes  10-14/100 ", Framing::Chunked), good(15));
        assert_eq!(judged("bytes 10-10/100", Framing::Close), good(11));
        for wrong in [
            "bytes 0-9/100",
            "bytes 10-20/100",
            "bytes 11-19/100",
            "bytes 10-19/*",
            "bytes */100",
            "bytes 10-9/100",
            "bytes +10-19/100",
            "bytes 10-19",
            "items 10-19/100",
            "10-19/100",
            "bytes 10-18446744073709551615/100",
            "",
        ] {
            let verdict = judged(wrong, Framing::Chunked);
            assert!(matches!(verdict, Verdict::Wrong(_)), "{wrong}: {verdict:?}");
        }
        for length in [9, 11] {
            let verdict = judged("bytes 10-19/100", Framing::Length(length));
            assert!(matches!(verdict, Verdict::Wrong(_)));
        }
        assert!(matches!(
            judged("bytes 10-19/101", Framing::Length(10)),
            Verdict::Changed(_)
        ));
    }

    #[test]
    fn a_range_beyond_its_own_total_or_without_one_is_wrong() {
        let validator = Validator::default();
        let head = |content_range| Head {
            content_range,
            framing: Framing::Chunked,
            validator: &validator,
        };
        let verdict = part(&(0..9), head(Some("bytes 0-8/5")), None);
        assert!(matches!(verdict, Verdict::Wrong(_)));
        assert!(matches!(part(&(0..9), head(None), None), Verdict::Wrong(_)));
        let verdict = part(&(0..9), head(Some("bytes 0-4/5")), None);
        assert_eq!(verdict, Verdict::Part { end: 5, total: 5 });
    }

    #[test]
    fn states_are_told_apart_by_the_strongest_that_is_known() {
        let dated = |etag: Option<&str>, date: &str| Validator {
            etag: etag.map(str::to_string),
            last_modified: Some(date.to_string()),
            ..Validator::default()
        };
        assert_eq!(
            difference(&dated(Some("\"a\""), "1"), &dated(Some("\"a\""), "2")),
            None
        );
        for (first, later) in [
            (etag("\"a\""), etag("\"b\"")),
            (etag("\"a\""), Validator::default()),
            (etag("\"a\""), etag("W/\"a\"")),
            (etag("W/\"a\""), etag("W/\"b\"")),
            (dated(Some("W/\"a\""), "1"), dated(Some("W/\"a\""), "2")),
            (dated(None, "1"), dated(None, "2")),
            (dated(None, "1"), Validator::default()),
        ] {
            assert!(difference(&first, &later).is_some(), "{first:?} {later:?}");
        }
        let generation = |number: Option<&str>| Validator {
            generation: number.map(str::to_string),
            ..etag(number.unwrap_or("x"))
        };
        assert_eq!(difference(&generation(Some("1")), &generation(None)), None);
        assert!(difference(&generation(Some("1")), &generation(Some("2"))).is_some());
        assert!(is_same(&etag("\"a\""), &etag("\"a\"")));
        assert!(!is_same(&etag("W/\"a\""), &etag("W/\"a\"")));
        assert!(!is_same(&Validator::default(), &Validator::default()));
    }

    #[test]
    fn an_etag_is_compared_without_quotes() {
        for (text, tag) in [
            ("\"a\"", "a"),
            ("W/\"a\"", "a"),
            ("a", "a"),
            ("\"", "\""),
            ("", ""),
        ] {
            assert_eq!(bare(text), tag);
        }
    }
}
