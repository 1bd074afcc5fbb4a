//! Our own reader beside the trace processor: both have to find the same in every trace that a test loads.

use std::fmt::Debug;

use novatrace_reader::{Check, Rule, Severity, Trace, Value as Read};

use crate::{Args, Loaded, Value};

/// What tests do on purpose, and compare by themselves: losses that the trace tells of, one key twice, and instants inside of the
/// deepest slices, which later trace processors than the tests' one drop.
const ON_PURPOSE: [Rule; 3] = [Rule::Loss, Rule::KeyTwice, Rule::TooDeep];

/// What both say of a slice. The parent by its own place, since numbers differ.
type SliceRow =
    (String, i64, i64, String, Option<String>, Option<String>, i64, Option<(i64, Option<String>)>);

impl Loaded {
    /// Fails the test unless `novatrace-reader` finds the rows that the trace processor finds: slices with depth, parent
    /// and arguments, samples, arrows.
    ///
    /// # Panics
    ///
    /// If it does not; the message has the first rows that differ.
    #[track_caller]
    pub fn assert_read_alike(&self) {
        let read = match Trace::read(self.source()) {
            Ok(read) => read,
            Err(error) => {
                panic!("{}: the trace processor reads it, and not we: {error}", self.trace())
            }
        };
        let slices = self.slices();
        // They are in order of id.
        let by_id =
            |id: i64| slices.binary_search_by_key(&id, |slice| slice.id).ok().map(|at| &slices[at]);
        let theirs = slices.iter().map(|slice| -> SliceRow {
            let parent =
                slice.parent_id.and_then(by_id).map(|parent| (parent.ts, parent.name.clone()));
            let args = format!("{:?}", plain(&slice.args));
            (
                slice.track.clone(),
                slice.ts,
                slice.dur,
                args,
                slice.name.clone(),
                slice.category.clone(),
                slice.depth,
                parent,
            )
        });
        let ours = read.slices.iter().map(|slice| -> SliceRow {
            let parent = slice.parent.map(|at| (read.slices[at].ts, read.slices[at].name.clone()));
            let args =
                slice.args.iter().map(|(key, value)| (key.clone(), theirs_of(value))).collect();
            let path = read.tracks[slice.track].path.clone();
            let depth = i64::try_from(slice.depth).unwrap_or(i64::MAX);
            let args = format!("{:?}", plain(&args));
            (
                path,
                slice.ts,
                slice.dur,
                args,
                slice.name.clone(),
                slice.category.clone(),
                depth,
                parent,
            )
        });
        self.compare("slices", theirs.collect(), ours.collect());

        let theirs = self
            .counters()
            .into_iter()
            .map(|row| (row.track, row.ts, Some((row.value + 0.0).to_bits())));
        let ours = read.counters.iter().map(|row| {
            (read.tracks[row.track].path.clone(), row.ts, Some((row.value + 0.0).to_bits()))
        });
        self.compare("samples of counters", theirs.collect(), ours.collect());

        let place = |id| by_id(id).map(|slice| (slice.track.clone(), slice.ts, slice.name.clone()));
        let theirs = self
            .flows()
            .into_iter()
            .map(|flow| (place(flow.slice_out), place(flow.slice_in), flow.id));
        let place = |at: usize| {
            let slice = &read.slices[at];
            Some((read.tracks[slice.track].path.clone(), slice.ts, slice.name.clone()))
        };
        let ours = read.flows.iter().map(|flow| (place(flow.from), place(flow.to), Some(flow.id)));
        self.compare("flows", theirs.collect(), ours.collect());
    }

    /// Fails the test if `novatrace check` has an error or a warning about the trace.
    ///
    /// # Panics
    ///
    /// If there is one; the message has all of them.
    #[track_caller]
    pub fn assert_no_finding(&self) {
        let check = Check::new().run(self.source(), |_| {});
        let faults = check.map(|report| report.findings).unwrap_or_default();
        let faults: Vec<_> = faults
            .iter()
            .filter(|found| found.severity > Severity::Note && !ON_PURPOSE.contains(&found.rule))
            .collect();
        assert!(
            faults.is_empty(),
            "{}: sound for the trace processor, and not for `check`: {faults:#?}",
            self.trace()
        );
    }

    #[track_caller]
    fn compare<T: Ord + Debug>(&self, what: &str, mut theirs: Vec<T>, mut ours: Vec<T>) {
        theirs.sort();
        ours.sort();
        if let Some((theirs, ours)) = theirs.iter().zip(&ours).find(|(theirs, ours)| theirs != ours)
        {
            panic!(
                "{}: {what} differ: the trace processor has\n{theirs:#?}\nand we\n{ours:#?}",
                self.trace()
            );
        }
        let (longer, whose) =
            if theirs.len() > ours.len() { (&theirs, "only it") } else { (&ours, "only we") };
        let more = longer.get(theirs.len().min(ours.len()));
        assert!(
            more.is_none(),
            "{}: {what}: the trace processor has {}, and we {}; {whose} have\n{more:#?}",
            self.trace(),
            theirs.len(),
            ours.len()
        );
    }
}

/// Without what the trace processor makes up, and NULLs as they are shown.
fn plain(args: &Args) -> Vec<(&String, &Value)> {
    let made_up = ["source_location_iid", "legacy_trace_source_id"];
    let is_said = |key: &str| !key.starts_with("legacy_event.") && !made_up.contains(&key);
    // A source without a function has one that is NULL.
    let is_nothing = |key: &str, value: &Value| key.starts_with("source.") && *value == Value::Null;
    args.iter().filter(|(key, value)| is_said(key) && !is_nothing(key, value)).collect()
}

fn theirs_of(value: &Read) -> Value {
    match value {
        Read::Null => Value::Null,
        Read::Bool(value) => Value::Bool(*value),
        Read::Int(value) => Value::Int(*value),
        Read::Uint(value) => Value::Uint(*value),
        Read::Pointer(value) => Value::Pointer(*value),
        Read::Double(value) => Value::Float(*value),
        Read::Text(text) => Value::Text(text.clone()),
    }
}
