//! From a path to the sink that a trace is written into, and what is put in front of it. Belongs here: what the
//! environment has to say of it. Does not: the sinks, which are in `novatrace-sink`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use novatrace_sink::{Address, Compression, FileSink, StreamSink};

use crate::error::{Error, ErrorKind};
use crate::rotate;
use crate::worker::{Config, Destination, Link};

/// What a path stands for.
pub(crate) enum Target {
    File(FileSink),
    Stream(Destination),
}

impl Target {
    /// Creates the file, compressed as chosen, or as the environment has it; or begins the stream, if it is the
    /// address of one.
    pub(crate) fn open(path: &Path, config: &mut Config) -> Result<Self, Error> {
        // Before the file is touched.
        config.compression = compression(config.compression)?;
        let address = Address::of_path(path);
        let url = path.to_str().filter(|path| is_object(path));
        if address.is_some() || url.is_some() {
            rotate::refuse(config)?;
        }
        if let Some(url) = url {
            let destination = object(url, config.compression)?;
            return Ok(Self::Stream(destination));
        }
        match address {
            None => Ok(Self::File(rotate::create(config, path)?)),
            Some(address) => {
                let address = address.map_err(ErrorKind::Address)?;
                let stream = StreamSink::new(address, &config.process_name());
                let path = Some(path.to_owned());
                Ok(Self::Stream(Destination::sink(stream, config.compression, path)))
            }
        }
    }

    /// The plain file, if it is one.
    pub(crate) fn file(&self) -> Option<&FileSink> {
        match self {
            Self::File(file) => Some(file),
            Self::Stream(..) => None,
        }
    }

    /// Starts the worker.
    pub(crate) fn start(self, config: Config) -> Result<Arc<Link>, Error> {
        match self {
            Self::File(file) => Link::start_file(config, file),
            Self::Stream(destination) => Link::start(config, destination),
        }
    }
}

/// `run.12.pftrace` for `run.pftrace`.
pub(crate) fn numbered(path: &Path, number: impl fmt::Display) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!(".{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// Whoever runs a program can choose.
const COMPRESSION: &str = "NOVATRACE_COMPRESSION";

/// Whether a path is the URL of an object in a store.
fn is_object(path: &str) -> bool {
    let schemes = ["s3", "s3a", "gs", "az", "adl", "azure", "abfs", "abfss", "file"];
    path.split_once("://").is_some_and(|(scheme, _)| schemes.contains(&scheme))
}

#[cfg(feature = "object-store")]
fn object(url: &str, compression: Compression) -> Result<Destination, Error> {
    let object = novatrace_sink::ObjectSink::create(url).map_err(ErrorKind::Create)?;
    Ok(Destination::sink(object, compression, Some(url.into())))
}

#[cfg(not(feature = "object-store"))]
fn object(url: &str, _: Compression) -> Result<Destination, Error> {
    Err(ErrorKind::NoObjectStores { url: url.to_owned() }.into())
}

/// How a trace is to be compressed: as chosen, or as the environment has it.
pub(crate) fn compression(chosen: Compression) -> Result<Compression, Error> {
    let Some(text) = std::env::var_os(COMPRESSION).filter(|text| !text.is_empty()) else {
        return Ok(chosen);
    };
    let parsed = text.to_string_lossy().parse();
    parsed.map_err(|source| ErrorKind::Environment { variable: COMPRESSION, source }.into())
}
