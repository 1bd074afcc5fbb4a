//! There is no worker in another process on this system: a trace that asks for one has a thread.

mod message;

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
use crate::worker::{Asked, Config, Stats};

use message::RingFacts;
pub(crate) use message::{Message, Numbers, ReportFacts, RowFacts, row_settled};

/// There is none.
#[derive(Debug)]
pub(crate) struct Program(Infallible);

impl Program {
    pub(crate) fn start(_: &Config, _: &FileSink, _: Numbers) -> io::Result<Arc<Self>> {
        Err(io::Error::other("this system has no worker in a process of its own"))
    }

    pub(crate) fn send(&self, _: &Message) {
        match self.0 {}
    }

    pub(crate) fn ring(&self, _: usize) -> Option<(Arc<Ring>, RingFacts)> {
        match self.0 {}
    }

    pub(crate) fn wake(&self) {
        match self.0 {}
    }

    pub(crate) fn wake_if_asleep(&self) {
        match self.0 {}
    }

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

    pub(crate) fn ask_finish(&self) {
        match self.0 {}
    }

    pub(crate) fn wait_for_flush(&self, _: u64) {
        match self.0 {}
    }

    pub(crate) fn wait_for_finish(&self) {
        match self.0 {}
    }

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

    pub(crate) fn leave(&self) {
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
    pub(crate) fn receive(&self, _: impl FnMut(Message)) {
        match self.0 {}
    }

    pub(crate) fn drain(&self, _: RingFacts) -> Option<Drain> {
        match self.0 {}
    }

    pub(crate) fn asked(&self) -> Asked {
        match self.0 {}
    }

    pub(crate) fn sleep(&self, _: Duration, _: impl FnOnce() -> bool) {
        match self.0 {}
    }

    pub(crate) fn answer(&self, _: u64, _: Stats) {
        match self.0 {}
    }

    pub(crate) fn fail(&self, _: &Error) {
        match self.0 {}
    }

    pub(crate) fn written(&self, _: u64, _: u64) {
        match self.0 {}
    }

    pub(crate) fn ready(&self) {
        match self.0 {}
    }

    pub(crate) fn is_cut_off(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn done(&self, _: Stats, _: ReportFacts) {
        match self.0 {}
    }
}

pub(crate) fn tell_name(_: &str) {}

pub(crate) fn asked_for() -> Option<crate::Worker> {
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
