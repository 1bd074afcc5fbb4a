//! A trace of all kinds of rows, and whether two are alike.

use novatrace::TraceGenerator;
use novatrace_testkit::Loaded;

/// Something of all kinds; `events` of it.
pub(crate) fn simulate(trace: &TraceGenerator, events: u64) {
    let (die, flow) = (trace.group("Die:0"), trace.flow());
    let bandwidth = die.counter("bandwidth").unit("GB/s");
    let tracks: Vec<_> = (0..200).map(|at| die.track(&format!("XPU:{at}"))).collect();
    for (at, track) in (0..events / 4).zip(tracks.iter().cycle()) {
        let name = format!("operation {}", at % 300);
        let event = track.duration(at * 10, 1_500, &name).category("compute").arg("m", at);
        if at % 50 == 0 { event.flow(flow).emit() } else { event.emit() }.expect("accepted");
        track
            .duration(at * 10 + 5, 5_000, "overlaps")
            .arg("tile", [64, at])
            .emit()
            .expect("accepted");
        track.instant(at * 10 + 7, "tick").emit().expect("accepted");
        bandwidth
            .count(at * 10, 0.5 * f64::from(u32::try_from(at).expect("few")))
            .expect("accepted");
    }
}

#[allow(dead_code, reason = "flows of two runs have different numbers")]
/// All that the trace processor says of both is the same.
#[track_caller]
pub(crate) fn assert_alike(plain: &Loaded, packed: &Loaded) {
    assert_eq!(packed.slices(), plain.slices());
    assert_eq!(packed.counters(), plain.counters());
    assert_eq!(packed.flows(), plain.flows());
    assert_eq!(packed.tracks(), plain.tracks());
    assert_eq!(packed.processes(), plain.processes());
}
