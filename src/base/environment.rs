//! The environment, read once by `main`, for what has no flag: a secret in a named variable.

use std::ffi::{OsStr, OsString};
use std::fmt;

/// All variables. Some hold secrets, so it is never printed.
#[derive(Clone, Default)]
pub struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    /// Reads all of it, once: clap gets its part from here too.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one reading, whole, so that unknown names can be refused"
    )]
    pub fn capture() -> Self {
        Self(std::env::vars_os().collect())
    }

    #[cfg(test)]
    pub fn of(pairs: Vec<(OsString, OsString)>) -> Self {
        Self(pairs)
    }

    /// Names and values.
    pub fn pairs(&self) -> &[(OsString, OsString)] {
        &self.0
    }

    /// The value of a variable; set but empty counts as unset.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_os_str())
            .filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_an_unset_one_and_none_is_printed() {
        let environment = Environment::of(vec![
            ("A".into(), "hunter2".into()),
            ("B".into(), "".into()),
        ]);
        assert_eq!(environment.get("A"), Some(OsStr::new("hunter2")));
        assert_eq!(environment.get("B"), None);
        assert_eq!(environment.get("C"), None);
        assert_eq!(format!("{environment:?}"), "(hidden)");
    }
}
