//! The binary `novatrace`.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = novatrace::serve_worker() {
        return code;
    }
    novatrace_cli::main(std::env::args_os())
}
