//! `podinit completions`: what a shell needs to complete the command line.

use super::{Outcome, Run};

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell to complete in
    #[arg(value_name = "SHELL")]
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args, run: &Run) -> Outcome {
    let Args { shell } = args;
    let mut script = Vec::new();
    clap_complete::generate(*shell, &mut run.grammar.clone(), "podinit", &mut script);
    Outcome {
        stdout: script,
        ending: Ok(format!("completions for {shell}")),
    }
}
