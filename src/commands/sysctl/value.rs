//! What values mean: when two texts say the same, and when one is within bounds. Pure.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use super::key::{Key, Tree};

/// How the values of a key are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// Byte by byte.
    Text,
    /// Comma lists and ranges of numbers, in any order.
    Ports,
    /// Words, in any order.
    Words,
    /// An IPv6 address.
    Address,
    /// The bracketed word of several.
    Choice,
    /// Numbers if both sides are, else text.
    Plain,
}

/// Keys whose value is text even where it looks like a number.
const TEXT: &[&str] = &[
    "kernel.hostname",
    "kernel.domainname",
    "kernel.core_pattern",
    "kernel.modprobe",
    "kernel.poweroff_cmd",
    "net.core.default_qdisc",
    "*.tcp_congestion_control",
];

impl Nature {
    /// The nature of `key`, which reads as `present` now.
    pub(super) fn of(key: &Key, present: &str) -> Self {
        if key.tree == Tree::KernelMm {
            return if chosen(present).is_some() {
                Self::Choice
            } else {
                Self::Plain
            };
        }
        if TEXT.iter().any(|rule| key.fits(rule)) {
            Self::Text
        } else if key.last().ends_with("_ports") || key.last().ends_with("cpumask") {
            Self::Ports
        } else if key.last().ends_with("_allowed_congestion_control") {
            Self::Words
        } else if key.last() == "stable_secret" {
            Self::Address
        } else {
            Self::Plain
        }
    }
}

/// A value as it is compared and shown: white space runs are one space, none at the ends.
pub(super) fn normal(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The value in force: of a choice the bracketed word, else all of it.
pub(super) fn in_force(nature: Nature, present: &str) -> &str {
    match nature {
        Nature::Choice => chosen(present).unwrap_or(present),
        Nature::Text | Nature::Ports | Nature::Words | Nature::Address | Nature::Plain => present,
    }
}

fn chosen(present: &str) -> Option<&str> {
    let mut bracketed = present
        .split(' ')
        .filter_map(|word| word.strip_prefix('[')?.strip_suffix(']'));
    let word = bracketed.next()?;
    bracketed.next().is_none().then_some(word)
}

/// The words a choice offers, for a hint.
pub(super) fn choices(present: &str) -> String {
    present.replace(['[', ']'], "").replace(' ', ", ")
}

/// Whether a choice offers `word`.
pub(super) fn offers(present: &str, word: &str) -> bool {
    present
        .split(' ')
        .any(|offered| offered.trim_matches(['[', ']']) == word)
}

/// How a wanted value stands to the present one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Comparison {
    Same,
    Different,
    /// Both are numbers, but not equally many: the kernel would take a part.
    FieldCount {
        takes: usize,
        given: usize,
    },
}

/// Compares `wanted` with `present`, both in normal form.
pub(super) fn compare(nature: Nature, wanted: &str, present: &str) -> Comparison {
    let is_same = match nature {
        Nature::Text => wanted == present,
        Nature::Ports => match (ports(wanted), ports(present)) {
            (Some(wanted), Some(present)) => wanted == present,
            (None, _) | (_, None) => wanted == present,
        },
        Nature::Words => {
            let set = |text: &str| text.split(' ').map(str::to_string).collect::<BTreeSet<_>>();
            set(wanted) == set(present)
        }
        Nature::Address => match (wanted.parse::<Ipv6Addr>(), present.parse::<Ipv6Addr>()) {
            (Ok(wanted), Ok(present)) => wanted == present,
            (Err(_), _) | (_, Err(_)) => wanted == present,
        },
        Nature::Choice => wanted == in_force(nature, present),
        Nature::Plain => match (integers(wanted), integers(present)) {
            (Some(given), Some(takes)) if given.len() != takes.len() => {
                return Comparison::FieldCount {
                    takes: takes.len(),
                    given: given.len(),
                };
            }
            (Some(wanted), Some(present)) => wanted == present,
            (None, _) | (_, None) => wanted == present,
        },
    };
    if is_same {
        Comparison::Same
    } else {
        Comparison::Different
    }
}

/// The numbers of a value, if every field is one. An empty present value has none and is no number;
/// an empty wanted value is zero numbers.
pub(super) fn integers(text: &str) -> Option<Vec<i128>> {
    text.split_whitespace().map(integer).collect()
}

/// Reads a number by the kernel's rule: `0x` is hexadecimal, a leading 0 octal.
fn integer(field: &str) -> Option<i128> {
    let (sign, digits) = match field.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, field),
    };
    let (base, digits) = if let Some(hex) = digits.strip_prefix("0x").or(digits.strip_prefix("0X"))
    {
        (16, hex)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (8, &digits[1..])
    } else {
        (10, digits)
    };
    if !digits.starts_with(|first: char| first.is_ascii_hexdigit()) {
        return None;
    }
    i128::from_str_radix(digits, base).ok()?.checked_mul(sign)
}

