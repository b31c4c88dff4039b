//! Optional SETTINGs on the command line. clap would read `-vm.x=1` as a bundle of short flags, so the
//! words of `podinit sysctl` are put in a form it cannot misread: options, `--`, SETTINGs.

use std::ffi::OsString;

use crate::base::words::{Role, roles};

/// Moves the SETTINGs of a `sysctl` command line behind a `--`, in their order. Other command lines
/// are left as they are. `grammar` has to be built.
pub fn normalise(grammar: &clap::Command, mut args: Vec<OsString>) -> Vec<OsString> {
    let at = roles(grammar, args.get(1..).unwrap_or_default(), |_| false)
        .iter()
        .position(|role| *role == Role::Positional)
        .map_or(args.len(), |place| place + 1);
    let Some(command) = args
        .get(at)
        .filter(|name| *name == "sysctl")
        .and_then(|name| grammar.find_subcommand(name))
    else {
        return args;
    };
    let words = args.split_off(at + 1);
    let roles = roles(command, &words, is_optional_setting);
    let (mut options, mut settings) = (Vec::new(), Vec::new());
    for (word, role) in words.into_iter().zip(roles) {
        match role {
            Role::Option | Role::Value => options.push(word),
            Role::Positional => settings.push(word),
            Role::Separator => {}
        }
    }
    args.append(&mut options);
    if !settings.is_empty() {
        args.push(OsString::from("--"));
        args.append(&mut settings);
    }
    args
}

/// Short flags are letters only; every SETTING that could exist has a separator or an operator.
fn is_optional_setting(word: &[u8]) -> bool {
    word.iter().any(|byte| b".=/<>".contains(byte))
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction, Command};

    use super::*;

    fn normal(args: &[&str]) -> Vec<OsString> {
        let mut grammar = Command::new("podinit")
            .arg(Arg::new("output").long("output").global(true))
            .subcommand(Command::new("other"))
            .subcommand(
                Command::new("sysctl")
                    .arg(Arg::new("min").long("min").action(ArgAction::Append))
                    .arg(Arg::new("check").long("check").action(ArgAction::SetTrue)),
            );
        grammar.build();
        normalise(&grammar, args.iter().map(OsString::from).collect())
    }

    #[test]
    fn settings_end_up_behind_the_separator_in_their_order() {
        assert_eq!(
            normal(&[
                "podinit", "sysctl", "a=1", "-b.c=2", "--check", "-w", "--", "-d=3", "--e"
            ]),
            [
                "podinit", "sysctl", "--check", "-w", "--", "a=1", "-b.c=2", "-d=3", "--e"
            ]
        );
    }

    #[test]
    fn the_value_of_an_option_stays_with_it() {
        assert_eq!(
            normal(&[
                "podinit", "--output", "sysctl", "sysctl", "--min", "-a=1", "-b=1", "--output",
                "json"
            ]),
            [
                "podinit", "--output", "sysctl", "sysctl", "--min", "-a=1", "--output", "json",
                "--", "-b=1"
            ]
        );
    }

    #[test]
    fn other_command_lines_are_left_alone() {
        for args in [
            ["podinit", "other", "-a=1"],
            ["podinit", "--output", "sysctl"],
        ] {
            assert_eq!(normal(&args), args);
        }
        assert_eq!(normal(&["podinit"]), ["podinit"]);
    }
}
