//! What open slices and counters said last: only of traces in parts, which say it again in the next.

/// The bodies of the slices that are open on one track, by depth.
///
/// Nobody tells it of ends: what lies deeper than the slice that begins is over.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    bytes: Vec<u8>,
    /// Where each begins, and when its slice did.
    starts: Vec<(usize, u64)>,
}

impl Bodies {
    /// A slice has begun, at `ns`, that lies so deep.
    #[cold]
    #[inline(never)]
    pub(crate) fn begin(&mut self, depth: usize, ns: u64, body: &[u8]) {
        self.begin_known(depth);
        self.starts.resize(depth + 1, (self.bytes.len(), ns));
        self.bytes.extend_from_slice(body);
    }

    /// A slice has begun that lies so deep, and of which others know what it said.
    #[inline(always)]
    pub(crate) fn begin_known(&mut self, depth: usize) {
        if self.starts.len() > depth {
            self.forget(depth);
        }
    }

    #[cold]
    #[inline(never)]
    fn forget(&mut self, depth: usize) {
        self.bytes.truncate(self.starts[depth].0);
        self.starts.truncate(depth);
    }

    /// What the slice that is open there said; nothing if nobody knows.
    pub(crate) fn at(&self, depth: usize) -> &[u8] {
        let Some(&(start, _)) = self.starts.get(depth) else { return &[] };
        let end = self.starts.get(depth + 1).map_or(self.bytes.len(), |&(end, _)| end);
        &self.bytes[start..end]
    }

    /// When that slice began.
    pub(crate) fn since(&self, depth: usize) -> Option<u64> {
        self.starts.get(depth).map(|&(_, ns)| ns)
    }
}

/// A counter's sample.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    pub(crate) ns: u64,
    pub(crate) body: Vec<u8>,
}

impl Sample {
    /// Keeps the latest.
    #[cold]
    #[inline(never)]
    pub(crate) fn keep(latest: &mut Option<Box<Self>>, ns: u64, body: &[u8]) {
        let latest = latest.get_or_insert_default();
        if ns >= latest.ns {
            latest.ns = ns;
            latest.body.clear();
            latest.body.extend_from_slice(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bodies_are_those_of_the_slices_that_are_open() {
        let mut bodies = Bodies::default();
        bodies.begin(0, 10, b"outer");
        bodies.begin(1, 20, b"");
        bodies.begin(2, 30, b"inner");
        assert_eq!([bodies.at(0), bodies.at(1), bodies.at(2)], [&b"outer"[..], b"", b"inner"]);
        bodies.begin(1, 40, b"second");
        assert_eq!([bodies.at(0), bodies.at(1), bodies.at(2)], [&b"outer"[..], b"second", b""]);
        bodies.begin(4, 50, b"deep");
        assert_eq!([bodies.at(1), bodies.at(3), bodies.at(4)], [&b"second"[..], b"", b"deep"]);
        assert_eq!([bodies.since(0), bodies.since(1), bodies.since(5)], [Some(10), Some(40), None]);
        bodies.begin_known(7);
        bodies.begin_known(4);
        assert_eq!([bodies.at(0), bodies.at(1), bodies.at(4)], [&b"outer"[..], b"second", b""]);
        bodies.begin(0, 60, b"o");
        assert_eq!([bodies.at(0), bodies.at(4)], [&b"o"[..], b""]);
    }

    #[test]
    fn the_latest_sample_is_kept_whatever_comes_last() {
        let mut latest = None;
        for (ns, body) in [(5, b"a"), (3, b"b"), (5, b"c")] {
            Sample::keep(&mut latest, ns, body);
        }
        let latest = latest.expect("there were some");
        assert_eq!((latest.ns, &latest.body[..]), (5, &b"c"[..]));
    }
}
