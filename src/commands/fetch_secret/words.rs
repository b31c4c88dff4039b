//! The server's own words, fit to be shown: on one line, short, and without anything secret.

use std::sync::{Arc, Mutex, PoisonError};

use crate::base::secret::Secret;
use crate::base::text::{cut, one_line};

/// What a server says beyond this is left out; bytes.
const MAX_WORDS: usize = 300;

/// A shorter value would take single letters out of every word.
const MIN_VALUE: usize = 3;

/// All secrets known so far, to be kept out of what a server says.
#[derive(Debug, Clone, Default)]
pub(super) struct Known(Arc<Mutex<Vec<Secret>>>);

impl Known {
    /// Remembers a credential or a value.
    pub(super) fn learn(&self, secret: Secret) {
        if secret.expose().len() >= MIN_VALUE {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.push(secret);
        }
    }

    /// The words without them.
    pub(super) fn clean(&self, words: &str) -> String {
        let mut bytes = words.as_bytes().to_vec();
        let mut known = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        // A secret may hold another one: the longest goes first.
        known.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        for secret in &known {
            bytes = without(&bytes, secret.expose());
        }
        let text = String::from_utf8_lossy(&bytes);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        cut(&one_line(&line), MAX_WORDS)
    }
}

fn without(bytes: &[u8], secret: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(secret) {
            clean.extend_from_slice(b"(hidden)");
            rest = after;
        } else {
            clean.push(*first);
            rest = tail;
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_one_short_line_without_secrets() {
        let known = Known::default();
        known.learn(Secret::new("hunter2"));
        known.learn(Secret::new("a hunter2 b"));
        known.learn(Secret::new("u"));
        assert_eq!(
            known.clean("1 error:\n\t* bad: a hunter2 b, hunter2\n\n"),
            "1 error: * bad: (hidden), (hidden)"
        );
        assert_eq!(known.clean(&"x".repeat(400)).len(), 300);
        assert_eq!(known.clean("u\u{1b}[31m"), "u\\u{1b}[31m");
    }
}
