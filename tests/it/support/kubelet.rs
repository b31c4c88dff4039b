//! The kubelet's part in a Pod, where a test has to play it.

use std::collections::BTreeMap;

/// Reads a file as KEP-3721 has it: `NAME='value'` lines, where the value is all between the two
/// quotes, over as many lines as it takes, and nothing follows the second.
pub fn env_file(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').expect("a name before =");
        let mut letters = name.bytes();
        let first = letters.next().expect("a name is not empty");
        assert!(first.is_ascii_alphabetic() || first == b'_', "{name:?}");
        assert!(
            letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_'),
            "{name:?}"
        );
        let quoted = after.strip_prefix('\'').expect("a quote after =");
        let (value, after) = quoted.split_once('\'').expect("a second quote");
        rest = after.strip_prefix('\n').expect("the line ends after it");
        let twice = found.insert(name.to_string(), value.to_string());
        assert_eq!(twice, None, "{name} comes twice");
    }
    found
}
