//! The demo's trace holds what the simulator says it recorded.

use accelerator::{Hardware, Model, Plan, Workload};
use novatrace::TraceGenerator;
use novatrace_testkit::oracle_or_skip;

#[test]
fn the_demos_counts_are_the_simulators() {
    let oracle = oracle_or_skip!();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("demo.pftrace");
    let model = Model::open("llama-1.1b").expect("it ships");
    let hardware = Hardware::open("server-2x4").expect("it ships");
    let workload = Workload { prompt_tokens: 64, decode_steps: 1 };
    let plan = Plan::new(model, hardware, workload).expect("they fit");
    let generator = TraceGenerator::create(&path).expect("writable");
    let (_, recorded) = accelerator::trace(&plan, &generator, |_| ()).expect("recordable");
    let stats = generator.finish().expect("writable");
    assert_eq!(stats.events, recorded.events());
    assert_eq!((stats.lanes, stats.dropped, stats.left_open), (0, 0, 0));

    let loaded = oracle.load(&path).expect("the trace processor takes it");
    loaded.assert_healthy();
    let count = |sql: &str| loaded.query(sql)[0].i64("n").cast_unsigned();
    let instants = count(
        "select count(*) as n from slice join track on track.id = slice.track_id \
         where track.name = 'Barriers'",
    );
    assert_eq!(instants, recorded.instants);
    assert_eq!(count("select count(*) as n from slice"), recorded.slices + recorded.instants);
    assert_eq!(count("select count(*) as n from counter"), recorded.counter_samples);
    assert_eq!(count("select count(*) as n from flow"), recorded.arrows);
    // What a reader sees: each counter has a unit, and a tile its matrix first and its cost in parts.
    let tracks = loaded.tracks();
    let mut counters = tracks.iter().filter(|track| track.is_counter);
    assert!(counters.all(|counter| counter.unit.is_some()));
    let slices = loaded.slices();
    let tile = slices.iter().find(|slice| slice.name.as_deref() == Some("q_proj L7 t3"));
    let tile = tile.expect("a tile of a matrix product");
    assert!(tile.track.ends_with("/XPU:0") || tile.track.ends_with("/XPU:1"), "{}", tile.track);
    for key in ["shape.m", "shape.n", "shape.k", "cost.cycles", "cost.efficiency"] {
        assert!(tile.args.contains_key(key), "{key}");
    }
    // The end of the last slice is the end of the run, and nothing is left open.
    assert_eq!(count("select count(*) as n from slice where dur < 0"), 0);
}
