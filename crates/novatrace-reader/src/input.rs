//! Where the bytes come from: a file, standard input, memory; whole-file gzip and zstd are unpacked. Belongs here: what
//! a file is as a whole. Does not: packets.
//!
//! Files are read, not mapped: a block of 64 KiB stays in the cache until its packets are taken apart, so that mapping
//! saves nothing, and a file that is cut while it is read is then a signal that ends the program.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use crate::error::Error;

/// So many bytes tell what a file is: a tar archive's mark is at 257.
const START: u64 = 512;

/// A trace that can be read from its beginning, as often as need be.
#[derive(Debug, Clone)]
pub struct Source {
    path: PathBuf,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Path,
    /// What came through a pipe, in a file without a name.
    Spooled(Arc<File>),
    Bytes(Arc<[u8]>),
}

/// How a file is packed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// Not at all.
    Plain,
    /// By gzip, in one member or several.
    Gzip,
    /// By zstd.
    Zstd,
}

impl Source {
    /// The file at `path`; for `-`, what comes from standard input, and for a pipe, what comes from it: that is put into
    /// a temporary file without a name, since some of it may be read twice.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] if there is no such file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let fail = |error| Error::Read { path: path.to_owned(), error };
        if path.as_os_str() == "-" {
            return Self::spool(Path::new("standard input"), &mut io::stdin().lock());
        }
        let mut file = File::open(path).map_err(fail)?;
        let about = file.metadata().map_err(fail)?;
        if about.is_dir() {
            return Err(fail(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder")));
        }
        if !about.is_file() {
            return Self::spool(path, &mut file);
        }
        Ok(Self { path: path.to_owned(), kind: Kind::Path })
    }

    /// What comes through a pipe, in a file without a name. What does not begin like a trace is not copied: it may have no end.
    fn spool(path: &Path, from: &mut impl Read) -> Result<Self, Error> {
        let fail = |error| Error::Read { path: path.to_owned(), error };
        let mut start = Vec::new();
        from.by_ref().take(START).read_to_end(&mut start).map_err(fail)?;
        let mut file = tempfile::tempfile().map_err(fail)?;
        let this = Self { path: path.to_owned(), kind: Kind::Bytes([].into()) };
        this.packing(&start)?;
        file.write_all(&start).and_then(|()| io::copy(from, &mut file)).map_err(fail)?;
        Ok(Self { kind: Kind::Spooled(Arc::new(file)), ..this })
    }

    /// Bytes in memory, which messages call `name`.
    #[must_use]
    pub fn from_bytes(name: &str, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { path: name.into(), kind: Kind::Bytes(bytes.into()) }
    }

    /// What messages call it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes it has, as it is packed; 0 of one that is empty.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] if it is gone.
    pub fn file_len(&self) -> Result<u64, Error> {
        match &self.kind {
            Kind::Path => std::fs::metadata(&self.path).map(|about| about.len()),
            Kind::Spooled(file) => file.metadata().map(|about| about.len()),
            Kind::Bytes(bytes) => Ok(bytes.len() as u64),
        }
        .map_err(|error| self.fail(error))
    }

    pub(crate) fn fail(&self, error: io::Error) -> Error {
        Error::Read { path: self.path.clone(), error }
    }

    /// Its content from the beginning, and how it is packed.
    pub(crate) fn read(&self) -> Result<(Content, Packing), Error> {
        let mut raw: Box<dyn ReadSeek> = match &self.kind {
            Kind::Path => Box::new(File::open(&self.path).map_err(|error| self.fail(error))?),
            Kind::Spooled(file) => Box::new(At { file: Arc::clone(file), at: 0 }),
            Kind::Bytes(bytes) => Box::new(Cursor::new(Arc::clone(bytes))),
        };
        let mut start = Vec::new();
        let head = raw.by_ref().take(START).read_to_end(&mut start);
        head.and_then(|_| raw.seek(SeekFrom::Start(0))).map_err(|error| self.fail(error))?;
        let packing = self.packing(&start)?;
        let read: Box<dyn Read + Send> = match packing {
            Packing::Plain => raw,
            Packing::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 16, raw))),
            Packing::Zstd => {
                Box::new(zstd::stream::read::Decoder::new(raw).map_err(|error| self.fail(error))?)
            }
        };
        Ok((Content { read, is_packed: packing != Packing::Plain }, packing))
    }

    fn packing(&self, start: &[u8]) -> Result<Packing, Error> {
        let json = "it looks like a trace in the JSON format, which https://ui.perfetto.dev opens as it is";
        let (what, hint) = match start {
            // The trace processor looks no further either.
            [0x0A, ..] => return Ok(Packing::Plain),
            [0x1F, 0x8B, ..] => return Ok(Packing::Gzip),
            [0x28, 0xB5, 0x2F, 0xFD, ..] => return Ok(Packing::Zstd),
            [] => ("an empty file", Some("a recording that was closed has at least a header")),
            // An object, or a list of them.
            [b'{' | b'[', rest @ ..] if matches!(rest.trim_ascii_start(), [b'"' | b'{', ..]) => {
                ("text that begins like JSON", Some(json))
            }
            [b'P', b'K', 3, 4, ..] => ("a zip archive", Some("unpack it first")),
            [0x7F, b'E', b'L', b'F', ..] => ("a program", None),
            bytes if bytes.iter().all(|byte| *byte == 0) => {
                ("a file of zeros", Some("it was allocated, and never written"))
            }
            bytes if bytes.get(257..262) == Some(b"ustar") => {
                ("a tar archive", Some("unpack it first"))
            }
            bytes if bytes.is_ascii() => ("text", None),
            _ => ("a file that does not begin with a packet (byte 0x0A)", None),
        };
        Err(Error::NotATrace { path: self.path.clone(), what, hint })
    }
}

trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// A reader of a file whose handle is shared, with a place of its own.
struct At {
    file: Arc<File>,
    at: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(self.at))?;
        let read = file.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for At {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let mut file = &*self.file;
        if let SeekFrom::Current(_) = to {
            file.seek(SeekFrom::Start(self.at))?;
        }
        self.at = file.seek(to)?;
        Ok(self.at)
    }
}

/// A trace's packets as they would be in a plain file.
pub(crate) struct Content {
    read: Box<dyn Read + Send>,
    is_packed: bool,
}

/// Why there are no more bytes.
#[derive(Debug)]
pub(crate) enum End {
    /// That was all.
    Whole,
    /// What follows cannot be unpacked: it was cut or damaged.
    Packed,
}

impl Content {
    /// Appends up to `most` bytes; less only at the end, and then says why it is one.
    pub(crate) fn append(&mut self, buffer: &mut Vec<u8>, most: usize) -> io::Result<Option<End>> {
        let before = buffer.len();
        match self.read.by_ref().take(most as u64).read_to_end(buffer) {
            Ok(_) => Ok((buffer.len() - before < most).then_some(End::Whole)),
            // What the system says has a number; the rest is what the unpacking does.
            Err(error) if self.is_packed && error.raw_os_error().is_none() => Ok(Some(End::Packed)),
            Err(error) => Err(error),
        }
    }
}
