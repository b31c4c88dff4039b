//! Text fit for one line of a log, a result or a termination message.

use std::fmt::Write as _;

/// Escapes control characters, so that one event stays one line and no terminal is steered by it.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// Cuts to at most `limit` bytes at a character boundary; a cut is shown by a final `…`.
pub fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_string();
    }
    let room = limit.saturating_sub('…'.len_utf8());
    format!("{}…", &text[..text.floor_char_boundary(room)])
}

/// The name in `known` nearest to `name`, if it is at most `distance` edits away.
pub fn nearest<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    distance: usize,
) -> Option<&'a str> {
    known
        .into_iter()
        // The edit distance is at least the difference in length: most names are ruled out cheaply.
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= distance)
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(edits, _)| *edits <= distance)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// `1 setting`, `2 settings`.
pub fn counted(count: usize, noun: &str) -> String {
    let mut text = format!("{count} {noun}");
    if count != 1 {
        // Writing to a String cannot fail.
        let _ = text.write_char('s');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_letters_are_not() {
        assert_eq!(
            one_line("é a\n\u{1b}[31m\u{2028}"),
            "é a\\n\\u{1b}[31m\\u{2028}"
        );
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcdefgh", 6), "abc…");
        assert_eq!(cut("äöüäöü", 6), "ä…");
        assert_eq!(cut("abcdef", 2), "…");
    }

    #[test]
    fn the_nearest_name_is_found_within_its_distance() {
        let known = ["vm.max_map_count", "vm.swappiness"];
        assert_eq!(
            nearest("vm.max_map_cuont", known, 3),
            Some("vm.max_map_count")
        );
        assert_eq!(nearest("vm.something", known, 3), None);
    }

    #[test]
    fn nouns_agree_with_their_number() {
        assert_eq!(counted(1, "setting"), "1 setting");
        assert_eq!(counted(0, "setting"), "0 settings");
    }
}
