//! There is no worker in another process on this system: a trace that asks for one has a thread.
#![expect(clippy::needless_pass_by_value, clippy::unused_self, reason = "as where there is one")]

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use novatrace_sink::FileSink;

use crate::error::Error;
use crate::record::{Drain, Ring};
use crate::worker::{Asked, Config, Row, Stats};

/// Nothing is ever told.
#[derive(Debug)]
#[expect(dead_code, reason = "as where there is one")]
pub(crate) enum Message {
    Name(String),
    Site { name: Option<u32>, category: u32 },
    Row(RowFacts),
    Edit { index: u32, row: RowFacts, what: String, property: String },
    Ring { ring: RingFacts, before: Vec<(u64, u64)> },
    Thread { id: u64, ring: RingFacts, tid: u32, name: String, system_name: Option<String> },
    Grown { thread: u64, ring: RingFacts },
    Ended { thread: u64, token: u64, ticks: u64 },
    Taken { thread: u64 },
    Named { thread: u64, name: String },
    Over { thread: u64, name: Option<String> },
    End([u64; 4]),
    Hello(Infallible),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct RingFacts {
    pub(crate) offset: u64,
}

#[derive(Debug)]
pub(crate) struct RowFacts;

impl From<&Row> for RowFacts {
    fn from(_: &Row) -> Self {
        Self
    }
}

impl RowFacts {
    pub(crate) fn into_row(self) -> Row {
        unreachable!("nobody tells of a row")
    }
}

#[derive(Debug, Default)]
pub(crate) struct ReportFacts {
    pub(crate) threads: u64,
    pub(crate) losses: Vec<(String, u32, u64)>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbers {
    pub(crate) uuid: u128,
    pub(crate) first_uuid: u64,
    pub(crate) first_explicit: u64,
}

/// There is none.
#[derive(Debug)]
pub(crate) struct Program(Infallible);

impl Program {
    pub(crate) fn start(_: &Config, _: &FileSink, _: Numbers) -> io::Result<Arc<Self>> {
        Err(io::Error::other("this system has no worker in a process of its own"))
    }

    pub(crate) fn send(&self, _: &Message) {}

    pub(crate) fn ring(&self, _: usize) -> Option<(Arc<Ring>, RingFacts)> {
        match self.0 {}
    }

    pub(crate) fn wake(&self) {}

    pub(crate) fn wake_if_asleep(&self) {}

    pub(crate) fn is_dead(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn bury(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn is_alive(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn is_done(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn ask_flush(&self) -> u64 {
        match self.0 {}
    }

    pub(crate) fn ask_finish(&self) {}

    pub(crate) fn wait_for_flush(&self, _: u64) {}

    pub(crate) fn wait_for_finish(&self) {}

    pub(crate) fn stats(&self) -> Stats {
        match self.0 {}
    }

    pub(crate) fn error(&self) -> Option<Error> {
        match self.0 {}
    }

    pub(crate) fn report(&self) -> ReportFacts {
        match self.0 {}
    }

    pub(crate) fn path(&self) -> &Path {
        match self.0 {}
    }

    pub(crate) fn take_over(&self) -> Kept {
        match self.0 {}
    }

    pub(crate) fn cut(&self) -> (u64, u64) {
        match self.0 {}
    }
}

pub(crate) struct Kept {
    pub(crate) rings: Vec<Arc<Ring>>,
    pub(crate) events: u64,
    pub(crate) lost: u64,
}

/// There is none.
#[derive(Debug)]
pub(crate) struct Served(Infallible);

impl Served {
    pub(crate) fn receive(&self, _: impl FnMut(Message)) {}

    pub(crate) fn drain(&self, _: RingFacts) -> Option<Drain> {
        match self.0 {}
    }

    pub(crate) fn asked(&self) -> Asked {
        match self.0 {}
    }

    pub(crate) fn sleep(&self, _: Duration, _: impl FnOnce() -> bool) {}

    pub(crate) fn answer(&self, _: u64, _: Stats) {}

    pub(crate) fn fail(&self, _: &Error) {}

    pub(crate) fn written(&self, _: u64, _: u64) {}

    pub(crate) fn ready(&self) {}

    pub(crate) fn is_gone(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn done(&self, _: Stats, _: ReportFacts) {}
}

pub(crate) fn tell_name(_: &str) {}

pub(crate) fn row_settled(row: String, _: &str) -> Error {
    crate::error::ErrorKind::RowSettled { row, property: "property" }.into()
}

pub(crate) fn is_asked_for() -> Option<bool> {
    None
}

pub(crate) fn can_serve() {}

/// Nothing is started.
pub fn set_command(_: Vec<OsString>) {}

/// Nobody serves.
#[must_use]
pub fn serve(_: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    None
}
