//! `perfetto-writer`, which interns by itself. Its times are whole microseconds, so that what it
//! writes here is W6 rounded down; and it keeps packets until it is told to write.

use std::fs::File;
use std::path::Path;

use perfetto_writer::Context;

use crate::workload::{
    COUNTERS, Duration, GROUPS, KEYS, Sample, TRACKS, UNIT, Writer, counter_name, group_name,
    names, track_name,
};

/// About 256 KiB.
const PACKETS: usize = 10_000;

struct Through {
    context: Context<File>,
    names: Vec<String>,
    tracks: Vec<u64>,
    counters: Vec<u64>,
    packets: usize,
}

pub fn w6(path: &Path) {
    let mut context = Context::new(File::create(path).expect("the file can be created"));
    // Its first number is 0, which is Perfetto's default track.
    let _ = context.next_id();
    let groups: Vec<u64> =
        (0..GROUPS).map(|at| context.track().name(group_name(at)).build()).collect();
    let tracks = (0..TRACKS)
        .map(|at| context.track().parent_uuid(groups[at % GROUPS]).name(track_name(at)).build())
        .collect();
    let counters = (0..COUNTERS)
        .map(|at| {
            let track = context.track().parent_uuid(groups[at % GROUPS]).name(counter_name(at));
            track.counter().unit_name(UNIT).build()
        })
        .collect();
    let through = Through { context, names: names(), tracks, counters, packets: 0 };
    through.w6().context.flush().expect("the file can be written");
}

impl Through {
    #[inline(always)]
    fn flush_if_full(&mut self, packets: usize) {
        self.packets += packets;
        if self.packets >= PACKETS {
            self.packets = 0;
            self.context.flush().expect("the file can be written");
        }
    }
}

fn us(ns: u64) -> i64 {
    (ns / 1_000) as i64
}

impl Writer for Through {
    #[inline(always)]
    fn duration(&mut self, duration: Duration) {
        let track = self.tracks[duration.track];
        let begin = self.context.event().with_timestamp_us(us(duration.start)).with_begin();
        begin
            .with_name(&self.names[duration.name])
            .with_track_uuid(track)
            .with_debug_int(KEYS[0], duration.m)
            .with_debug_int(KEYS[1], duration.k)
            .build();
        let end = self.context.event().with_timestamp_us(us(duration.start + duration.length));
        end.with_end().with_track_uuid(track).build();
        self.flush_if_full(2);
    }

    #[inline(always)]
    fn sample(&mut self, sample: Sample) {
        let event = self.context.event().with_timestamp_us(us(sample.time)).with_counter();
        let event = event.with_track_uuid(self.counters[sample.counter]);
        event.with_double_counter_value(sample.value).build();
        self.flush_if_full(1);
    }
}
