//! `novatrace dump`. NOT: text of packets, which is the reader's.

use std::io::{self, BufWriter, Write};

use anyhow::Result;
use novatrace_reader::{Dump as Dumps, Source};

use crate::args::Dump;

pub(crate) fn run(dump: Dump) -> Result<()> {
    let source = Source::open(&dump.file)?;
    let mut dumps = Dumps::new().between(dump.from, dump.to).kinds(dump.kind).plain(dump.plain);
    if let Some(glob) = dump.track {
        dumps = dumps.tracks(move |path| novatrace::__macro_support::matches(&glob, path));
    }
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    dumps.run(&source, &mut out)??;
    out.flush()?;
    Ok(())
}
