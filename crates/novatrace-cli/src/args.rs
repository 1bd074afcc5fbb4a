//! What can be typed. NOT: what it means.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Write, look at and try out Perfetto traces.
#[derive(Debug, Parser)]
#[command(name = "novatrace", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Simulate a language model on an accelerator and trace it
    Demo(Demo),
}

/// Simulate a language model on an accelerator and trace it.
///
/// Runs a small accelerator simulator with and without a trace, and says what the run came to and
/// what tracing it cost. Look at the file at <https://ui.perfetto.dev>.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  novatrace demo
  novatrace demo --model gpt2 --hardware edge-1x2
  novatrace demo --model ./config.json --prompt-tokens 512 --decode-steps 16 -o big.pftrace")]
pub(crate) struct Demo {
    /// File to write the trace to; an existing file is replaced
    #[arg(short, long, value_name = "FILE", default_value = "accelerator.pftrace")]
    pub(crate) out: PathBuf,

    /// The model: a `config.json` as on model hubs (GPT-2 or Llama style), or llama-1.1b or gpt2
    #[arg(short, long, value_name = "FILE|NAME", default_value = accelerator::Model::DEFAULT)]
    pub(crate) model: String,

    /// The machine: a TOML description, or server-2x4 or edge-1x2
    #[arg(long, value_name = "FILE|NAME", default_value = accelerator::Hardware::DEFAULT)]
    pub(crate) hardware: String,

    /// Tokens of the prompt
    #[arg(long, value_name = "N", default_value_t = accelerator::Workload::default().prompt_tokens)]
    pub(crate) prompt_tokens: u64,

    /// Tokens generated one at a time after the first
    #[arg(long, value_name = "N", default_value_t = accelerator::Workload::default().decode_steps)]
    pub(crate) decode_steps: u64,

    /// Print nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn built_in_names_are_those_of_the_help() {
        let mut command = <Arguments as clap::CommandFactory>::command();
        let help = command.find_subcommand_mut("demo").unwrap().render_long_help().to_string();
        for name in accelerator::Model::built_in().chain(accelerator::Hardware::built_in()) {
            assert!(help.contains(name), "{name}");
        }
    }
}
