//! The table at the end of a demo. NOT: measuring.

use std::time::Duration;

use accelerator::{Plan, Recorded, Summary};
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use novatrace::Stats;

use crate::units::{bytes as bytes_text, float, grouped};

/// Wall-clock times of the same run.
#[derive(Debug)]
pub(crate) struct Cost {
    /// Without a trace.
    pub(crate) untraced: Duration,
    /// With a trace, until the last event was handed over.
    pub(crate) recording: Duration,
    /// With a trace, until the file was complete.
    pub(crate) traced: Duration,
}

pub(crate) fn render(
    plan: &Plan,
    summary: &Summary,
    recorded: &Recorded,
    stats: &Stats,
    cost: &Cost,
) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    let title = format!("{} on {}", plan.model().name, plan.hardware().name);
    table.set_header([title.as_str(), "", "simulated"]);
    let mut row = |what: &str, value: String, remark: String| {
        table.add_row([what.to_owned(), value, remark]);
    };
    let prefill_s = seconds(summary.prefill_ps);
    let decode_s = seconds(summary.decode_ps);
    row(
        "prefill",
        format!("{:.3} ms", prefill_s * 1e3),
        format!(
            "{} tokens, {:.0} tokens/s",
            summary.prefill_tokens,
            per_second(summary.prefill_tokens, prefill_s)
        ),
    );
    if summary.decode_tokens > 0 {
        row(
            "decode",
            format!("{:.3} ms", decode_s * 1e3),
            format!(
                "{} tokens, {:.0} tokens/s",
                summary.decode_tokens,
                per_second(summary.decode_tokens, decode_s)
            ),
        );
    }
    row(
        "XPU busy",
        percent(summary.matrix_busy),
        format!("{} of peak operations", percent(summary.matrix_efficiency)),
    );
    row("VPU busy", percent(summary.vector_busy), String::new());
    row("DMA busy", percent(summary.dma_busy), String::new());
    row("L3 bandwidth used", percent(summary.l3_used), bytes_text(summary.l3_bytes));
    row("L2 hit rate", percent(summary.l2_hit_rate), String::new());
    if let Some(link) = summary.link_used {
        row("D2D bandwidth used", percent(link), String::new());
    }
    let total_s = prefill_s + decode_s;
    row(
        "energy",
        format!("{:.1} mJ", summary.energy_j * 1e3),
        format!("{:.1} W on average", summary.energy_j / total_s),
    );
    for column in table.column_iter_mut().skip(1).take(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let tracing = tracing(plan, recorded, stats, cost);
    format!("{}\n{}", table.trim_fmt(), tracing.trim_fmt())
}

fn tracing(plan: &Plan, recorded: &Recorded, stats: &Stats, cost: &Cost) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(["tracing", "", "measured"]);
    let events = float(recorded.events());
    let per_event = |time: Duration| time.as_secs_f64() * 1e9 / events;
    let millis = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1e3);
    let more = cost.recording.saturating_sub(cost.untraced);
    let whole = cost.traced.saturating_sub(cost.untraced);
    let rows = [
        [
            "events".to_owned(),
            grouped(recorded.events()),
            format!(
                "{} slices, {} counter samples, {} instants",
                grouped(recorded.slices),
                grouped(recorded.counter_samples),
                grouped(recorded.instants)
            ),
        ],
        ["arrows".to_owned(), grouped(recorded.arrows), "flows along dependencies".to_owned()],
        [
            "file".to_owned(),
            bytes_text(float(stats.bytes)),
            format!(
                "{:.1} bytes an event, {} extra lanes, {} dropped",
                float(stats.bytes) / events,
                stats.lanes,
                stats.dropped
            ),
        ],
        [
            "run untraced".to_owned(),
            millis(cost.untraced),
            format!("{} actions", grouped(plan.graph().actions.len() as u64)),
        ],
        [
            "run traced".to_owned(),
            millis(cost.recording),
            format!("{:.0} ns an event more", per_event(more)),
        ],
        [
            "file complete".to_owned(),
            millis(cost.traced),
            format!("{:.0} ns an event more", per_event(whole)),
        ],
    ];
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1).take(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn seconds(picoseconds: u64) -> f64 {
    float(picoseconds) * 1e-12
}

fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { float(count) / seconds } else { 0.0 }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
