//! The binary `novatrace`.

use std::process::ExitCode;

fn main() -> ExitCode {
    novatrace_cli::main(std::env::args_os())
}
