//! The other side of streams: a file for each.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::address::{Address, Listener, Socket};
use super::frame::{Answer, COMPLETE, Said, StreamId};
use super::note::Note;
use crate::threads::spawn_own;
use crate::{FileSink, Sink};

/// Receives the streams of [`StreamSink`](super::StreamSink), and writes each into a file of its own: named
/// after the stream's name and number, `.pftrace`.
///
/// A batch is answered once the operating system has it, so that a stream whose connection is lost goes on with the
/// first that is missing. Beside a file that is not complete is a note of how far it is, `.pftrace.part`,
/// so that also a receiver that was killed and is started again, in the same folder, goes on.
///
/// Whoever can connect can write files into the folder: listen where only those can whom you trust.
#[derive(Debug)]
pub struct Receiver {
    listeners: Vec<Listener>,
    shared: Arc<Shared>,
}

/// What became of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Received {
    /// It has begun.
    Began {
        /// Its file.
        path: PathBuf,
    },
    /// It is complete.
    Completed {
        /// Its file.
        path: PathBuf,
        /// How many bytes it has.
        bytes: u64,
        /// How many batches the program had no room for, at its end.
        lost: u64,
    },
    /// Its connection was lost; it may go on.
    Paused {
        /// Its file.
        path: PathBuf,
        /// What is wrong, if it is more than that.
        why: Option<String>,
    },
    /// It was refused.
    Refused {
        /// What is wrong.
        why: String,
    },
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    streams: Mutex<HashMap<StreamId, Arc<Mutex<Stream>>>>,
}

#[derive(Debug)]
struct Stream {
    path: PathBuf,
    bytes: u64,
    /// The number of the batch that is to come.
    next: u64,
    /// Until it is complete.
    open: Option<(FileSink, Note)>,
}

impl Receiver {
    /// Listens at these addresses. A port of 0 is one that is free. The folder is created if it is not there.
    ///
    /// # Errors
    ///
    /// What the operating system says, with the address or the folder.
    pub fn bind(addresses: &[Address], folder: impl AsRef<Path>) -> io::Result<Self> {
        let folder = folder.as_ref();
        let told = |what: &dyn std::fmt::Display, error: io::Error| {
            io::Error::new(error.kind(), format!("{what}: {error}"))
        };
        std::fs::create_dir_all(folder).map_err(|error| {
            told(&format_args!("cannot write into `{}`", folder.display()), error)
        })?;
        let listeners = addresses.iter().map(|address| {
            Listener::bind(address)
                .map_err(|error| told(&format_args!("cannot listen at `{address}`"), error))
        });
        let shared = Shared { folder: folder.to_owned(), streams: Mutex::default() };
        Ok(Self { listeners: listeners.collect::<io::Result<_>>()?, shared: Arc::new(shared) })
    }

    /// Where it listens, with the ports that were chosen.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        self.listeners.iter().filter_map(|listener| listener.address().ok()).collect()
    }

    /// Receives, each stream on a thread of its own, and tells what becomes of them, from those threads. Does not
    /// end unless a listener fails.
    ///
    /// # Errors
    ///
    /// What the operating system says of a listener.
    pub fn run(self, tell: impl Fn(Received) + Send + Sync + 'static) -> io::Result<()> {
        let tell: Arc<Tell> = Arc::new(tell);
        let (failed, fail) = std::sync::mpsc::channel();
        for listener in self.listeners {
            let (shared, tell, failed) =
                (Arc::clone(&self.shared), Arc::clone(&tell), failed.clone());
            spawn_own("novatrace-accept", move || {
                let error = accept(&listener, &shared, &tell);
                let _ = failed.send(error);
            })?;
        }
        drop(failed);
        fail.recv().map_or(Ok(()), Err)
    }
}

type Tell = dyn Fn(Received) + Send + Sync;

fn accept(listener: &Listener, shared: &Arc<Shared>, tell: &Arc<Tell>) -> io::Error {
    loop {
        let socket = match listener.accept() {
            Ok(socket) => socket,
            Err(error) if is_passing(&error) => continue,
            Err(error) => return error,
        };
        let (shared, tell) = (Arc::clone(shared), Arc::clone(tell));
        let served = spawn_own("novatrace-stream", move || serve(socket, &shared, &*tell));
        if let Err(error) = served {
            return error;
        }
    }
}

