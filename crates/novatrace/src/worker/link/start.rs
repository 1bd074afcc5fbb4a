//! How a worker is started, in a thread or in a process of its own.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use novatrace_sink::{FileSink, random, spawn_own};

use super::{Link, Side};
use crate::error::{Error, ErrorKind};
use crate::name::Name;
use crate::process::{Message, Numbers, Program, Served};
use crate::profile;
use crate::sync;
use crate::worker::config::{Config, Worker};
use crate::worker::describe::Described;
use crate::worker::destination::Destination;
use crate::worker::run;

impl Link {
    /// Starts a worker in a thread.
    pub(crate) fn start(config: Config, destination: Destination) -> Result<Arc<Self>, Error> {
        let is_wanted = config.worker == Worker::Process;
        let why = is_wanted.then(|| "only a trace in a file can have one".to_owned());
        Self::start_thread(config, destination, why)
    }

    /// Starts the worker that the choices ask for, which is to write a file.
    pub(crate) fn start_file(config: Config, file: FileSink) -> Result<Arc<Self>, Error> {
        let mut why = None;
        if config.worker() == Worker::Process {
            match Self::start_process(config.clone(), &file) {
                Ok(link) => {
                    // The worker has it, with its lock.
                    file.hand_over();
                    return Ok(link);
                }
                Err(error) => why = Some(error.to_string()),
            }
        }
        let destination = Destination::file(file, &config);
        Self::start_thread(config, destination, why)
    }

    fn start_process(mut config: Config, file: &FileSink) -> io::Result<Arc<Self>> {
        sync::prepare_elsewhere();
        config.process = std::process::id();
        // Known to the worker from the start, by this number.
        let _ = Name::new("");
        let (first_flow, numbers) = random_numbers();
        let program = Program::start(&config, file, numbers)?;
        let link = Self::new(config, Side::Program(Arc::clone(&program)), first_flow, None);
        link.rows.tell(program);
        Ok(link)
    }

    fn start_thread(
        mut config: Config,
        destination: Destination,
        fallback: Option<String>,
    ) -> Result<Arc<Self>, Error> {
        sync::prepare();
        profile::prepare_for_forks();
        config.process = std::process::id();
        if let Some(why) = &fallback {
            log::warn!("the trace's worker is a thread and not a process: {why}");
        }
        let (first_flow, Numbers { uuid, first_uuid, first_explicit }) = random_numbers();
        let described = Described::new(first_uuid, first_explicit);
        let link = Self::new(config, Side::Thread, first_flow, fallback);
        let for_worker = Arc::clone(&link);
        link.spawn(move || run::run(&for_worker, destination, uuid, described))?;
        Ok(link)
    }

    pub(super) fn spawn(&self, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let thread = spawn_own("novatrace", work).map_err(ErrorKind::Worker)?;
        let _ = self.worker.set(thread.thread().clone()); // set once, by whoever starts the worker
        Ok(())
    }

    /// Is the worker of a program, until that has finished or is gone.
    pub(crate) fn serve(
        config: Config,
        served: Served,
        told: Vec<Message>,
        (trace, path): (File, Option<PathBuf>),
        uuid: u128,
        described: Described,
    ) {
        sync::prepare_elsewhere();
        let link = Self::new(config, Side::Worker(Arc::new(served)), 0, None);
        for message in told {
            link.hear(message);
        }
        let sink = FileSink::of_file(trace, path.clone().unwrap_or_default());
        let destination = Destination::file(sink, &link.config);
        run::run(&link, destination, uuid, described);
    }
}

/// A first flow, and what else tells traces apart.
fn random_numbers() -> (u64, Numbers) {
    let [high, low, first_flow, first_uuid, first_explicit] = random();
    let uuid = u128::from(high) << 64 | u128::from(low);
    (first_flow, Numbers { uuid, first_uuid, first_explicit })
}
