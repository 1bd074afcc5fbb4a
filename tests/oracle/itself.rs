//! A test that is a program too: it runs itself in a process of its own, and looks at what that leaves.

use std::path::{Path, PathBuf};
use std::process::Command;

const PLACE: &str = "NOVATRACE_TEST_CHILD";

/// Where this process is to write, if it is such a program.
pub(crate) fn place() -> Option<PathBuf> {
    std::env::var_os(PLACE).map(PathBuf::from)
}

/// The test of that name, of this file, as a program that writes there.
pub(crate) fn program(test: &str, place: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the system says"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(PLACE, place);
    command
}
