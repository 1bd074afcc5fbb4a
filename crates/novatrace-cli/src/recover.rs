//! `novatrace recover`. NOT: telling packets from damage, which is the reader's.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use novatrace_reader::{Source, one_line, recover};

use crate::args::Recover;
use crate::units::{bytes, float, grouped};

pub(crate) fn run(arguments: &Recover) -> Result<()> {
    let source = Source::open(&arguments.file)?;
    let to = arguments.out.clone().unwrap_or_else(|| beside(source.path()));
    let done = recover(&source, &to, arguments.keep_doubtful)?;
    let mut out = io::stdout().lock();
    let (packets, size) = (grouped(done.packets), bytes(float(done.bytes)));
    writeln!(out, "`{}` has {packets} packets, {size}", one_line(&to.display().to_string()))?;
    if done.is_whole() {
        writeln!(out, "nothing was lost: the trace was whole")?;
    }
    for (offset, len) in done.damaged.iter().take(20) {
        writeln!(out, "lost: {len} bytes from byte {offset} on are no whole packets")?;
    }
    if done.damaged.len() > 20 {
        writeln!(out, "lost: ... and bytes at {} more places", done.damaged.len() - 20)?;
    }
    if done.damaged_bundles > 0 {
        writeln!(out, "lost: the ends of {} compressed bundles", grouped(done.damaged_bundles))?;
    }
    if done.malformed > 0 {
        writeln!(
            out,
            "lost: {} packets with bytes in them that are no field",
            grouped(done.malformed)
        )?;
    }
    if done.doubtful > 0 {
        let doubtful = grouped(done.doubtful);
        if arguments.keep_doubtful {
            writeln!(
                out,
                "doubtful: {doubtful} packets come after a gap, and are shown too early by what is lost of it"
            )?;
        } else {
            writeln!(
                out,
                "left out: {doubtful} packets after a gap, whose times are not known; --keep-doubtful has them, too early"
            )?;
        }
    }
    out.flush()?;
    Ok(())
}

/// `a.recovered.pftrace` for `a.pftrace`.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_stem().map_or_else(|| OsString::from("trace"), OsString::from);
    name.push(".recovered");
    if let Some(ending) = path.extension() {
        name.push(".");
        name.push(ending);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_is_beside_the_trace() {
        assert_eq!(beside(Path::new("d/a.pftrace")), Path::new("d/a.recovered.pftrace"));
        assert_eq!(beside(Path::new("a")), Path::new("a.recovered"));
    }
}
