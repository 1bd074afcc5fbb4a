//! `novatrace demo`. NOT: the simulator, which is the `accelerator` package.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use accelerator::{Hardware, Model, Plan, Untraced, Workload, simulate, trace};
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use novatrace::TraceGenerator;

use crate::args::Demo;
use crate::progress;
use crate::table::{self, Cost};

pub(crate) fn run(demo: &Demo) -> Result<()> {
    let model = Model::open(&demo.model)?;
    let hardware = Hardware::open(&demo.hardware)?;
    let workload = Workload { prompt_tokens: demo.prompt_tokens, decode_steps: demo.decode_steps };
    let plan = Plan::new(model, hardware, workload)?;
    // Before the work: a file that cannot be written should not cost a simulation.
    let generator = TraceGenerator::builder()
        .attribute("model", plan.model().name.as_str())
        .attribute("hardware", plan.hardware().name.as_str())
        .compression(demo.compression)
        .create(&demo.out)
        .with_context(|| format!("cannot write the trace to `{}`", demo.out.display()))?;

    let actions = plan.graph().actions.len() as u64;
    let bar = if demo.quiet {
        ProgressBar::hidden()
    } else {
        let template = "{msg:20} [{wide_bar}] {human_pos} of {human_len} actions, {eta} left";
        progress::bar(3 * actions, template)
    };
    bar.set_message("simulating, untraced");
    let before = untraced(&plan, |ended| bar.set_position(ended));

    bar.set_message("simulating, traced");
    let started = Instant::now();
    let (summary, recorded) = trace(&plan, &generator, |ended| bar.set_position(actions + ended))?;
    let recording = started.elapsed();
    let stats =
        generator.finish().with_context(|| format!("cannot complete `{}`", demo.out.display()))?;
    let traced = started.elapsed();
    bar.set_message("simulating, untraced");
    // Twice, since whichever run comes first warms the machine for the others.
    let after = untraced(&plan, |ended| bar.set_position(2 * actions + ended));
    bar.finish_and_clear();

    if demo.quiet {
        return Ok(());
    }
    let cost = Cost { untraced: before.min(after), recording, traced };
    let mut out = io::stdout().lock();
    writeln!(out, "{}", table::render(&plan, &summary, &recorded, &stats, &cost))?;
    writeln!(
        out,
        "\nThe trace is in `{}`. To look at it, open https://ui.perfetto.dev and drag the file in;\n\
         nothing is uploaded. The button above the names of the rows opens all groups, and a click on\n\
         a slice shows what it waits for and its cost. Keys: w and s zoom, a and d move, f frames what\n\
         is selected.",
        demo.out.display()
    )?;
    out.flush()?;
    Ok(())
}

/// Wall-clock time of the run without a trace.
fn untraced(plan: &Plan, progress: impl FnMut(u64)) -> Duration {
    let started = Instant::now();
    let Ok(_) = simulate(plan, &mut Untraced, progress);
    started.elapsed()
}
