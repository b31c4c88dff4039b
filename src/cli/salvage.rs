//! What can still be read of a command line that cannot be obeyed, so that the refusal is told in the form
//! and at the place that was asked for.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Args as _, Command, FromArgMatches as _};

use super::Global;
use crate::base::words::{Role, roles};

/// The global flags, and the name of the command. A word or a variable that is itself at fault costs
/// none of the others.
pub(super) fn salvage(grammar: &Command, args: &[OsString]) -> (Option<Global>, Option<String>) {
    let words = args.get(1..).unwrap_or_default();
    let command = roles(grammar, words, |_| false)
        .iter()
        .position(|role| *role == Role::Positional)
        .and_then(|at| grammar.find_subcommand(words.get(at)?));
    let all = Global::augment_args(Command::new("podinit"));
    let wordless = all.clone().mut_args(|arg| arg.env(None::<&str>));
    let sound = all.clone().mut_args(|arg| {
        let id = arg.get_id().clone();
        let alone = all
            .clone()
            .mut_args(|other| keep(other, |other| *other.get_id() == id));
        keep(arg, |_| read(&alone, &[]).is_some())
    });

    let roles = roles(command.unwrap_or(grammar), words, |_| false);
    let mut kept: Vec<OsString> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if roles[at] == Role::Option && is_global(&all, word) {
            let has_value = roles.get(at + 1) == Some(&Role::Value);
            let option = &words[at..=at + usize::from(has_value)];
            if read(&wordless, option).is_some() {
                kept.extend_from_slice(option);
            }
        }
    }
    let name = command.map(|command| command.get_name().to_string());
    (read(&sound, &kept), name)
}

/// The argument with its variable if `is_kept`, else without.
fn keep(arg: Arg, is_kept: impl Fn(&Arg) -> bool) -> Arg {
    if is_kept(&arg) {
        arg
    } else {
        arg.env(None::<&str>)
    }
}

fn read(grammar: &Command, words: &[OsString]) -> Option<Global> {
    let words = std::iter::once(OsString::from("podinit")).chain(words.iter().cloned());
    let matches = grammar.clone().try_get_matches_from(words).ok()?;
    Global::from_arg_matches(&matches).ok()
}

fn is_global(all: &Command, word: &OsStr) -> bool {
    let word = word.to_string_lossy();
    let name = word.trim_start_matches('-').split('=').next();
    all.get_arguments().any(|arg| arg.get_long() == name)
}
