//! Starting the worker's process, and looking whether a process is there.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, PipeWriter};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::profile;
use crate::worker::Worker;

/// The argument by which a program knows that it is a worker.
pub(super) const ARGUMENT: &str = "__novatrace_worker";

/// The program that runs calls [`serve`](super::serve) first of all.
static CAN_SERVE: AtomicBool = AtomicBool::new(false);
/// What to start, if it is not the binary `novatrace`.
static COMMAND: Mutex<Option<Vec<OsString>>> = Mutex::new(None);

/// This program can be started as a worker.
pub(crate) fn can_serve() {
    CAN_SERVE.store(true, Ordering::Relaxed);
}

/// What workers are started with: a program and its arguments, to which the one that says so is added.
pub fn set_command(command: Vec<OsString>) {
    *COMMAND.lock().unwrap_or_else(PoisonError::into_inner) = Some(command);
}

/// Starts a worker with the memory and the trace. `pid` is to wait for its number, which is 0 if it has
/// none; the worker is gone if what `pid` is given [is over](is_over).
pub(super) fn start(
    memory: File,
    trace: &File,
    pid: impl FnOnce(&PipeWriter) -> u32,
) -> io::Result<(OwnedFd, PipeWriter)> {
    let (life, writer) = io::pipe()?;
    let mut command = command()?;
    // The three descriptors that every process is born with, so that none has to be passed by number.
    // It is no program to be traced.
    command.env_remove(profile::CHILD_VARIABLE);
    command.arg(ARGUMENT).stdin(memory).stdout(trace.try_clone()?).stderr(Stdio::from(life));
    let program = command.get_program().to_string_lossy().into_owned();
    let told = |error| io::Error::other(format!("cannot start the worker `{program}`: {error}"));
    // It forks, and ends: the worker itself is nobody's child, for whom nobody has to wait.
    let status = command.status();
    drop(command);
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => {
            return Err(told(format!("it ended with {status}; it has to be of this very version")));
        }
        // The program waits for whatever child there is, or for none: its end has been seen elsewhere.
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => {}
        Err(error) => return Err(told(error.to_string())),
    }
    let pid = pid(&writer);
    let worker = open(pid).map_err(|error| told(error.to_string()))?;
    Ok((worker, writer))
}

/// The environment variable, if it is set.
fn variable() -> Option<OsString> {
    std::env::var_os("NOVATRACE_WORKER").filter(|value| !value.is_empty())
}

/// Where whoever runs the program wants the worker, if that is said.
pub(crate) fn asked_for() -> Option<Worker> {
    variable()?.to_str().and_then(Worker::of_word)
}

/// What is started: as told by `NOVATRACE_WORKER`, as the program has said, the program itself if it can
/// serve, or the binary `novatrace` beside it or on the path.
fn command() -> io::Result<Command> {
    if let Some(path) = variable().filter(|_| asked_for().is_none()) {
        return Ok(Command::new(path));
    }
    if let Some(words) = &*COMMAND.lock().unwrap_or_else(PoisonError::into_inner)
        && let Some((program, arguments)) = words.split_first()
    {
        let mut command = Command::new(program);
        command.args(arguments);
        return Ok(command);
    }
    let own = std::env::current_exe();
    if CAN_SERVE.load(Ordering::Relaxed) {
        return own.map(Command::new);
    }
    // Tests and examples lie one level deeper than binaries.
    let own = own.unwrap_or_default();
    let beside = own.ancestors().skip(1).take(2).map(Path::to_owned);
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside
        .chain(std::env::split_paths(&path))
        .find_map(|folder| binary(&folder))
        .map(Command::new)
        .ok_or_else(|| {
            io::Error::other(
                "there is no binary `novatrace` beside the program or on the path; \
             install it, or name it in NOVATRACE_WORKER",
            )
        })
}

fn binary(folder: &Path) -> Option<PathBuf> {
    let path = folder.join("novatrace");
    (!folder.as_os_str().is_empty() && path.is_file()).then_some(path)
}

/// Whether this process was started as a worker.
pub(super) fn is_worker(mut arguments: impl Iterator<Item = OsString>) -> bool {
    arguments.any(|argument| argument == OsStr::new(ARGUMENT))
}

/// A descriptor of a process, by which its end is seen, whoever has its number then.
pub(super) fn open(pid: u32) -> io::Result<OwnedFd> {
    if pid == 0 {
        return Err(io::Error::other("it did not say that it runs"));
    }
    // SAFETY: a number and flags.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::c_long::from(pid), 0) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, and nobody else's; it is closed on exec.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether a descriptor of a process or of a pipe says that the other side is over.
pub(super) fn is_over(fd: &impl AsRawFd) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, which is valid.
    let answer = unsafe { libc::poll(&raw mut poll, 1, 0) };
    answer > 0 && poll.revents & (libc::POLLIN | libc::POLLHUP | libc::POLLERR) != 0
}
