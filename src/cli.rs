//! The command line: global flags, and how arguments and environment become an invocation.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args as _, CommandFactory as _, FromArgMatches as _, Parser};

use crate::base::argument::BadArgument;
use crate::base::deadline::Limit;
use crate::base::failure::{Failure, Kind};
use crate::base::log;
use crate::base::termination;
use crate::base::text::one_line;
use crate::base::words::{Role, roles};
use crate::commands::{self, Command, Output};

mod environment;

/// Prepares the node and the shared volumes before a Pod's app starts.
///
/// Kubernetes runs it as an init container; the same binary runs on a laptop.
#[derive(Debug, Parser)]
#[command(name = "podinit", version, propagate_version = true, after_help = exit_codes())]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The flags that every command has.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Limit of the whole run: 500ms, 30s, 5m, 1h30m; 0 for none [default: 5m]
    #[arg(long, global = true, env = "PODINIT_TIMEOUT", value_name = "DURATION")]
    pub timeout: Option<Limit>,
    /// Form of the log lines on stderr
    #[arg(
        long,
        global = true,
        env = "PODINIT_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub log_format: log::Format,
    /// Least severe log line that is written
    #[arg(
        long,
        global = true,
        env = "PODINIT_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info"
    )]
    log_level: log::Threshold,
    /// More log lines: debug, given twice trace; beats --log-level
    #[arg(short, long, global = true, env = "PODINIT_VERBOSE", action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Only error lines; beats --log-level
    #[arg(short, long, global = true, env = "PODINIT_QUIET", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    quiet: bool,
    /// Read and plan, change nothing
    #[arg(long, global = true, env = "PODINIT_DRY_RUN", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub dry_run: bool,
    /// Form of the result on stdout
    #[arg(
        long,
        global = true,
        env = "PODINIT_OUTPUT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub output: Output,
    /// File for the termination message; it is never created
    #[arg(long, global = true, env = "PODINIT_TERMINATION_LOG", value_name = "PATH", default_value = termination::DEFAULT_PATH)]
    pub termination_log: PathBuf,
}

impl Global {
    /// The threshold that the three flags about logging add up to.
    pub fn threshold(&self) -> log::Threshold {
        match (self.quiet, self.verbose) {
            (true, _) => log::Threshold::Error,
            (false, 0) => self.log_level,
            (false, 1) => log::Threshold::Debug,
            (false, _) => log::Threshold::Trace,
        }
    }
}

/// The grammar of the whole command line. Help names the variables, never what is in them.
pub fn grammar() -> clap::Command {
    fn without_values(command: clap::Command) -> clap::Command {
        command
            .mut_args(|arg| arg.hide_env_values(true))
            .mut_subcommands(without_values)
    }
    without_values(Cli::command())
}

/// Why there is nothing to run.
#[derive(Debug)]
pub enum Refusal {
    /// Help or version was asked for: text for stdout, exit 0.
    Told(String),
    /// The arguments or the environment cannot be obeyed.
    Failed {
        /// Global flags as far as they could be read, to report in the form asked for.
        global: Option<Box<Global>>,
        /// The command that was named, if any.
        command: Option<String>,
        /// What is wrong.
        failure: Failure,
    },
}

/// Reads arguments and environment; nothing is touched.
///
/// # Errors
/// A request for help, or a usage failure.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    environment: &[(OsString, OsString)],
) -> Result<Cli, Refusal> {
    let args: Vec<OsString> = args.into_iter().collect();
    let names = environment::check_names(&grammar(), environment);
    let mut grammar = environment::without_unset(grammar(), environment);
    grammar.build();
    let attempt = names.and_then(|()| {
        let args = environment::add_repeated(&grammar, args.clone(), environment);
        let args = commands::normalise(&grammar, args);
        grammar
            .clone()
            .try_get_matches_from(args)
            .and_then(|matches| Cli::from_arg_matches(&matches))
            .map_err(|error| explain(&error, &grammar))
    });
    attempt.or_else(|failure| refuse(failure, &grammar, &args))
}

