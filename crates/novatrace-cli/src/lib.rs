//! The `novatrace` command line: arguments, one library call, text. NOT: knowledge of bytes. A library, so that the
//! Python package has it too.
//!
//! Results go to stdout, remarks to stderr. The exit code is 0, 1 for an error, 2 for wrong usage;
//! a reader that closes the pipe is no error.

mod args;
mod check;
mod demo;
mod dump;
mod info;
mod progress;
mod receive;
mod recover;
mod table;
mod units;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Command};

/// Does what a command line says, the program's name first, and answers how it went: 0, 1 for an error, 2 for
/// wrong usage.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help, the version, or what is wrong; a closed pipe is no matter.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let result = match arguments.command {
        Command::Demo(demo) => demo::run(&demo).map(|()| ExitCode::SUCCESS),
        Command::Check(check) => check::run(&check),
        Command::Info(info) => info::run(&info).map(|()| ExitCode::SUCCESS),
        Command::Dump(dump) => dump::run(dump).map(|()| ExitCode::SUCCESS),
        Command::Receive(receive) => receive::run(&receive).map(|()| ExitCode::SUCCESS),
        Command::Recover(recover) => recover::run(&recover).map(|()| ExitCode::SUCCESS),
    };
    match result {
        Ok(status) => status,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the program's one place for errors")]
fn complain(error: &anyhow::Error) {
    eprintln!("error: {}", novatrace_reader::one_line(&format!("{error:#}")));
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
