//! `novatrace info`. NOT: counting, which is the reader's.

use std::io::{self, Write};

use anyhow::Result;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use novatrace_reader::{Info as Facts, Source, TrackFacts, TrackKind, one_line};

use crate::args::{Format, Info};
use crate::progress;
use crate::units::{about, bytes, float, grouped, time};

pub(crate) fn run(info: &Info) -> Result<()> {
    let source = Source::open(&info.file)?;
    let bar = progress::of(&source, "reading");
    let facts = Facts::of(&source, |bytes| bar.set_position(bytes));
    bar.finish_and_clear();
    let facts = facts?;
    let mut out = io::stdout().lock();
    match info.format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, &facts).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        Format::Text => tell(&mut out, &facts, info.top)?,
    }
    out.flush()?;
    Ok(())
}

fn tell(out: &mut impl Write, facts: &Facts, top: usize) -> io::Result<()> {
    writeln!(out, "{}", summary(facts))?;
    writeln!(out, "\n{}", tracks(&facts.tracks, 4 * top))?;
    if !facts.slices.is_empty() {
        writeln!(out, "\n{}", slices(facts, top))?;
    }
    if !facts.counters.is_empty() {
        writeln!(out, "\n{}", counters(facts, top))?;
    }
    writeln!(out, "\n{}", kinds(facts))
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    let width = console::Term::stdout().size_checked().map(|(_, columns)| columns);
    table.set_width(width.filter(|columns| *columns > 0).unwrap_or(120));
    table.set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn summary(facts: &Facts) -> String {
    let mut lines = vec![];
    let mut line = |what: &str, value: String| {
        lines.push(format!("{:<12}{}", format!("{} ", one_line(what)), one_line(&value)));
    };
    line("file", facts.path.display().to_string());
    let packing = match facts.packing {
        novatrace_reader::Packing::Plain => String::new(),
        packing => format!(", as {packing:?}").to_lowercase(),
    };
    let bundles = facts.bundles.map_or_else(String::new, |bundles| {
        let ratio = float(bundles.unpacked) / float(bundles.packed).max(1.0);
        format!(
            ", {} bundles of {} in all, unpacked ({ratio:.1} times)",
            bundles.count,
            bytes(float(bundles.unpacked))
        )
    });
    line("size", format!("{}{packing}{bundles}", bytes(float(facts.bytes))));
    line("written by", facts.writer.clone());
    if let (Some(start), Some(end)) = (facts.start_ns, facts.end_ns) {
        line("time", format!("{}, from {} to {}", about(end - start), time(start), time(end)));
    }
    let sequences = if facts.sequences == 1 {
        "1 sequence".to_owned()
    } else {
        format!("{} sequences", facts.sequences)
    };
    line("packets", format!("{} on {sequences}", grouped(facts.packets)));
    line("clocks", facts.clocks.join(", "));
    for (key, value) in facts.attributes.iter().filter(|(key, _)| !key.starts_with("producer")) {
        line(key, value.clone());
    }
    let mut lost = vec![];
    if facts.losses > 0 {
        lost.push(format!("packets were dropped at {} places", grouped(facts.losses)));
    }
    if facts.damaged_bytes > 0 {
        lost.push(format!("{} are damaged", bytes(float(facts.damaged_bytes))));
    }
    if facts.left_open > 0 {
        lost.push(format!("{} slices never end", grouped(facts.left_open)));
    }
    line(
        "lost",
        if lost.is_empty() { "nothing is said to be".to_owned() } else { lost.join(", ") },
    );
    lines.join("\n")
}

fn tracks(tracks: &[TrackFacts], most: usize) -> String {
    let mut table = table(&["track", "slices", "instants", "samples", "busy"]);
    let number = |count: u64| if count == 0 { String::new() } else { grouped(count) };
    for track in tracks.iter().take(most) {
        let indent = "  ".repeat(track.depth.min(20));
        let mark = match track.kind {
            Some(TrackKind::Counter) => " (counter)",
            Some(TrackKind::State) => " (state)",
            _ => "",
        };
        let busy = if track.busy_ns > 0 { about(track.busy_ns) } else { String::new() };
        let name = format!("{indent}{}{mark}", one_line(&track.name));
        table.add_row([
            name,
            number(track.slices),
            number(track.instants),
            number(track.samples),
            busy,
        ]);
    }
    let more = tracks.len().saturating_sub(most);
    let text = table.trim_fmt();
    if more > 0 {
        format!("{text}\n  ... and {more} more tracks; --top or --format json for more")
    } else {
        text
    }
}

fn slices(facts: &Facts, top: usize) -> String {
    let mut table = table(&["slices, by total time", "count", "total", "self", "mean", "longest"]);
    for name in facts.slices.iter().take(top) {
        let mean = name.total_ns / i64::try_from(name.count).unwrap_or(i64::MAX).max(1);
        table.add_row([
            one_line(&name.name).into_owned(),
            grouped(name.count),
            about(name.total_ns),
            about(name.self_ns),
            about(mean),
            about(name.max_ns),
        ]);
    }
    let more = facts.slices.len().saturating_sub(top);
    let text = table.trim_fmt();
    if more > 0 { format!("{text}\n  ... and {} more names", grouped(more as u64)) } else { text }
}

fn counters(facts: &Facts, top: usize) -> String {
    let mut table = table(&["counter", "samples", "lowest", "highest", "last", "unit"]);
    for counter in facts.counters.iter().take(top) {
        table.add_row([
            one_line(&counter.path).into_owned(),
            grouped(counter.samples),
            value(counter.min),
            value(counter.max),
            value(counter.last),
            one_line(counter.unit.as_deref().unwrap_or_default()).into_owned(),
        ]);
    }
    let more = facts.counters.len().saturating_sub(top);
    let text = table.trim_fmt();
    if more > 0 { format!("{text}\n  ... and {more} more counters") } else { text }
}

fn value(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        format!("{value}")
    } else {
        format!("{value:.3}")
    }
}

fn kinds(facts: &Facts) -> String {
    let mut table = table(&["kind of data", "packets", "bytes", "share", "bytes each"]);
    let all: u64 = facts.kinds.iter().map(|kind| kind.bytes).sum();
    for kind in &facts.kinds {
        table.add_row([
            kind.kind.clone(),
            grouped(kind.packets),
            bytes(float(kind.bytes)),
            format!("{:.1} %", 100.0 * float(kind.bytes) / float(all).max(1.0)),
            format!("{:.1}", float(kind.bytes) / float(kind.packets).max(1.0)),
        ]);
    }
    table.trim_fmt()
}
