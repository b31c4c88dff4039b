//! Which keys of a prefix are taken. Pure.

use glob::{MatchOptions, Pattern};

/// `*` and `?` match a slash and a leading dot too.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: false,
    require_literal_leading_dot: false,
};

/// A pattern on what follows the prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob(Pattern);

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Why it is none.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        Pattern::new(&with_single_stars(text))
            .map(Self)
            .map_err(|error| error.msg.to_string())
    }

    fn matches(&self, key: &str) -> bool {
        self.0.matches_with(key, OPTIONS)
    }
}

/// Several stars mean no more than one, since one matches a slash already; the library has rules of its
/// own for two. Within brackets a star is itself.
fn with_single_stars(text: &str) -> String {
    let mut single = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first == '[' {
            let end = class_end(rest);
            single.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        if !(first == '*' && single.ends_with('*')) {
            single.push(first);
        }
        rest = &rest[first.len_utf8()..];
    }
    single
}

/// Where the class that begins `text` ends; a `]` right at its beginning belongs to it.
fn class_end(text: &str) -> usize {
    let inner = &text[1..];
    let inner = inner.strip_prefix('!').unwrap_or(inner);
    let skipped = text.len() - inner.len();
    let first = inner.chars().next().map_or(0, char::len_utf8);
    inner[first..]
        .find(']')
        .map_or(text.len(), |at| skipped + first + at + 1)
}

/// Which keys are taken: no include or one that matches, and no exclude that does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) include: Vec<Glob>,
    pub(super) exclude: Vec<Glob>,
}

impl Filter {
    /// Whether what follows the prefix is taken.
    pub(super) fn takes(&self, key: &str) -> bool {
        let matches = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(key));
        (self.include.is_empty() || matches(&self.include)) && !matches(&self.exclude)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> Filter {
        let read = |globs: &[&str]| globs.iter().map(|text| Glob::new(text).unwrap()).collect();
        Filter {
            include: read(include),
            exclude: read(exclude),
        }
    }

    fn taken(include: &[&str], exclude: &[&str]) -> Vec<&'static str> {
        let filter = filter(include, exclude);
        ["a.bin", "s/b.bin", "s/c.txt"]
            .into_iter()
            .filter(|key| filter.takes(key))
            .collect()
    }

    #[test]
    fn includes_and_excludes_add_up_in_any_order() {
        assert_eq!(taken(&[], &[]), ["a.bin", "s/b.bin", "s/c.txt"]);
        assert_eq!(taken(&["*.bin"], &[]), ["a.bin", "s/b.bin"]);
        assert_eq!(taken(&[], &["s/*"]), ["a.bin"]);
        assert_eq!(taken(&["*.bin"], &["s/*"]), ["a.bin"]);
        assert_eq!(taken(&["*.zip"], &[]), [""; 0]);
        assert_eq!(taken(&["*.txt", "a*"], &[]), ["a.bin", "s/c.txt"]);
    }

    #[test]
    fn stars_and_questions_match_slashes_and_dots_and_case_counts() {
        for (glob, key, is_match) in [
            ("*", ".a/.b", true),
            ("a?b", "a/b", true),
            ("**", "a/b/c", true),
            ("a**b", "a/x/b", true),
            ("**/x", "a/b/x", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[**]", "*", true),
            ("[]]**", "]ab", true),
            ("A", "a", false),
            ("?", "é", true),
            ("a", "ab", false),
            ("[*]", "x", false),
        ] {
            let filter = filter(&[glob], &[]);
            assert_eq!(filter.takes(key), is_match, "{glob} {key}");
        }
        assert!(Glob::new("[a").is_err());
    }
}
