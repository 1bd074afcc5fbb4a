//! What the tracer counts is what novatrace accepts and what the graph promises.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use accelerator::{Hardware, Model, Plan, Untraced, Workload, simulate, trace};
use novatrace::TraceGenerator;

fn plan(model: &str, hardware: &str) -> Plan {
    let workload = Workload { prompt_tokens: 48, decode_steps: 2 };
    Plan::new(Model::open(model).unwrap(), Hardware::open(hardware).unwrap(), workload).unwrap()
}

#[test]
fn everything_recorded_is_in_the_file_and_engines_need_no_extra_lanes() {
    for model in Model::built_in() {
        for hardware in Hardware::built_in() {
            let plan = plan(model, hardware);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("run.pftrace");
            let generator = TraceGenerator::create(&path).unwrap();
            let (_, recorded) = trace(&plan, &generator, |_| ()).unwrap();
            let stats = generator.finish().unwrap();
            assert_eq!(stats.events, recorded.events(), "{model} on {hardware}");
            assert_eq!((stats.lanes, stats.dropped), (0, 0), "{model} on {hardware}");
            assert_eq!(recorded.arrows, plan.graph().arrows());
            assert_eq!(stats.bytes, path.metadata().unwrap().len());
            let barriers = plan.graph().stages.len() as u64;
            assert_eq!(recorded.instants, barriers, "one at the end of each stage");
        }
    }
}

#[test]
fn a_trace_does_not_change_the_run() {
    let plan = plan("gpt2", "server-2x4");
    let Ok(untraced) = simulate(&plan, &mut Untraced, |_| ());
    let folder = tempfile::tempdir().unwrap();
    let generator = TraceGenerator::create(folder.path().join("run.pftrace")).unwrap();
    let (traced, _) = trace(&plan, &generator, |_| ()).unwrap();
    generator.finish().unwrap();
    assert_eq!(untraced, traced);
}

#[test]
fn the_default_run_has_at_least_two_hundred_thousand_events() {
    let model = Model::open(Model::DEFAULT).unwrap();
    let hardware = Hardware::open(Hardware::DEFAULT).unwrap();
    let plan = Plan::new(model, hardware, Workload::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let generator = TraceGenerator::create(folder.path().join("run.pftrace")).unwrap();
    let (summary, recorded) = trace(&plan, &generator, |_| ()).unwrap();
    generator.finish().unwrap();
    assert!(recorded.events() >= 200_000, "{recorded:?}");
    assert_eq!((summary.prefill_tokens, summary.decode_tokens), (256, 3));
}
