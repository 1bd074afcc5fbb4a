//! novatrace with its defaults.

use std::path::Path;

use novatrace::{CounterTrack, Name, NormalTrack, TraceBuilder, TraceGenerator};

use crate::workload::{
    COUNTERS, Duration, GROUPS, KEYS, Sample, TRACKS, UNIT, Writer, counter_name, group_name,
    names, track_name,
};

/// The rows of W6, with any number of tracks.
pub struct Rows {
    pub trace: TraceGenerator,
    pub tracks: Vec<NormalTrack>,
    pub counters: Vec<CounterTrack>,
}

impl Rows {
    pub fn create(builder: TraceBuilder, path: &Path, tracks: usize) -> Self {
        let trace = builder.create(path).expect("the file can be created");
        let groups: Vec<_> = (0..GROUPS).map(|at| trace.group(&group_name(at))).collect();
        let tracks = (0..tracks).map(|at| groups[at % GROUPS].track(&track_name(at))).collect();
        let counters = (0..COUNTERS)
            .map(|at| groups[at % GROUPS].counter(&counter_name(at)).unit(UNIT))
            .collect();
        Self { trace, tracks, counters }
    }

    fn finish(&self) {
        let stats = self.trace.finish().expect("nothing goes wrong");
        assert_eq!((stats.events, stats.lanes, stats.dropped), (crate::workload::EVENTS, 0, 0));
    }
}

pub fn registered() -> Vec<Name> {
    names().iter().map(|name| Name::new(name)).collect()
}

struct WithNames {
    rows: Rows,
    names: Vec<Name>,
    keys: [Name; 2],
}

/// With names and keys that are known beforehand.
pub fn w6_names(path: &Path) {
    let rows = Rows::create(TraceGenerator::builder(), path, TRACKS);
    WithNames { rows, names: registered(), keys: KEYS.map(Name::new) }.w6().rows.finish();
}

impl Writer for WithNames {
    #[inline(always)]
    fn duration(&mut self, duration: Duration) {
        let event = self.rows.tracks[duration.track].duration(
            duration.start,
            duration.length,
            self.names[duration.name],
        );
        event.arg(self.keys[0], duration.m).arg(self.keys[1], duration.k).emit().expect("valid");
    }

    #[inline(always)]
    fn sample(&mut self, sample: Sample) {
        self.rows.counters[sample.counter].count(sample.time, sample.value).expect("valid");
    }
}

struct WithTexts {
    rows: Rows,
    names: Vec<String>,
}

/// With names and keys that are texts, as if made at run time; making them is not timed.
pub fn w6_texts(path: &Path) {
    let rows = Rows::create(TraceGenerator::builder(), path, TRACKS);
    WithTexts { rows, names: names() }.w6().rows.finish();
}

impl Writer for WithTexts {
    #[inline(always)]
    fn duration(&mut self, duration: Duration) {
        let event = self.rows.tracks[duration.track].duration(
            duration.start,
            duration.length,
            &self.names[duration.name],
        );
        event.arg(KEYS[0], duration.m).arg(KEYS[1], duration.k).emit().expect("valid");
    }

    #[inline(always)]
    fn sample(&mut self, sample: Sample) {
        self.rows.counters[sample.counter].count(sample.time, sample.value).expect("valid");
    }
}
