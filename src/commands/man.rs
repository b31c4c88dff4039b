//! `podinit man`: the manual pages, as roff.

use super::{Outcome, Run};
use crate::base::failure::{Failure, Kind};

/// Print the manual page of podinit or of one of its commands
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The command whose page is wanted; without it, podinit's own
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

pub(super) fn run(args: &Args, run: &Run) -> Outcome {
    page(args, run.grammar.clone()).map_or_else(Outcome::from, |(name, stdout)| Outcome {
        stdout,
        ending: Ok(format!("manual page of {name}")),
    })
}

fn page(args: &Args, mut grammar: clap::Command) -> Result<(String, Vec<u8>), Failure> {
    let Args { command } = args;
    grammar.build();
    let subject = match command {
        None => &grammar,
        Some(name) => grammar
            .find_subcommand(name)
            .ok_or_else(|| unknown(name, &grammar))?,
    };
    let name = subject.get_display_name().unwrap_or(subject.get_name());
    let mut roff = Vec::new();
    clap_mangen::Man::new(subject.clone().name(name.to_string()))
        .render(&mut roff)
        .map_err(|error| Failure::caused_by(Kind::Bug, error).context("render the manual page"))?;
    Ok((name.to_string(), roff))
}

fn unknown(name: &str, grammar: &clap::Command) -> Failure {
    let commands: Vec<&str> = grammar
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    Failure::new(Kind::Usage, format!("no command `{name}`"))
        .hint(format!("one of {}", commands.join(", ")))
}
