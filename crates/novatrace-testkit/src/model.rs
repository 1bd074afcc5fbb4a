//! The common facts of a trace as plain data, each kind read with one or two statements however large the trace.

use std::collections::{BTreeMap, HashMap};

use crate::{Loaded, Row, Value};

/// Arguments by name.
///
/// A debug annotation is under its own name, without the trace processor's `debug.`: `m`, and below it `m.key` or `m[0]`.
/// What comes from other fields keeps its full key, such as `source.function_name`. The
/// `legacy_event.passthrough_utid` that the trace processor makes up on sequences that know a thread is left out.
pub type Args = BTreeMap<String, Value>;

/// A process.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// The trace processor's number of it.
    pub upid: i64,
    /// The process id.
    pub pid: Option<i64>,
    /// `ProcessDescriptor.process_name`.
    pub name: Option<String>,
    /// `ProcessDescriptor.start_timestamp_ns`.
    pub start_ns: Option<i64>,
    /// Labels and the like.
    pub args: Args,
}

/// A track that has events, or children that have.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// The row in the `track` table. Not the uuid.
    pub id: i64,
    /// Where it is shown: process, thread, ancestors and own name, joined by `/`. Nameless ones are `pid 7`, `tid 8` or `(unnamed)`.
    pub path: String,
    /// Its own name; `None` on the track of a process or thread.
    pub name: Option<String>,
    /// The trace processor's kind of it, such as `process_track_event`.
    pub kind: String,
    /// The track above, by `id`. A child of a process or thread track has none.
    pub parent_id: Option<i64>,
    /// `TrackDescriptor.uuid`: of the first, where tracks were merged; `None` on a thread's own track.
    pub uuid: Option<u64>,
    /// The process it belongs to.
    pub upid: Option<i64>,
    /// The thread it belongs to.
    pub utid: Option<i64>,
    /// Whether it is a counter.
    pub is_counter: bool,
    /// The unit of a counter.
    pub unit: Option<String>,
    /// What else the descriptor said.
    pub args: Args,
}

/// A slice, or an instant: that is a slice of length zero, and the trace processor keeps no other sign of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// The row in the `slice` table; rows are in order of start.
    pub id: i64,
    /// The track, by [`Track::id`].
    pub track_id: i64,
    /// The track's own name.
    pub track_name: Option<String>,
    /// [`Track::path`].
    pub track: String,
    /// Start, in nanoseconds of trace time.
    pub ts: i64,
    /// Length in nanoseconds; -1 if it was never ended.
    pub dur: i64,
    /// Name.
    pub name: Option<String>,
    /// Category; several are joined by commas.
    pub category: Option<String>,
    /// How many slices it is inside of.
    pub depth: i64,
    /// The innermost of them.
    pub parent_id: Option<i64>,
    /// Arguments of begin and end together.
    pub args: Args,
}

/// One value of a counter.
#[derive(Clone, Debug, PartialEq)]
pub struct Counter {
    /// The track, by [`Track::id`].
    pub track_id: i64,
    /// [`Track::path`].
    pub track: String,
    /// Time in nanoseconds of trace time.
    pub ts: i64,
    /// Value. The trace processor has doubles only.
    pub value: f64,
}

/// An arrow from one slice to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// [`Slice::id`] of its start.
    pub slice_out: i64,
    /// [`Slice::id`] of its end.
    pub slice_in: i64,
    /// `TrackEvent.flow_ids`.
    pub id: Option<u64>,
}

impl Slice {
    /// When it ended, unless it never did.
    #[must_use]
    pub fn end(&self) -> Option<i64> {
        (self.dur >= 0).then(|| self.ts + self.dur)
    }
}

impl Loaded {
    /// The processes, but for the idle one that the trace processor adds.
    ///
    /// # Panics
    ///
    /// If a query fails.
    #[must_use]
    #[track_caller]
    pub fn processes(&self) -> Vec<Process> {
        let mut args = self.args("select arg_set_id from process");
        self.query("select upid, pid, name, start_ts, arg_set_id from process where upid != 0 or name is not null order by upid")
            .iter()
            .map(|row| Process {
                upid: row.i64("upid"),
                pid: row.opt_i64("pid"),
                name: text(row, "name"),
                start_ns: row.opt_i64("start_ts"),
                args: args.take(row),
            })
            .collect()
    }

    /// The tracks, in order of `id`. One without events and children is not known to the trace processor.
    ///
    /// # Panics
    ///
    /// If a query fails.
    #[must_use]
    #[track_caller]
    pub fn tracks(&self) -> Vec<Track> {
        let mut args = self.args("select source_arg_set_id from track");
        let rows = self.query(
            "select t.id, t.name, t.type, t.parent_id, t.source_arg_set_id as arg_set_id, c.id is not null as is_counter, c.unit, th.utid,
                coalesce(extract_arg(t.dimension_arg_set_id, 'upid'), th.upid) as upid, p.name as process, p.pid, th.name as thread, th.tid
             from track t
             left join counter_track c using (id)
             left join thread th on th.utid = extract_arg(t.dimension_arg_set_id, 'utid')
             left join process p on p.upid = coalesce(extract_arg(t.dimension_arg_set_id, 'upid'), th.upid)
             order by t.id",
        );
        let mut tracks: Vec<_> = rows
            .iter()
            .map(|row| {
                let mut args = args.take(row);
                Track {
                    id: row.i64("id"),
                    path: String::new(),
                    name: text(row, "name"),
                    kind: row.str("type").into(),
                    parent_id: row.opt_i64("parent_id"),
                    uuid: args
                        .remove("trace_id")
                        .and_then(|uuid| uuid.as_i64())
                        .map(i64::cast_unsigned),
                    upid: row.opt_i64("upid"),
                    utid: row.opt_i64("utid"),
                    is_counter: row.i64("is_counter") != 0,
                    unit: text(row, "unit"),
                    args,
                }
            })
            .collect();
        let rows: HashMap<i64, &Row> = rows.iter().map(|row| (row.i64("id"), row)).collect();
        for track in &mut tracks {
            track.path = path(track.id, &rows);
        }
        tracks
    }

