//! The command line: global flags, and how arguments and environment become an invocation.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory as _, FromArgMatches as _, Parser};

use crate::base::argument::BadArgument;
use crate::base::deadline::Limit;
use crate::base::failure::{Failure, Kind};
use crate::base::log;
use crate::base::termination;
use crate::base::text::one_line;
use crate::commands::{self, Command, Output};

mod environment;
mod salvage;

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
    without_values(environment::name_twins(Cli::command(), commands::TWINS))
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

/// The flags that say how much to log, in each spelling.
const LOUDNESS: [&str; 6] = ["--log-level", "--verbose", "--quiet", "-v", "-vv", "-q"];

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
    let grammar = environment::with_twins(grammar(), commands::TWINS, environment);
    let mut grammar = environment::without_unset(grammar, environment);
    if LOUDNESS
        .iter()
        .any(|flag| environment::is_given(&args, flag))
    {
        // How much to log is one question: a flag about it beats every variable about it.
        grammar = grammar.mut_args(|arg| match arg.get_long() {
            Some("log-level" | "verbose" | "quiet") => arg.env(None::<&str>),
            Some(_) | None => arg,
        });
    }
    grammar.build();
    let attempt = names.and_then(|()| {
        let words = environment::add_repeated(&grammar, args.clone(), environment);
        let words = commands::normalise(&grammar, words);
        grammar
            .clone()
            .try_get_matches_from(words)
            .and_then(|matches| Cli::from_arg_matches(&matches))
            .map_err(|error| explain(&error, &grammar, &args))
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
    let (global, command) = salvage::salvage(grammar, args);
    Err(Refusal::Failed {
        global: global.map(Box::new),
        command,
        failure,
    })
}

/// Turns clap's several lines into a reason and a hint.
fn explain(error: &clap::Error, grammar: &clap::Command, args: &[OsString]) -> Failure {
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
        let source = variable_of(error, grammar, args)
            .map_or_else(String::new, |name| format!(" (from the variable {name})"));
        let reason = format!("{}{source}", ours.reason);
        return Failure::new(Kind::Usage, reason).hint(ours.hint.clone());
    }
    let rendered = error.render().to_string();
    let mut tips = Vec::new();
    let mut reason: Vec<String> = Vec::new();
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
    if let Some(variable) = variable_of(error, grammar, args) {
        reason.push(format!("(from the variable {variable})"));
    }
    if tips.is_empty() {
        tips.push("see --help".to_string());
    }
    Failure::new(Kind::Usage, one_line(&reason.join(" "))).hint(one_line(&tips.join("; ")))
}

/// The variable that brought a value which cannot be read.
fn variable_of(error: &clap::Error, grammar: &clap::Command, args: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(named)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let flag = named
        .split(' ')
        .next()
        .filter(|flag| flag.starts_with("--"))?;
    if error.kind() == ErrorKind::ArgumentConflict || environment::is_given(args, flag) {
        return None;
    }
    let all = std::iter::once(grammar).chain(grammar.get_subcommands());
    let mut arguments = all.flat_map(clap::Command::get_arguments);
    let argument = arguments.find(|arg| arg.get_long() == flag.strip_prefix("--"))?;
    argument
        .get_env()
        .map(|name| name.to_string_lossy().into_owned())
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
