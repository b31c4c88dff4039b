//! Which word of a command line is what, told from the grammar before clap reads it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use clap::{Arg, Command};

/// What one word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `--flag`, `--flag=value` or `-f`.
    Option,
    /// The value of the option before it.
    Value,
    /// An argument of its own: a subcommand's name or what it works on.
    Positional,
    /// The first `--`; all words after it are positional.
    Separator,
}

/// The role of each of `words` in the (built) grammar of `command`. A word with one leading dash is
/// positional if `is_argument` says so. No short flag of podinit takes a value.
pub fn roles(
    command: &Command,
    words: &[OsString],
    is_argument: impl Fn(&[u8]) -> bool,
) -> Vec<Role> {
    let mut roles: Vec<Role> = Vec::with_capacity(words.len());
    let mut wanting: Option<&Arg> = None;
    for word in words.iter().map(|word| word.as_bytes()) {
        let role = if roles.contains(&Role::Separator) {
            Role::Positional
        } else if wanting.take().is_some_and(|option| takes(option, word)) {
            Role::Value
        } else if word == b"--" {
            Role::Separator
        } else if word.starts_with(b"--") {
            wanting = option_without_value(command, &word[2..]);
            Role::Option
        } else if word.len() > 1 && word.starts_with(b"-") && !is_argument(word) {
            Role::Option
        } else {
            Role::Positional
        };
        roles.push(role);
    }
    roles
}

/// The option named `name`, if its value may be the next word.
fn option_without_value<'a>(command: &'a Command, name: &[u8]) -> Option<&'a Arg> {
    command
        .get_arguments()
        .filter(|arg| arg.get_action().takes_values())
        .find(|arg| arg.get_long().is_some_and(|long| long.as_bytes() == name))
}

/// Whether `word` is the value of `option`: always if it must have one, else if it is no option.
fn takes(option: &Arg, word: &[u8]) -> bool {
    let least = option.get_num_args().map_or(1, |range| range.min_values());
    least > 0 || !word.starts_with(b"-")
}

#[cfg(test)]
mod tests {
    use clap::ArgAction;

    use super::Role::{Option as Flag, Positional, Separator, Value};
    use super::*;

    #[test]
    fn each_word_is_known_for_what_it_is() {
        let mut command = Command::new("x")
            .arg(Arg::new("min").long("min").action(ArgAction::Append))
            .arg(Arg::new("list").long("list").num_args(0..=1))
            .arg(Arg::new("check").long("check").action(ArgAction::SetTrue));
        command.build();
        let read = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            roles(&command, &words, |word| word.contains(&b'='))
        };
        assert_eq!(read(&["--min", "-a=1", "b"]), [Flag, Value, Positional]);
        assert_eq!(
            read(&["--min=a=1", "--check", "b"]),
            [Flag, Flag, Positional]
        );
        assert_eq!(read(&["--list", "net", "b"]), [Flag, Value, Positional]);
        assert_eq!(read(&["--list", "--check"]), [Flag, Flag]);
        assert_eq!(read(&["-w", "-a=1", "-"]), [Flag, Positional, Positional]);
        assert_eq!(
            read(&["a", "--", "--check"]),
            [Positional, Separator, Positional]
        );
        assert_eq!(read(&["--min", "--", "--check"]), [Flag, Value, Flag]);
    }
}
