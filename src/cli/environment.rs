//! The environment as a source of flags. clap reads single values; here is what it has no rule for:
//! empty and false ones, one item a line for repeatable flags, and names that no flag has.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use clap::{Arg, ArgAction, Command};

use crate::base::failure::{Failure, Kind};
use crate::base::text::nearest;
use crate::base::words::{Role, roles};
use crate::commands::Twins;

const PREFIX: &str = "PODINIT_";

/// Forgets the variables that say nothing: set but empty, or a switch set to a false word.
///
/// clap would take the first for a value, and the second for a flag that was given.
pub(super) fn without_unset(grammar: Command, environment: &[(OsString, OsString)]) -> Command {
    let says_nothing = |arg: &Arg| {
        let Some(value) = arg.get_env().and_then(|name| lookup(environment, name)) else {
            return false;
        };
        let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
        value.as_bytes().trim_ascii().is_empty() || (is_switch && is_false(value))
    };
    grammar
        .mut_args(|arg| {
            if says_nothing(&arg) {
                arg.env(None::<&str>)
            } else {
                arg
            }
        })
        .mut_subcommands(|command| without_unset(command, environment))
}

/// Names the twins of each flag's variable in its help.
pub(super) fn name_twins(grammar: Command, twins: &[(&'static str, Twins)]) -> Command {
    each_twin(grammar, twins, |arg, names| {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        arg.help(format!("{help} [env: {}]", names.join(", ")))
    })
}

/// Lets a flag whose own variable says nothing be read from the first of its twins that says
/// something.
pub(super) fn with_twins(
    grammar: Command,
    twins: &[(&'static str, Twins)],
    environment: &[(OsString, OsString)],
) -> Command {
    let speaks = |name: &OsStr| lookup(environment, name).is_some_and(|value| !value.is_empty());
    each_twin(grammar, twins, |arg, names| {
        let own = arg.get_env().is_some_and(speaks);
        match names.iter().find(|name| speaks(OsStr::new(name))) {
            Some(name) if !own => arg.env(*name),
            Some(_) | None => arg,
        }
    })
}

fn each_twin(
    mut grammar: Command,
    twins: &[(&'static str, Twins)],
    change: impl Fn(Arg, &[&'static str]) -> Arg,
) -> Command {
    for (command, flags) in twins {
        grammar = grammar.mut_subcommand(*command, |command| {
            flags.iter().fold(command, |command, (flag, names)| {
                command.mut_arg(*flag, |arg| change(arg, names))
            })
        });
    }
    grammar
}

/// The words that clap's own boolish parser takes for no.
fn is_false(value: &OsStr) -> bool {
    const FALSE: [&str; 6] = ["n", "no", "f", "false", "off", "0"];
    value
        .to_str()
        .is_some_and(|text| FALSE.contains(&text.to_lowercase().as_str()))
}

pub(super) fn lookup<'a>(
    environment: &'a [(OsString, OsString)],
    name: &OsStr,
) -> Option<&'a OsStr> {
    environment
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_os_str())
}

/// Refuses `PODINIT_*` variables that no flag reads: a typo there would be obeyed by nobody.
///
/// # Errors
/// `Usage`, with the nearest name that exists.
pub(super) fn check_names(
    grammar: &Command,
    environment: &[(OsString, OsString)],
) -> Result<(), Failure> {
    let mut known = HashSet::new();
    collect_names(grammar, &mut known);
    let present: HashSet<&str> = environment
        .iter()
        .filter_map(|(name, _)| name.to_str())
        .collect();
    let mut unknown: Vec<String> = environment
        .iter()
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with(PREFIX))
        .filter(|name| !known.contains(name) && !is_service_link(name, &present))
        .collect();
    unknown.sort_unstable();
    let Some(first) = unknown.first() else {
        return Ok(());
    };
    let mend = match nearest(first, known.iter().map(String::as_str), 3) {
        Some(name) => format!("did you mean {name}"),
        None => "unset it; --help names the variable of each flag".to_string(),
    };
    Err(Failure::new(
        Kind::Usage,
        format!("no flag reads the environment variable {first}"),
    )
    .hint(mend))
}

fn collect_names(grammar: &Command, names: &mut HashSet<String>) {
    names.extend(
        grammar
            .get_arguments()
            .filter_map(Arg::get_env)
            .map(|name| name.to_string_lossy().into_owned()),
    );
    for command in grammar.get_subcommands() {
        collect_names(command, names);
    }
}

/// Whether Kubernetes has put the variable there for a Service whose name begins with `podinit`.
///
/// For a Service `podinit-x` a Pod sees `PODINIT_X_SERVICE_HOST`, `…_SERVICE_PORT…`, `…_PORT` and
/// `…_PORT_<n>_TCP…`; the first of them is the proof. A Service `podinit` needs none: its names
/// cannot be a flag's.
fn is_service_link(name: &str, present: &HashSet<&str>) -> bool {
    ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"]
        .into_iter()
        .any(|part| {
            name.match_indices(part).any(|(at, _)| {
                let (service, rest) = (&name[..at], &name[at + part.len()..]);
                let is_whole =
                    rest.is_empty() || (part != "_SERVICE_HOST" && rest.starts_with('_'));
                let is_known = service == "PODINIT"
                    || (service.starts_with(PREFIX)
                        && present.contains(format!("{service}_SERVICE_HOST").as_str()));
                is_whole && is_known
            })
        })
}

/// Adds the lines of a repeatable flag's variable as arguments, unless the flag itself is given.
/// `grammar` has to be built.
pub(super) fn add_repeated(
    grammar: &Command,
    mut args: Vec<OsString>,
    environment: &[(OsString, OsString)],
) -> Vec<OsString> {
    let at = roles(grammar, args.get(1..).unwrap_or_default(), |_| false)
        .iter()
        .position(|role| *role == Role::Positional)
        .map_or(args.len(), |place| place + 1);
    let Some(command) = args.get(at).and_then(|name| grammar.find_subcommand(name)) else {
        return args;
    };
    let mut added = Vec::new();
    for arg in command.get_arguments() {
        let (Some(long), Some(name)) = (arg.get_long(), arg.get_env()) else {
            continue;
        };
        let flag = format!("--{long}");
        if !matches!(arg.get_action(), ArgAction::Append) || is_given(&args, &flag) {
            continue;
        }
        let lines = lookup(environment, name).unwrap_or_default().as_bytes();
        for line in lines.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
            if !line.is_empty() {
                added.push(OsString::from_vec([flag.as_bytes(), b"=", line].concat()));
            }
        }
    }
    args.splice(at + 1..at + 1, added);
    args
}

/// Whether `--flag` or `--flag=…` stands among the options.
pub(super) fn is_given(args: &[OsString], flag: &str) -> bool {
    args.iter()
        .take_while(|arg| *arg != "--")
        .filter_map(|arg| arg.as_bytes().strip_prefix(flag.as_bytes()))
        .any(|rest| rest.is_empty() || rest.starts_with(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grammar() -> Command {
        Command::new("podinit").subcommand(
            Command::new("sysctl")
                .arg(
                    Arg::new("check")
                        .long("check")
                        .env("PODINIT_CHECK")
                        .action(ArgAction::SetTrue),
                )
                .arg(
                    Arg::new("min")
                        .long("min")
                        .env("PODINIT_MIN")
                        .action(ArgAction::Append),
                ),
        )
    }

    fn environment(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    fn verdict(names: &[&str]) -> Result<(), String> {
        let pairs: Vec<(&str, &str)> = names.iter().map(|name| (*name, "1")).collect();
        check_names(&grammar(), &environment(&pairs))
            .map_err(|failure| format!("{failure}; {}", failure.mend().unwrap_or_default()))
    }

    #[test]
    fn a_typo_is_refused_with_the_name_that_was_meant() {
        assert_eq!(
            verdict(&["PODINIT_CHEKC", "PODINIT_MIN"]),
            Err(
                "no flag reads the environment variable PODINIT_CHEKC; did you mean PODINIT_CHECK"
                    .into()
            )
        );
        assert!(verdict(&["PODINIT_", "PATH"]).is_err());
        assert_eq!(verdict(&["PODINIT", "XPODINIT_FOO"]), Ok(()));
    }

    #[test]
    fn service_links_are_nobodys_typo() {
        assert_eq!(
            verdict(&[
                "PODINIT_SERVICE_HOST",
                "PODINIT_SERVICE_PORT",
                "PODINIT_SERVICE_PORT_HTTP",
                "PODINIT_PORT",
                "PODINIT_PORT_80_TCP_ADDR",
            ]),
            Ok(())
        );
        assert_eq!(
            verdict(&["PODINIT_WEB_SERVICE_HOST", "PODINIT_WEB_PORT_80_TCP"]),
            Ok(())
        );
        for typo in ["PODINIT_WEB_PORT", "PODINIT_PORTX", "PODINIT_SERVICE_HOSTS"] {
            assert!(verdict(&[typo]).is_err(), "{typo}");
        }
    }

    #[test]
    fn each_line_of_a_repeatable_flag_is_an_item_unless_the_flag_is_given() {
        let environment = environment(&[("PODINIT_MIN", "a=1\n\n b=2 \n")]);
        let add = |args: &[&str]| {
            let args = args.iter().map(OsString::from).collect();
            add_repeated(&grammar(), args, &environment)
        };
        assert_eq!(
            add(&["podinit", "sysctl", "--check"]),
            ["podinit", "sysctl", "--min=a=1", "--min=b=2", "--check"]
        );
        for given in [
            ["podinit", "sysctl", "--min"],
            ["podinit", "sysctl", "--min=c=3"],
            ["podinit", "other", "x"],
        ] {
            assert_eq!(add(&given), given);
        }
    }

    #[test]
    fn a_twin_is_read_when_the_flags_own_variable_says_nothing() {
        let read = |pairs: &[(&str, &str)]| {
            let twins: Twins = &[("min", &["BAO_MIN", "VAULT_MIN"])];
            let environment = environment(pairs);
            let grammar = name_twins(grammar(), &[("sysctl", twins)]);
            let grammar = with_twins(grammar, &[("sysctl", twins)], &environment);
            let command = grammar.find_subcommand("sysctl").unwrap();
            let arg = command
                .get_arguments()
                .find(|arg| arg.get_id() == "min")
                .unwrap();
            assert!(arg.get_help().unwrap().to_string().contains("VAULT_MIN"));
            arg.get_env().unwrap().to_string_lossy().into_owned()
        };
        let (own, bao, vault) = (("PODINIT_MIN", "1"), ("BAO_MIN", "2"), ("VAULT_MIN", "3"));
        assert_eq!(read(&[vault, bao, own]), "PODINIT_MIN");
        assert_eq!(read(&[("PODINIT_MIN", ""), vault, bao]), "BAO_MIN");
        assert_eq!(read(&[vault, ("BAO_MIN", "")]), "VAULT_MIN");
        assert_eq!(read(&[]), "PODINIT_MIN");
    }

    #[test]
    fn empty_and_false_variables_are_forgotten() {
        let reads = |name: &str, value: &str| {
            let grammar = without_unset(grammar(), &environment(&[(name, value)]));
            let command = grammar.find_subcommand("sysctl").unwrap().clone();
            command
                .get_arguments()
                .any(|arg| arg.get_env() == Some(OsStr::new(name)))
        };
        assert!(reads("PODINIT_CHECK", "true"));
        for word in ["", "False", "0", "no"] {
            assert!(!reads("PODINIT_CHECK", word), "{word}");
        }
        assert!(!reads("PODINIT_MIN", ""));
        assert!(!reads("PODINIT_MIN", " \n"));
        assert!(reads("PODINIT_MIN", "0"));
    }
}
