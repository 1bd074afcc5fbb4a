//! A whole trace as text, so that a test can show what it expects.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::{Args, Loaded, Slice, Track, Value};

impl Loaded {
    /// The trace as an indented tree, for snapshots.
    ///
    /// Processes come first, in order of pid, then tracks that belong to none. Siblings are in order of their
    /// `sibling_order_rank` (default 0), then of name, then as the trace processor numbered them; so the text does not
    /// depend on the order of writing. Numbers are in nanoseconds:
    ///
    /// ```text
    /// chip                                     a process, "(pid 7)" if it has no name
    ///   core 0                                 a track below it
    ///     10 +20 matmul [op] {m=64}            start, length, name, category, arguments
    ///       12 +0 barrier                      an instant or an empty slice, inside of it
    ///     40 +? dma                            never ended
    ///   power (counter, W)                     a counter and its unit
    ///     10 = 1.5
    /// flows
    ///   matmul@10 -> dma@40
    /// ```
    ///
    /// Names with line breaks, and missing ones, are shown so that each stays on its line.
    ///
    /// # Panics
    ///
    /// If a query fails.
    #[must_use]
    #[track_caller]
    pub fn tree(&self) -> String {
        let tracks = self.tracks();
        let slices = self.slices();
        let counters = self.counters();
        let mut lines = BTreeMap::<i64, Vec<String>>::new();
        for slice in &slices {
            lines.entry(slice.track_id).or_default().push(slice_line(slice));
        }
        for counter in &counters {
            let line = format!("{} = {:?}", counter.ts, counter.value);
            lines.entry(counter.track_id).or_default().push(line);
        }
        let mut root = Node::default();

        let threads = self.query("select utid, tid, name from thread");
        let thread_name = |utid| {
            let row = threads.iter().find(|row| row.i64("utid") == utid);
            row.map(|row| {
                row.opt_str("name").map_or_else(|| format!("(tid {})", row.i64("tid")), one_line)
            })
        };
        let mut process_keys = BTreeMap::new();
        for process in self.processes() {
            let key = Key(0, process.pid.unwrap_or_default(), String::new(), process.upid);
            let label = process
                .name
                .as_deref()
                .map_or_else(|| format!("(pid {})", process.pid.unwrap_or_default()), one_line);
            let node = root.children.entry(key.clone()).or_default();
            node.label = label;
            process_keys.insert(process.upid, key);
        }

        let mut places = BTreeMap::<i64, Vec<Key>>::new();
        for track in in_order_of_descent(&tracks) {
            let mut place = match track.parent_id.and_then(|id| places.get(&id)) {
                Some(place) => place.clone(),
                None => track
                    .upid
                    .and_then(|upid| process_keys.get(&upid))
                    .cloned()
                    .into_iter()
                    .collect(),
            };
            let is_owner = track.name.is_none() && track.parent_id.is_none();
            if let Some(name) =
                track.utid.filter(|_| track.parent_id.is_none()).and_then(thread_name)
            {
                place.push(Key(1, 0, name.clone(), track.utid.unwrap_or_default()));
                root.at(&place).label = name;
            }
            if !is_owner || place.is_empty() {
                let rank = track
                    .args
                    .get("sibling_order_rank")
                    .and_then(Value::as_i64)
                    .unwrap_or_default();
                place.push(Key(2, rank, track.name.clone().unwrap_or_default(), track.id));
                root.at(&place).label = track_label(track);
            }
            let node = root.at(&place);
            node.lines.append(lines.entry(track.id).or_default());
            places.insert(track.id, place);
        }

        let mut text = String::new();
        root.children.values().for_each(|node| node.write(0, &mut text));
        let flows = self.flows();
        if !flows.is_empty() {
            text.push_str("flows\n");
            let by_id: BTreeMap<_, _> = slices.iter().map(|slice| (slice.id, slice)).collect();
            let end = |id| {
                by_id
                    .get(&id)
                    .map_or_else(|| "?".into(), |slice| format!("{}@{}", name(slice), slice.ts))
            };
            for flow in flows {
                let (from, to) = (end(flow.slice_out), end(flow.slice_in));
                writeln!(text, "  {from} -> {to}").unwrap_or_default();
            }
        }
        text
    }
}

/// Parents before children.
fn in_order_of_descent(tracks: &[Track]) -> Vec<&Track> {
    let parents: BTreeMap<_, _> = tracks.iter().map(|track| (track.id, track.parent_id)).collect();
    let depth = |track: &&Track| {
        std::iter::successors(track.parent_id, |id| parents.get(id).copied().flatten()).count()
    };
    let mut tracks: Vec<_> = tracks.iter().collect();
    tracks.sort_by_key(depth);
    tracks
}

/// The order of siblings: kind, rank, name, number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(u8, i64, String, i64);

#[derive(Default)]
struct Node {
    label: String,
    lines: Vec<String>,
    children: BTreeMap<Key, Node>,
}

impl Node {
    fn at(&mut self, place: &[Key]) -> &mut Self {
        place.iter().fold(self, |node, key| node.children.entry(key.clone()).or_default())
    }