/// Help and version stand above a bad environment: somebody is looking for the way to mend it.
fn refuse(failure: Failure, grammar: &clap::Command, args: &[OsString]) -> Result<Cli, Refusal> {
    let told = grammar.clone().try_get_matches_from(args.iter().cloned());
    if let Err(error) = told
        && matches!(
            error.kind(),
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
        )
    {
        return Err(Refusal::Told(error.render().to_string()));
    }
    let (global, command) = salvage(grammar, args);
    Err(Refusal::Failed {
        global: global.map(Box::new),
        command,
        failure,
    })
}

/// The global flags and the command's name out of a command line that cannot be obeyed, so that the
/// refusal is told in the form and at the place that was asked for.
fn salvage(grammar: &clap::Command, args: &[OsString]) -> (Option<Global>, Option<String>) {
    let words = args.get(1..).unwrap_or_default();
    let command = roles(grammar, words, |_| false)
        .iter()
        .position(|role| *role == Role::Positional)
        .and_then(|at| grammar.find_subcommand(words.get(at)?));
    let known = Global::augment_args(clap::Command::new("podinit"));
    let read = |known: &clap::Command, words: &[OsString]| {
        let words = std::iter::once(OsString::from("podinit")).chain(words.iter().cloned());
        let matches = known.clone().try_get_matches_from(words).ok()?;
        Global::from_arg_matches(&matches).ok()
    };
    let without_environment = known.clone().mut_args(|arg| arg.env(None::<&str>));
    let roles = roles(command.unwrap_or(grammar), words, |_| false);
    let mut kept: Vec<OsString> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if roles[at] != Role::Option || !is_global(&known, word) {
            continue;
        }
        let length = if roles.get(at + 1) == Some(&Role::Value) {
            2
        } else {
            1
        };
        let option = &words[at..at + length];
        // A global flag may itself be what is wrong.
        if read(&without_environment, option).is_some() {
            kept.extend_from_slice(option);
        }
    }
    let global = read(&known, &kept).or_else(|| read(&without_environment, &kept));
    (
        global,
        command.map(|command| command.get_name().to_string()),
    )
}

fn is_global(known: &clap::Command, word: &OsStr) -> bool {
    let word = word.to_string_lossy();
    let name = word
        .trim_start_matches('-')
        .split('=')
        .next()
        .unwrap_or_default();
    known
        .get_arguments()
        .any(|arg| arg.get_long() == Some(name))
}

/// Turns clap's several lines into a reason and a hint.
fn explain(error: &clap::Error, grammar: &clap::Command) -> Failure {
    if matches!(
        error.kind(),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        let names: Vec<&str> = grammar
            .get_subcommands()
            .map(clap::Command::get_name)
            .collect();
        return Failure::new(Kind::Usage, "no command given")
            .hint(format!("one of {}; see podinit --help", names.join(", ")));
    }
    // A parser of ours names the argument itself, and knows which values must not be repeated.
    if let Some(ours) =
        std::error::Error::source(error).and_then(|source| source.downcast_ref::<BadArgument>())
    {
        return Failure::new(Kind::Usage, ours.reason.clone()).hint(ours.hint.clone());
    }
    let rendered = error.render().to_string();
    let mut tips = Vec::new();
    let mut reason = Vec::new();
    for line in rendered.lines().map(str::trim) {
        if let Some(tip) = line.strip_prefix("tip: ") {
            tips.push(tip.to_string());
        } else if line.starts_with("Usage:") {
            break;
        } else if !line.is_empty() && !line.starts_with("For more information") {
            reason.push(line.strip_prefix("error: ").unwrap_or(line).to_string());
        }
    }
    if let Some(ContextValue::String(allowed)) = error.get(ContextKind::SuggestedValue)
        && tips.is_empty()
    {
        tips.push(format!("did you mean {allowed}"));
    }
    if tips.is_empty() {
        tips.push("see --help".to_string());
    }
    Failure::new(Kind::Usage, one_line(&reason.join(" "))).hint(one_line(&tips.join("; ")))
}

/// The table of exit codes at the end of `--help`.
fn exit_codes() -> String {
    let mut table = "Exit codes:\n    0  done, or nothing to do\n".to_string();
    for kind in Kind::ALL {
        table.push_str(&format!("  {:>3}  {}\n", kind.exit_code(), kind.meaning()));
    }
    table.push_str("128+n  stopped by signal n");
    table
}
