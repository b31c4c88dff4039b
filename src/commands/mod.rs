//! The subcommands: one module, one variant, one arm each.

mod completions;
mod fetch_secret;
mod man;
mod sysctl;
mod wait_for;

use crate::base::deadline::{Deadline, Limit};
use crate::base::environment::Environment;
use crate::base::failure::Failure;
use crate::base::successor::Successor;

pub use sysctl::argv::normalise;

/// Flags of one command, by their ids, with their other variables.
pub type Twins = &'static [(&'static str, &'static [&'static str])];

/// Other variables that a flag is read from, each with its command and flag: the first that is set
/// counts, after the flag itself and its own variable.
pub const TWINS: &[(&str, Twins)] = &[("fetch-secret", fetch_secret::TWINS)];

/// How the result looks on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// Lines for people.
    Text,
    /// One JSON document.
    Json,
}

/// What every command is told beside its own arguments.
#[derive(Debug)]
pub struct Run {
    /// When the run has to be over.
    pub deadline: Deadline,
    /// Read and plan, change nothing.
    pub dry_run: bool,
    /// The form of the result.
    pub output: Output,
    /// The variables that no flag reads, such as a token's.
    pub environment: Environment,
    /// The whole command line's grammar, for completions and manual pages.
    pub grammar: clap::Command,
    /// What takes podinit's place once the command has succeeded.
    pub successor: std::cell::OnceCell<Successor>,
}

/// How a command ended. It prints nothing itself: `main` does.
#[derive(Debug)]
pub struct Outcome {
    /// The result for stdout, with its final newline; may be there on failure too.
    pub stdout: Vec<u8>,
    /// A summary for the termination message, or why it failed.
    pub ending: Result<String, Failure>,
}

impl From<Failure> for Outcome {
    /// A failure before there was anything to show.
    fn from(failure: Failure) -> Self {
        Self {
            stdout: Vec::new(),
            ending: Err(failure),
        }
    }
}

/// What podinit can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Sysctl(sysctl::Args),
    FetchSecret(Box<fetch_secret::Args>),
    WaitFor(Box<wait_for::Args>),
    Completions(completions::Args),
    Man(man::Args),
}

impl Command {
    /// The name as typed.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sysctl(_) => "sysctl",
            Self::FetchSecret(_) => "fetch-secret",
            Self::WaitFor(_) => "wait-for",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }

    /// The limit of a run that names none.
    pub fn default_limit(&self) -> Limit {
        match self {
            Self::Sysctl(_)
            | Self::FetchSecret(_)
            | Self::WaitFor(_)
            | Self::Completions(_)
            | Self::Man(_) => Limit(Some(std::time::Duration::from_mins(5))),
        }
    }

    /// Does the work.
    pub async fn run(self, run: &Run) -> Outcome {
        match self {
            Self::Sysctl(args) => sysctl::run(args, run).await,
            Self::FetchSecret(args) => fetch_secret::run(*args, run).await,
            Self::WaitFor(args) => wait_for::run(*args, run).await,
            Self::Completions(args) => completions::run(&args, run),
            Self::Man(args) => man::run(&args, run),
        }
    }
}
