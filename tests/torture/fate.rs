//! What happens to a program, from within or from without.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::notes::Notes;
use super::program::{Plan, Worker};
use super::wait_for_writer;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// It is asked to stop, and closes the trace.
    Closed,
    /// SIGKILL.
    Killed,
    /// SIGTERM.
    Terminated,
    /// SIGSTOP, SIGCONT, and SIGKILL.
    StoppedAndKilled,
    Aborted,
    /// A panic unwinds what has the trace.
    Panicked,
    /// `_exit`.
    LeftAtOnce,
    /// It has no more memory.
    OutOfMemory,
    /// It forks, the child goes on, and it is killed.
    ForkedAndKilled,
    /// Its worker is killed, and it goes on.
    WorkerKilled,
    /// There is no room for the file.
    DiskFull,
    /// A write to the file fails with `EIO`, at a moment that nobody knows beforehand.
    DiskFails,
    /// The file is removed, and it is killed.
    FileRemoved,
    /// The file is cut to half of what it has.
    FileCut,
    /// Whoever reads the pipe that it writes to does not for a while; it is killed meanwhile.
    ReaderStalled,
}

impl Fate {
    pub(crate) const ALL: [Self; 15] = [
        Self::Closed,
        Self::Killed,
        Self::Terminated,
        Self::StoppedAndKilled,
        Self::Aborted,
        Self::Panicked,
        Self::LeftAtOnce,
        Self::OutOfMemory,
        Self::ForkedAndKilled,
        Self::WorkerKilled,
        Self::DiskFull,
        Self::DiskFails,
        Self::FileRemoved,
        Self::FileCut,
        Self::ReaderStalled,
    ];

    /// What is to be before the program begins.
    pub(crate) fn prepare(self, plan: &Plan) {
        if self == Self::DiskFails {
            fail_writes(plan.ms % 8);
        }
    }

    /// What a program does to itself, when its time has come.
    pub(crate) fn happen(self) {
        match self {
            Self::Aborted => std::process::abort(),
            Self::Panicked => panic!("as planned"),
            // SAFETY: it ends the process, and needs nothing.
            Self::LeftAtOnce => unsafe { libc::_exit(3) },
            Self::OutOfMemory => {
                let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
                let pages = statm.split(' ').next().and_then(|pages| pages.parse::<u64>().ok());
                let bytes = pages.expect("a number") * 4096 + (64 << 20);
                let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
                // SAFETY: `limit` is valid.
                assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
                let mut all = vec![];
                loop {
                    all.push(std::hint::black_box(vec![1_u8; 1 << 20]));
                }
            }
            Self::ForkedAndKilled => fork(),
            _ => {}
        }
    }

    /// Runs a program to its end, and says where the trace is.
    pub(crate) fn run(
        self,
        mut command: Command,
        path: &Path,
        notes: &Notes,
        plan: &Plan,
    ) -> PathBuf {
        if self == Self::ReaderStalled {
            return stall(command, path, notes, plan);
        }
        let mut child = command.spawn().expect("it starts");
        wait_until(&mut child, || notes.is_ready());
        let moment = Duration::from_millis(plan.ms);
        let mut found = path.to_owned();
        if matches!(
            self,
            Self::Closed
                | Self::Killed
                | Self::Terminated
                | Self::StoppedAndKilled
                | Self::DiskFails
        ) {
            std::thread::sleep(moment);
        }
        match self {
            Self::Closed | Self::DiskFails => notes.stop(),
            Self::Killed => signal(&child, libc::SIGKILL),
            Self::Terminated => signal(&child, libc::SIGTERM),
            Self::StoppedAndKilled => {
                signal(&child, libc::SIGSTOP);
                std::thread::sleep(Duration::from_millis(20));
                signal(&child, libc::SIGCONT);
                std::thread::sleep(moment / 4);
                signal(&child, libc::SIGKILL);
            }
            Self::ForkedAndKilled => {
                std::thread::sleep(moment + Duration::from_millis(10));
                signal(&child, libc::SIGKILL);
            }
            Self::WorkerKilled => {
                std::thread::sleep(moment);
                let worker = writer(path, child.id()).expect("it has a worker");
                // SAFETY: a number.
                unsafe { libc::kill(worker, libc::SIGKILL) };
                std::thread::sleep(Duration::from_millis(30));
                notes.stop();
            }
            Self::DiskFull => {
                let writer = match plan.worker {
                    Worker::Thread => i32::try_from(child.id()).expect("a process"),
                    Worker::Process => writer(path, child.id()).expect("it has a worker"),
                };
                let bytes = 10_000 + 100 * plan.ms;
                let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
                let none = std::ptr::null_mut();
                // SAFETY: `limit` is valid, and no old one is asked for.
                unsafe { libc::prlimit(writer, libc::RLIMIT_FSIZE, &raw const limit, none) };
                std::thread::sleep(moment);
                notes.stop();
            }
            Self::FileCut => {
                std::thread::sleep(moment);
                let file = File::options().write(true).open(path).expect("it is there");
                let len = || file.metadata().expect("it is there").len();
                wait_until(&mut child, || len() > 2_000);
                file.set_len(len() / 2).expect("writable");
                std::thread::sleep(Duration::from_millis(30));
                notes.stop();
            }
            Self::FileRemoved => {
                std::thread::sleep(moment);
                let kept = File::open(path).expect("it is there");
                std::fs::remove_file(path).expect("it is there");
                signal(&child, libc::SIGKILL);
                child.wait().expect("it was started");
                kept.lock().expect("a file that can be locked");
                found = path.with_extension("found");
                let mut copy = File::create(&found).expect("writable");
                std::io::copy(&mut &kept, &mut copy).expect("both are files");
                return found;
            }
            _ => {}
        }
        child.wait().expect("it was started");
        wait_for_writer(path);
        found
    }
}

