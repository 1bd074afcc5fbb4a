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
    /// Look for faults in traces, also those that the viewer is silent about
    Check(Check),
    /// Say what a trace is and what is in it
    Info(Info),
    /// Print a trace's events as text
    Dump(Dump),
    /// Copy what can be read of a cut or damaged trace
    Recover(Recover),
    /// Receive the traces of running programs, a file for each
    Receive(Receive),
}

/// Look for faults in traces, whichever tool wrote them.
///
/// Each is told with its place, what the viewer shows because of it, and how the writer avoids it. Most
/// faults of a trace are silent in the viewer. The exit status is 0 if there is none (notes are none), 1 if there are, 2
/// if a file cannot be read.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  novatrace check out.pftrace
  novatrace check --format json *.pftrace
  curl -s https://example.com/trace | novatrace check -")]
pub(crate) struct Check {
    /// Traces, plain or compressed; - for standard input
    #[arg(required_unless_present = "rules", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// How to tell
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,

    /// How many places to tell for each fault
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) examples: usize,

    /// Leave notes out, which are no faults
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// List all rules, and look at no file
    #[arg(long, exclusive = true)]
    pub(crate) rules: bool,
}

/// Say what a trace is and what is in it.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  novatrace info out.pftrace
  novatrace info --top 20 out.pftrace
  novatrace info --format json out.pftrace | jq .tracks")]
pub(crate) struct Info {
    /// A trace, plain or compressed; - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// How to tell
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,

    /// How many rows of each table to tell
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) top: usize,
}

/// Print a trace's events as text, a line for each, in the order of the file.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  novatrace dump out.pftrace | less
  novatrace dump --track '*/core 0*' --from 1.2ms --to 1.3ms out.pftrace
  diff <(novatrace dump --plain a.pftrace) <(novatrace dump --plain b.pftrace)")]
pub(crate) struct Dump {
    /// A trace, plain or compressed; - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Only events of tracks whose path this glob fits
    #[arg(long, value_name = "GLOB")]
    pub(crate) track: Option<String>,

    /// Only events at or after this time of the trace: nanoseconds, or with us, ms or s
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) from: Option<i64>,

    /// Only events before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) to: Option<i64>,

    /// Only packets of these kinds
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(crate) kind: Vec<novatrace_reader::DumpKind>,

    /// Without packet numbers and offsets, which differ where nothing else does
    #[arg(long)]
    pub(crate) plain: bool,
}

/// Copy what can be read of a cut or damaged trace.
///
/// The copy has the whole packets of the file, those of damaged bundles too. Packets whose times cannot be known
/// any more, since the deltas before them are lost, are left out. What was lost is told.
#[derive(Args, Debug)]
pub(crate) struct Recover {
    /// The damaged trace
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Where to write the copy; default: the name with `.recovered` before its ending
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Keep packets after a gap though their times may be too early
    #[arg(long)]
    pub(crate) keep_doubtful: bool,
}

/// Receive the traces of running programs, and write each into a file of its own.
///
/// A program's trace comes here if its path is the address: `novatrace.open("tcp://localhost:9011")`. If the
/// connection is lost, or this program is ended and started again in the same folder, it goes on without a gap.
/// The paths of complete files go to standard output. Whoever can connect can write files: listen where only those can
/// whom you trust.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  novatrace receive -o traces
  novatrace receive --listen unix:/run/novatrace.sock --listen tcp://0.0.0.0:9011
  novatrace receive --count 1 & novatrace demo --out tcp://localhost:9011")]
pub(crate) struct Receive {
    /// Where to listen, `tcp://host:port` or `unix:/path`; more than once if wanted
    #[arg(short, long, value_name = "ADDR", default_value = "tcp://localhost:9011")]
    pub(crate) listen: Vec<novatrace::Address>,

    /// The folder to write to; created if it is not there
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,

    /// End after so many complete traces
    #[arg(short, long, value_name = "N")]
    pub(crate) count: Option<usize>,

    /// Say nothing but the paths of complete traces
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// How results are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// A time such as `1500`, `1.5us`, `3ms` or `2s`, in nanoseconds.
fn time(text: &str) -> Result<i64, String> {
    let (number, scale) = [("ns", 1e0), ("us", 1e3), ("ms", 1e6), ("s", 1e9)]
        .into_iter()
        .find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)))
        .unwrap_or((text, 1.0));
    let number: f64 = number
        .trim()
        .parse()
        .map_err(|_| "not a time such as 1500, 1.5us, 3ms or 2s".to_owned())?;
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    Ok((number * scale).round() as i64)
}

/// Simulate a language model on an accelerator and trace it.
///
/// Runs a small accelerator simulator with and without a trace, and says what the run came to and
/// what tracing it cost. Look at the file at <https://ui.perfetto.dev>.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  novatrace demo
  novatrace demo --compression zlib:6
  novatrace demo --model gpt2 --hardware edge-1x2
  novatrace demo --model ./config.json --prompt-tokens 512 --decode-steps 16 -o big.pftrace")]
pub(crate) struct Demo {
    /// File to write the trace to, which is replaced; or tcp://host:port, where `novatrace receive` is
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

    /// How to compress the trace: none, zlib, zstd, or with a level as in zlib:6
    #[arg(short, long, value_name = "CODEC", default_value_t = novatrace::Compression::None)]
    pub(crate) compression: novatrace::Compression,

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
    fn times_have_units() {
        assert_eq!(
            [time("1500"), time("1.5us"), time("3ms"), time("2s")],
            [Ok(1_500), Ok(1_500), Ok(3_000_000), Ok(2_000_000_000)]
        );
        assert!(time("soon").is_err());
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