/// A connection that was gone before it was taken.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// One connection, to its end.
fn serve(mut socket: Socket, shared: &Shared, tell: &Tell) {
    let (id, first, name) = match Said::read(&mut socket) {
        Ok(Some(Said::Hello { id, first, name })) => (id, first, name),
        Ok(None) => return,
        Ok(Some(_)) => return refuse(&mut socket, tell, "it does not say what it is".to_owned()),
        Err(error) => return refuse(&mut socket, tell, error.to_string()),
    };
    let stream = match shared.stream(id, first, &name, tell) {
        Ok(stream) => stream,
        Err(error) => return refuse(&mut socket, tell, error.to_string()),
    };
    let why = match receive(&mut socket, &stream, tell) {
        Ok(true) => return,
        Ok(false) => None,
        Err(Fault::Connection(error)) => Some(error.to_string()),
        Err(Fault::File(error)) => {
            let why = format!("cannot write `{}`: {error}", locked(&stream).path.display());
            return refuse(&mut socket, tell, why);
        }
    };
    let path = locked(&stream).path.clone();
    tell(Received::Paused { path, why });
}

fn refuse(socket: &mut Socket, tell: &Tell, why: String) {
    let _ = Answer::Refused(why.clone()).write(socket);
    tell(Received::Refused { why });
}

enum Fault {
    Connection(io::Error),
    File(io::Error),
}

/// Whether the stream is complete.
fn receive(socket: &mut Socket, stream: &Mutex<Stream>, tell: &Tell) -> Result<bool, Fault> {
    let next = locked(stream).wanted();
    Answer::Next(next).write(socket).map_err(Fault::Connection)?;
    while let Some(said) = Said::read(socket).map_err(Fault::Connection)? {
        let mut stream = locked(stream);
        match said {
            Said::Batch { number, packets } => {
                // What came by an earlier connection comes again if its answer was lost.
                if number == stream.next && stream.open.is_some() {
                    stream.write(&packets).map_err(Fault::File)?;
                } else if number > stream.next {
                    return Err(Fault::Connection(wrong("batches are missing")));
                }
            }
            Said::End { batches, lost } => {
                if batches != stream.next {
                    return Err(Fault::Connection(wrong("batches are missing at its end")));
                }
                let is_new = stream.finish().map_err(Fault::File)?;
                // First, since whoever is told may end the process.
                let _ = Answer::Done.write(socket);
                if is_new {
                    let (path, bytes) = (stream.path.clone(), stream.bytes);
                    tell(Received::Completed { path, bytes, lost });
                }
                return Ok(true);
            }
            Said::Hello { .. } => return Err(Fault::Connection(wrong("it begins twice"))),
        }
        let answer = Answer::Next(stream.wanted());
        drop(stream);
        answer.write(socket).map_err(Fault::Connection)?;
    }
    Ok(false)
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The stream of that number: the one that is known, the one that an earlier receiver has left, or a new one.
    fn stream(
        &self,
        id: StreamId,
        first: u64,
        name: &str,
        tell: &Tell,
    ) -> io::Result<Arc<Mutex<Stream>>> {
        let mut streams = locked(&self.streams);
        if let Some(stream) = streams.get(&id) {
            return Ok(Arc::clone(stream));
        }
        let path = self.folder.join(file_name(name, id));
        let stream = if let Some((note, next, bytes)) = Note::open(&path, id)? {
            let file = FileSink::append(&path, bytes).map_err(io::Error::other)?;
            Stream { path, bytes, next, open: Some((file, note)) }
        } else if path.exists() {
            // Complete; the answer was lost.
            let bytes = path.metadata()?.len();
            Stream { path, bytes, next: 0, open: None }
        } else if first > 0 {
            let why = "what came before is not in this folder; was it received elsewhere?";
            return Err(io::Error::other(why));
        } else {
            let file = FileSink::create(&path).map_err(io::Error::other)?;
            let note = Note::create(&path, id)?;
            tell(Received::Began { path: path.clone() });
            Stream { path, bytes: 0, next: 0, open: Some((file, note)) }
        };
        let stream = Arc::new(Mutex::new(stream));
        streams.insert(id, Arc::clone(&stream));
        Ok(stream)
    }
}

impl Stream {
    /// The number of the batch that is wanted.
    fn wanted(&self) -> u64 {
        if self.open.is_some() { self.next } else { COMPLETE }
    }

    fn write(&mut self, packets: &[u8]) -> io::Result<()> {
        let Some((file, note)) = &mut self.open else { return Ok(()) };
        file.write(packets)?;
        self.next += 1;
        self.bytes += packets.len() as u64;
        note.write(self.next, self.bytes)
    }

    /// Whether it was not complete before.
    fn finish(&mut self) -> io::Result<bool> {
        let Some((mut file, note)) = self.open.take() else { return Ok(false) };
        file.finish()?;
        note.remove()?;
        Ok(true)
    }
}

/// A name that is no path and tells streams apart.
fn file_name(name: &str, id: StreamId) -> String {
    let name = name.trim_start_matches('.').chars().take(60).map(|c| match c {
        'A'..='Z' | 'a'..='z' | '0'..='9' | '.' | '-' | '_' => c,
        _ => '_',
    });
    let id = u128::from_be_bytes(id) >> 80;
    format!("{}-{id:012x}.pftrace", name.collect::<String>())
}