/// Has the kernel refuse, with `EIO`, one in eight of the writes that are as long as batches: those whose length leaves this
/// remainder. So it is for this thread, the threads and processes that it starts, and for ever.
fn fail_writes(remainder: u64) {
    const SHORTEST: u32 = 256;
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: u16::try_from(code).expect("small"),
        jt: 0,
        jf: 0,
        k,
    };
    let jump = |code: u32, k: u32, jf: u8| libc::sock_filter {
        jf,
        ..statement(libc::BPF_JMP | libc::BPF_K | code, k)
    };
    let load = |at: usize| {
        let at = u32::try_from(at).expect("small");
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at)
    };
    let allow = statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW);
    let errno = u32::try_from(libc::EIO).expect("small");
    let number = std::mem::offset_of!(libc::seccomp_data, nr);
    // The lower half of the third argument, which is the length.
    let length = std::mem::offset_of!(libc::seccomp_data, args) + 2 * 8;
    let mut filter = [
        load(number),
        jump(libc::BPF_JEQ, u32::try_from(libc::SYS_write).expect("small"), 5),
        load(length),
        jump(libc::BPF_JGE, SHORTEST, 3),
        statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 7),
        jump(libc::BPF_JEQ, u32::try_from(remainder).expect("small"), 1),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | errno),
        allow,
    ];
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).expect("small"),
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: numbers; it lets a process without privileges restrict itself.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the program is valid, and is copied.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) }, 0);
}

/// Reads a pipe only after the program was killed.
fn stall(mut command: Command, path: &Path, notes: &Notes, plan: &Plan) -> PathBuf {
    let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("no NUL");
    // SAFETY: a text with an end.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let mut child = command.spawn().expect("it starts");
    let mut pipe = File::open(path).expect("the program opens the other end");
    wait_until(&mut child, || notes.is_ready());
    std::thread::sleep(Duration::from_millis(plan.ms));
    signal(&child, libc::SIGKILL);
    child.wait().expect("it was started");
    let found = path.with_extension("found");
    let mut bytes = vec![];
    pipe.read_to_end(&mut bytes).expect("a pipe");
    std::fs::write(&found, bytes).expect("writable");
    found
}

/// Makes a child, which records nothing, whatever it calls.
fn fork() {
    // SAFETY: the child does what a child may do: it calls what looks for its session first, and leaves.
    if unsafe { libc::fork() } == 0 {
        for event in 0..1_000_u64 {
            let _span = novatrace::trace!("work", t = 0_u64, i = event);
        }
        // SAFETY: it ends the process, and needs nothing.
        unsafe { libc::_exit(0) };
    }
}

fn signal(child: &Child, signal: libc::c_int) {
    let id = i32::try_from(child.id()).expect("a process");
    // SAFETY: a process that has not been waited for, and so no other's number.
    unsafe { libc::kill(id, signal) };
}

fn wait_until(child: &mut Child, is: impl Fn() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(60), "the program does not get ready");
        if let Ok(Some(status)) = child.try_wait() {
            assert!(is(), "the program ended with {status}");
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// The process that has the file open, other than the program.
fn writer(path: &Path, program: u32) -> Option<i32> {
    let processes = std::fs::read_dir("/proc").ok()?;
    let ids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id: &i32| i64::from(*id) != i64::from(program)).find(|id| {
        let files = std::fs::read_dir(format!("/proc/{id}/fd"));
        let mut links = files.into_iter().flatten().flatten();
        links.any(|entry| std::fs::read_link(entry.path()).is_ok_and(|link| link == path))
    })
}