    fn write(&self, depth: usize, text: &mut String) {
        let mut line = |depth: usize, line: &str| {
            text.extend(std::iter::repeat_n("  ", depth));
            text.push_str(line);
            text.push('\n');
        };
        line(depth, &self.label);
        self.lines.iter().for_each(|own| line(depth + 1, own));
        self.children.values().for_each(|child| child.write(depth + 1, text));
    }
}

fn track_label(track: &Track) -> String {
    let name = track.name.as_deref().map_or_else(|| "(unnamed)".into(), one_line);
    match (track.is_counter, &track.unit) {
        (false, _) => name,
        (true, None) => format!("{name} (counter)"),
        (true, Some(unit)) => format!("{name} (counter, {unit})"),
    }
}

fn slice_line(slice: &Slice) -> String {
    let indent = "  ".repeat(usize::try_from(slice.depth).unwrap_or_default());
    let length = if slice.dur < 0 { "?".into() } else { slice.dur.to_string() };
    let category = slice
        .category
        .as_deref()
        .map(|category| format!(" [{}]", one_line(category)))
        .unwrap_or_default();
    format!("{indent}{} +{length} {}{category}{}", slice.ts, name(slice), args_text(&slice.args))
}

fn args_text(args: &Args) -> String {
    if args.is_empty() {
        return String::new();
    }
    let args: Vec<_> =
        args.iter().map(|(key, value)| format!("{}={value}", one_line(key))).collect();
    format!(" {{{}}}", args.join(", "))
}

fn name(slice: &Slice) -> String {
    slice.name.as_deref().map_or_else(|| "(unnamed)".into(), one_line)
}

/// A name as it is, or quoted with escapes if it would break the line.
fn one_line(name: &str) -> String {
    if name.is_empty() || name.contains(char::is_control) {
        format!("{name:?}")
    } else {
        name.into()
    }
}

/// Compares [`Loaded::tree`] with the expected text, whose common indentation and blank first and last lines do not count.
///
/// ```
/// # fn a_test() {
/// let oracle = novatrace_testkit::oracle_or_skip!();
/// let loaded = oracle.load_bytes(b"\x0a\x00").expect("an empty packet is a trace");
/// novatrace_testkit::assert_tree!(loaded, "");
/// # }
/// # a_test();
/// ```
///
/// # Panics
///
/// If they differ; the message has both, line by line, and the whole tree to copy.
#[macro_export]
macro_rules! assert_tree {
    ($loaded:expr, $expected:expr $(,)?) => {
        if let ::core::result::Result::Err(difference) =
            $crate::compare_trees(&$loaded.tree(), $expected)
        {
            ::core::panic!("{}: the tree differs\n{difference}", $loaded.trace());
        }
    };
}

/// What [`assert_tree!`] does, without the panic: compares a tree with the expected text, ignoring the latter's common
/// indentation.
///
/// # Errors
///
/// The lines that differ, `-` for expected and `+` for found, then the tree found.
pub fn compare_trees(found: &str, expected: &str) -> Result<(), String> {
    let expected = dedent(expected);
    if found == expected {
        return Ok(());
    }
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    let head = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let tail = old[head..]
        .iter()
        .rev()
        .zip(new[head..].iter().rev())
        .take_while(|(old, new)| old == new)
        .count();
    let mut text = String::new();
    let mut show = |mark: char, lines: &[&str]| {
        for line in lines {
            writeln!(text, "{mark} {line}").unwrap_or_default();
        }
    };
    show(' ', &old[head.saturating_sub(3)..head]);
    show('-', &old[head..old.len() - tail]);
    show('+', &new[head..new.len() - tail]);
    show(' ', &old[old.len() - tail..old.len() - tail + tail.min(3)]);
    Err(format!("{text}the whole tree:\n{found}"))
}

fn dedent(text: &str) -> String {
    let blank = |line: &&str| line.trim().is_empty();
    let lines: Vec<_> = text.lines().skip_while(blank).collect();
    let kept = lines.len() - lines.iter().rev().take_while(|line| blank(line)).count();
    let lines = &lines[..kept];
    let indent = lines
        .iter()
        .filter(|line| !blank(line))
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    lines
        .iter()
        .fold(String::new(), |text, line| text + line.get(indent..).unwrap_or_default() + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_indentation_of_the_test_does_not_count() {
        let expected = "
            chip
              10 +5 a
        ";
        assert_eq!(compare_trees("chip\n  10 +5 a\n", expected), Ok(()));
        assert_eq!(compare_trees("", "  \n "), Ok(()));
    }

    #[test]
    fn a_difference_shows_both_sides() {
        let difference =
            compare_trees("chip\n  10 +6 a\n  20 +1 b\n", "chip\n  10 +5 a\n  20 +1 b\n")
                .expect_err("they differ");
        assert_eq!(
            difference,
            "  chip\n-   10 +5 a\n+   10 +6 a\n    20 +1 b\nthe whole tree:\nchip\n  10 +6 a\n  20 +1 b\n"
        );
    }
}