/// Whether a field is octal by the kernel's rule, which surprises most who write one.
pub(super) fn has_octal(text: &str) -> bool {
    text.split_whitespace().any(|field| {
        let digits = field.strip_prefix('-').unwrap_or(field);
        digits.len() > 1
            && digits.starts_with('0')
            && digits.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// A list of numbers and ranges as sorted, disjoint, non-adjacent ranges. Only commas separate: the
/// kernel refuses white space between entries.
fn ports(text: &str) -> Option<Vec<(i128, i128)>> {
    let mut ranges = Vec::new();
    for item in text.split(',').filter(|_| !text.is_empty()) {
        let (low, high) = item.split_once('-').unwrap_or((item, item));
        let range = (integer(low)?, integer(high)?);
        if range.0 > range.1 || range.0 < 0 {
            return None;
        }
        ranges.push(range);
    }
    ranges.sort_unstable();
    let mut merged: Vec<(i128, i128)> = Vec::new();
    for (low, high) in ranges {
        match merged.last_mut() {
            Some((_, end)) if low <= end.saturating_add(1) => *end = (*end).max(high),
            Some(_) | None => merged.push((low, high)),
        }
    }
    Some(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nature(key: &str, present: &str) -> Nature {
        Nature::of(&Key::parse(key).unwrap(), present)
    }

    #[test]
    fn the_name_tells_the_nature() {
        assert_eq!(nature("kernel.hostname", "8"), Nature::Text);
        assert_eq!(
            nature("net.ipv4.tcp_congestion_control", "cubic"),
            Nature::Text
        );
        assert_eq!(
            nature("net.ipv4.ip_local_reserved_ports", ""),
            Nature::Ports
        );
        assert_eq!(nature("kernel.watchdog_cpumask", "0-1"), Nature::Ports);
        assert_eq!(
            nature("net.ipv4.tcp_allowed_congestion_control", ""),
            Nature::Words
        );
        assert_eq!(
            nature("net.ipv6.conf.lo.stable_secret", ""),
            Nature::Address
        );
        assert_eq!(nature("vm.max_map_count", "1"), Nature::Plain);
        let thp = Key::parse_sys("transparent_hugepage/enabled").unwrap();
        assert_eq!(Nature::of(&thp, "always [madvise] never"), Nature::Choice);
        assert_eq!(
            Nature::of(&Key::parse_sys("ksm/run").unwrap(), "0"),
            Nature::Plain
        );
    }

    #[test]
    fn values_are_compared_by_their_nature() {
        use Comparison::{Different, FieldCount, Same};
        for (nature, wanted, present, expected) in [
            (Nature::Plain, "10000 60000", "10000 60000", Same),
            (Nature::Plain, "01024", "532", Same),
            (Nature::Plain, "0x10", "16", Same),
            (Nature::Plain, "-1", "-1", Same),
            (Nature::Plain, "1", "-1", Different),
            (Nature::Plain, "1 2", "1", FieldCount { takes: 1, given: 2 }),
            (Nature::Plain, "", "1", FieldCount { takes: 1, given: 0 }),
            (Nature::Plain, "1e3", "1000", Different),
            (Nature::Plain, "abc", "abc", Same),
            (Nature::Text, "010", "8", Different),
            (Nature::Ports, "8083,8080-8082", "8080-8083", Same),
            (Nature::Ports, "", "", Same),
            (Nature::Ports, "0x50", "80", Same),
            (Nature::Ports, "80 81", "80-81", Different),
            (Nature::Ports, "80,", "80", Different),
            (
                Nature::Ports,
                "1-18446744073709551615,5",
                "1-18446744073709551615",
                Same,
            ),
            (Nature::Ports, "x", "80", Different),
            (Nature::Words, "cubic reno", "reno cubic", Same),
            (Nature::Address, "::0001", "::1", Same),
            (Nature::Choice, "madvise", "always [madvise] never", Same),
            (
                Nature::Choice,
                "Madvise",
                "always [madvise] never",
                Different,
            ),
        ] {
            assert_eq!(
                compare(nature, wanted, present),
                expected,
                "{wanted:?} {present:?}"
            );
        }
    }

    #[test]
    fn numbers_follow_the_kernels_base_rule() {
        assert_eq!(integers("0 -5 017 0xff"), Some(vec![0, -5, 15, 255]));
        assert_eq!(
            integers("18446744073709551615"),
            Some(vec![18_446_744_073_709_551_615])
        );
        for text in ["08", "0x", "1.5", "+1", "--1", "0x-1", "-", "1,2"] {
            assert_eq!(integers(text), None, "{text}");
        }
        assert!(has_octal("1 01024") && !has_octal("0 0x10 10"));
    }

    #[test]
    fn a_choice_shows_its_word_and_offers_the_others() {
        assert_eq!(
            in_force(Nature::Choice, "always [madvise] never"),
            "madvise"
        );
        assert_eq!(choices("always [madvise] never"), "always, madvise, never");
        assert_eq!(normal(b"10000\t60000\n"), "10000 60000");
    }
}
