//! What is put in front of the sink that a trace is written into. Belongs here: what the environment has to say of
//! it. Does not: the sinks, which are in `novatrace-sink`.

use novatrace_sink::{Compressed, Compression, Sink};

use crate::error::{Error, ErrorKind};

/// Whoever runs a program can choose.
const COMPRESSION: &str = "NOVATRACE_COMPRESSION";

/// How a file is to be compressed: as chosen, or as the environment has it.
pub(crate) fn compression(chosen: Compression) -> Result<Compression, Error> {
    let Some(text) = std::env::var_os(COMPRESSION).filter(|text| !text.is_empty()) else {
        return Ok(chosen);
    };
    let parsed = text.to_string_lossy().parse();
    parsed.map_err(|source| ErrorKind::Environment { variable: COMPRESSION, source }.into())
}

pub(crate) fn compressed(sink: impl Sink + 'static, compression: Compression) -> Box<dyn Sink> {
    match compression {
        Compression::None => Box::new(sink),
        _ => Box::new(Compressed::new(sink, compression)),
    }
}