    /// The slices and instants, in order of `id`, which is that of their starts.
    ///
    /// # Panics
    ///
    /// If a query fails.
    #[must_use]
    #[track_caller]
    pub fn slices(&self) -> Vec<Slice> {
        let tracks = self.tracks_by_id();
        let mut args = self.args("select arg_set_id from slice");
        self.query("select id, track_id, ts, dur, name, category, depth, parent_id, arg_set_id from slice order by id")
            .iter()
            .map(|row| {
                let track = &tracks[&row.i64("track_id")];
                Slice {
                    id: row.i64("id"),
                    track_id: track.id,
                    track_name: track.name.clone(),
                    track: track.path.clone(),
                    ts: row.i64("ts"),
                    dur: row.i64("dur"),
                    name: text(row, "name"),
                    category: text(row, "category"),
                    depth: row.i64("depth"),
                    parent_id: row.opt_i64("parent_id"),
                    args: args.take(row),
                }
            })
            .collect()
    }

    /// The values of counters, in order of time within each track.
    ///
    /// # Panics
    ///
    /// If a query fails.
    #[must_use]
    #[track_caller]
    pub fn counters(&self) -> Vec<Counter> {
        let tracks = self.tracks_by_id();
        self.query("select track_id, ts, value from counter order by track_id, ts, id")
            .iter()
            .map(|row| {
                let track = &tracks[&row.i64("track_id")];
                Counter {
                    track_id: track.id,
                    track: track.path.clone(),
                    ts: row.i64("ts"),
                    value: row.f64("value"),
                }
            })
            .collect()
    }

    /// The arrows, in order of the slices they connect.
    ///
    /// # Panics
    ///
    /// If a query fails.
    #[must_use]
    #[track_caller]
    pub fn flows(&self) -> Vec<Flow> {
        self.query(
            "select slice_out, slice_in, trace_id from flow order by slice_out, slice_in, id",
        )
        .iter()
        .map(|row| Flow {
            slice_out: row.i64("slice_out"),
            slice_in: row.i64("slice_in"),
            id: row.opt_i64("trace_id").map(i64::cast_unsigned),
        })
        .collect()
    }

    #[track_caller]
    fn tracks_by_id(&self) -> HashMap<i64, Track> {
        self.tracks().into_iter().map(|track| (track.id, track)).collect()
    }

    /// The argument sets whose ids `sets` selects.
    #[track_caller]
    fn args(&self, sets: &str) -> ArgSets {
        let sql = format!(
            "select arg_set_id, key, value_type, int_value, real_value, string_value from args where arg_set_id in ({sets}) order by id"
        );
        let mut args = HashMap::<i64, Args>::new();
        for row in self.query(&sql) {
            let key = row.str("key");
            if key != "legacy_event.passthrough_utid" {
                let name = key.strip_prefix("debug.").unwrap_or(key);
                args.entry(row.i64("arg_set_id")).or_default().insert(name.into(), arg_value(&row));
            }
        }
        ArgSets(args)
    }
}

/// Argument sets by id. Several slices may share one.
struct ArgSets(HashMap<i64, Args>);

impl ArgSets {
    fn take(&mut self, row: &Row) -> Args {
        row.opt_i64("arg_set_id").and_then(|id| self.0.get(&id)).cloned().unwrap_or_default()
    }
}

fn arg_value(row: &Row) -> Value {
    match row.str("value_type") {
        "bool" => Value::Bool(row.i64("int_value") != 0),
        "uint" => Value::Uint(row.i64("int_value").cast_unsigned()),
        "pointer" => Value::Pointer(row.i64("int_value").cast_unsigned()),
        _ => ["int_value", "real_value", "string_value"]
            .map(|column| row.value(column))
            .into_iter()
            .find(|value| **value != Value::Null)
            .map_or(Value::Null, Value::clone),
    }
}

fn text(row: &Row, column: &str) -> Option<String> {
    row.opt_str(column).map(str::to_owned)
}

/// Process, thread, ancestors from the top, own name; what a track is called in a path.
fn path(id: i64, rows: &HashMap<i64, &Row>) -> String {
    let own = rows[&id];
    let ancestry = std::iter::successors(Some(own), |row| {
        row.opt_i64("parent_id").and_then(|id| rows.get(&id).copied())
    });
    let owner = |name: &str, number: &str| {
        own.opt_i64(number).map(|id| text(own, name).unwrap_or_else(|| format!("{number} {id}")))
    };
    let mut parts: Vec<_> =
        owner("process", "pid").into_iter().chain(owner("thread", "tid")).collect();
    let names: Vec<_> = ancestry.map(|row| text(row, "name")).collect();
    match names.as_slice() {
        // The track of a process or thread itself has no name of its own.
        [None] if !parts.is_empty() => {}
        names => parts.extend(
            names.iter().rev().map(|name| name.clone().unwrap_or_else(|| "(unnamed)".into())),
        ),
    }
    parts.join("/")
}
