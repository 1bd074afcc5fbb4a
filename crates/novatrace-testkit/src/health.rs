//! Signs of loss in the trace processor's statistics, also those that its UI does not show.

use std::fmt;

use crate::Loaded;

/// Statistics that are never above zero for no reason, at whatever severity; a star stands for any ending. The trace
/// processor calls several of these "info" although events were lost.
///
/// Names differ between versions: v52 counts in `tokenizer_skipped_packets` and `track_event_parser_errors` what later
/// ones split into many. Both kinds are here, so that a newer oracle needs no new list.
const MUST_BE_ZERO: &[&str] = &[
    "clock_sync_*",
    "flow_*",
    "interned_data_skipped_incremental_state_invalid",
    "interned_data_tokenizer_errors",
    "invalid_clock_snapshots",
    "misplaced_end_event",
    "packet_skipped_seq_needs_incremental_state_invalid",
    "slice_*",
    "sorter_push_event_out_of_order",
    "tokenizer_skipped_packets",
    "trace_sorter_negative_timestamp_dropped",
    "traced_buf_*",
    "track_descriptor_*",
    "track_event_counter_*",
    "track_event_extra_counter_*",
    "track_event_invalid_timestamp",
    "track_event_missing_*",
    "track_event_parser_errors",
    "track_event_state_missing_track_uuid",
    "track_event_tokenizer_errors",
    "track_event_track_hierarchy_loop",
    "track_event_track_hierarchy_too_deep",
    "track_hierarchy_missing_uuid",
    "unknown_extension_fields",
];

/// Counted in the course of good work.
const HARMLESS: &[&str] = &["clock_sync_cache_miss"];

/// One statistic that is not zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its name, such as `misplaced_end_event`.
    pub name: String,
    /// The index, for statistics kept per buffer, machine or file.
    pub index: Option<i64>,
    /// `info`, `notice`, `data_loss` or `error`.
    pub severity: String,
    /// How often; above zero.
    pub value: i64,
}

impl Stat {
    /// Whether a good trace cannot have it: it is on our list, or the trace processor calls it data loss or an error.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        let among = |list: &[&str]| {
            list.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(prefix) => self.name.starts_with(prefix),
                None => self.name == *pattern,
            })
        };
        let severe = ["data_loss", "error"].contains(&self.severity.as_str());
        (severe || among(MUST_BE_ZERO)) && !among(HARMLESS)
    }
}

impl fmt::Display for Stat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(index) = self.index {
            write!(f, "[{index}]")?;
        }
        write!(f, " = {} ({})", self.value, self.severity)
    }
}

impl Loaded {
    /// All statistics above zero, in order of name.
    ///
    /// # Panics
    ///
    /// If the query fails.
    #[must_use]
    #[track_caller]
    pub fn stats(&self) -> Vec<Stat> {
        self.query(
            "select name, idx, severity, value from stats where value > 0 order by name, idx",
        )
        .iter()
        .map(|row| Stat {
            name: row.str("name").into(),
            index: row.opt_i64("idx"),
            severity: row.str("severity").into(),
            value: row.i64("value"),
        })
        .collect()
    }

    /// Fails the test on any sign that the trace processor lost or doubted something: see [`Stat::is_fault`]; and on
    /// entries of its import log, where the version has one.
    ///
    /// The worst faults leave no sign: order at equal times, overlap, an end without a begin. Compare what was
    /// read with what was written as well.
    ///
    /// # Panics
    ///
    /// If there is such a sign; the message lists all of them.
    #[track_caller]
    pub fn assert_healthy(&self) {
        self.assert_healthy_but_for(&[]);
    }

    /// As [`assert_healthy`](Self::assert_healthy), but the named statistics must be there: a test that loses something on
    /// purpose says what.
    ///
    /// # Panics
    ///
    /// If there is another sign, or a named one is absent.
    #[track_caller]
    pub fn assert_healthy_but_for(&self, expected: &[&str]) {
        let stats = self.stats();
        let unexpected =
            stats.iter().filter(|stat| stat.is_fault() && !expected.contains(&stat.name.as_str()));
        let absent = expected.iter().filter(|name| stats.iter().all(|stat| stat.name != **name));
        let findings: Vec<_> = unexpected
            .map(ToString::to_string)
            .chain(absent.map(|name| format!("{name} = 0, but was expected")))
            .chain(self.import_log())
            .collect();
        assert!(
            findings.is_empty(),
            "{} is not healthy:\n  {}",
            self.trace(),
            findings.join("\n  ")
        );
        self.assert_read_alike();
        if expected.is_empty() {
            self.assert_no_finding();
        }
    }

    #[track_caller]
    fn import_log(&self) -> Vec<String> {
        let tables = self.query("select name from sqlite_master where name glob '*import_log*'");
        let rows = tables
            .iter()
            .flat_map(|table| self.query(&format!("select * from {}", table.str("name"))));
        rows.map(|row| {
            let cells = row
                .columns()
                .iter()
                .zip(row.values())
                .map(|(name, value)| format!("{name}={value}"));
            format!("import log: {}", cells.collect::<Vec<_>>().join(" "))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(name: &str, severity: &str) -> Stat {
        Stat { name: name.into(), index: None, severity: severity.into(), value: 1 }
    }

    #[test]
    fn lists_and_severities_decide() {
        assert!(stat("track_event_parser_errors", "info").is_fault());
        assert!(stat("tokenizer_skipped_packets", "info").is_fault());
        assert!(stat("flow_duplicate_id", "info").is_fault());
        assert!(stat("something_new", "data_loss").is_fault());
        assert!(!stat("parse_trace_duration_ns", "info").is_fault());
        assert!(!stat("clock_sync_cache_miss", "error").is_fault());
    }
}
