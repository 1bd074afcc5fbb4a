//! `novatrace check`. NOT: looking for faults, which is the reader's.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use novatrace_reader::{Check as Checks, Finding, Report, Rule, Severity, Source, one_line};

use crate::args::{Check, Format};
use crate::progress;
use crate::units::{grouped, time};

/// Faults were found.
const FOUND: u8 = 1;
/// A file could not be read.
const UNREADABLE: u8 = 2;

pub(crate) fn run(check: &Check) -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    if check.rules {
        list_rules(&mut out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut status = 0;
    let mut reports = vec![];
    for file in &check.files {
        let report = Source::open(file).and_then(|source| {
            let bar = progress::of(&source, "checking");
            let report = Checks::new()
                .examples(check.examples)
                .run(&source, |bytes| bar.set_position(bytes));
            bar.finish_and_clear();
            report
        });
        match report {
            Ok(mut report) => {
                report.findings.retain(|found| !check.quiet || found.severity > Severity::Note);
                if !report.is_clean() {
                    status = status.max(FOUND);
                }
                if check.format == Format::Text {
                    tell(&mut out, &report)?;
                }
                reports.push(report);
            }
            Err(error) => {
                crate::complain(&error.into());
                status = UNREADABLE;
            }
        }
    }
    if check.format == Format::Json {
        serde_json::to_writer_pretty(&mut out, &reports).map_err(io::Error::from)?;
        writeln!(out)?;
    }
    out.flush()?;
    Ok(ExitCode::from(status))
}

fn tell(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let faults: u64 = report
        .findings
        .iter()
        .filter(|found| found.severity > Severity::Note)
        .map(|found| found.count)
        .sum();
    let verdict = match faults {
        0 => "no faults".to_owned(),
        1 => "1 fault".to_owned(),
        _ => format!("{} faults", grouped(faults)),
    };
    let (packets, events) = (grouped(report.packets), grouped(report.events));
    let path = report.path.display().to_string();
    writeln!(out, "{}: {verdict} in {packets} packets, {events} events", one_line(&path))?;
    for found in &report.findings {
        let times = if found.count == 1 {
            String::new()
        } else {
            format!(", {} times", grouped(found.count))
        };
        writeln!(out, "\n{}: {} [{}]{times}", found.severity, found.what, found.rule)?;
        writeln!(out, "  the viewer shows {}", found.shows)?;
        writeln!(out, "  to mend it: {}", found.mend)?;
        for finding in &found.examples {
            writeln!(out, "    {}", place(finding))?;
        }
        let more = found.count.saturating_sub(found.examples.len() as u64);
        if more > 0 && !found.examples.is_empty() {
            writeln!(out, "    ... and {} more", grouped(more))?;
        }
    }
    if !report.findings.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

fn place(finding: &Finding) -> String {
    let sequence = finding.sequence.map(|sequence| format!("sequence {sequence}"));
    let track = finding.track.as_ref().filter(|track| !track.is_empty());
    let track = track.map(|track| format!("track {track:?}"));
    let at = finding.ts.map(|ts| format!("at {}", time(ts)));
    let place = format!("packet {} at byte {}", finding.packet, finding.offset);
    let parts: Vec<String> = [Some(place), sequence, track, at].into_iter().flatten().collect();
    format!("{}: {}", parts.join(", "), one_line(&finding.detail))
}

fn list_rules(out: &mut impl Write) -> io::Result<()> {
    for rule in Rule::ALL {
        writeln!(out, "{}: {} ({})", rule.name(), rule.what(), rule.severity())?;
        writeln!(out, "  the viewer shows {}", rule.shows())?;
        writeln!(out, "  to mend it: {}", rule.mend())?;
    }
    Ok(())
}
