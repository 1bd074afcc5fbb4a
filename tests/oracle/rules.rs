//! Every rule that `check` knows, each broken by a trace made by hand: what `check` finds, and what the trace processor says.
//!
//! `docs/CHECK.md` has the table; `NOVATRACE_BLESS=1` writes it anew, and the traces into `fuzz/seeds`, from which fuzzing starts.
#![expect(clippy::print_stderr, reason = "what a new table is compared with")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;

use novatrace_reader::{Check, Rule, Severity, Source};
use novatrace_testkit::{Oracle, Stat, oracle_or_skip};

mod by_hand;

use by_hand::{
    BEGIN, COUNTER, END, Field, INSTANT, T, b, clock, counter, descriptor, end, event, event_on,
    fixed, m, named, packet, slice, snapshot, start, track, v, with,
};

fn argument(fields: &[Field]) -> Vec<u8> {
    event(1, INSTANT, &[b(22, "c"), b(23, "i"), m(4, fields)])
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(vec![], flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 1).expect("memory")
}

/// A trace that breaks a rule. Where it cannot but break another one too, that is named.
#[expect(clippy::too_many_lines, reason = "a table")]
fn broken(rule: Rule) -> Option<(Vec<u8>, &'static [Rule])> {
    let (bytes, also): (Vec<u8>, &'static [Rule]) = match rule {
        Rule::Cut => (with(&[])[..with(&[]).len() - 3].to_vec(), &[Rule::LeftOpen]),
        Rule::Garbage => ([with(&[]), vec![0xFF; 40], slice(), slice(), slice()].concat(), &[]),
        Rule::Zeros => ([with(&[]), vec![0; 41], slice(), slice(), slice()].concat(), &[]),
        Rule::ZerosAtEnd => ([with(&[]), vec![0; 64]].concat(), &[]),
        Rule::ForeignField => ([with(&[]), b(7, "foreign"), slice(), slice()].concat(), &[]),
        Rule::PackedCut => {
            let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
            encoder.write_all(&with(&[])).expect("memory");
            let gzip = encoder.finish().expect("memory");
            (gzip[..gzip.len() - 20].to_vec(), &[Rule::Cut, Rule::LeftOpen])
        }
        Rule::Malformed => (with(&[packet(&[v(8, 5), v(10, 1), vec![0x5A, 200, 1]])]), &[]),
        Rule::BundleDamaged => {
            let mut zlib = zlib(&slice());
            let len = zlib.len();
            zlib.truncate(len - 8);
            (with(&[packet(&[b(50, zlib)])]), &[Rule::LeftOpen])
        }
        Rule::BundleRawDeflate => {
            let mut encoder =
                flate2::write::DeflateEncoder::new(vec![], flate2::Compression::fast());
            encoder.write_all(&slice()).expect("memory");
            (with(&[packet(&[b(50, encoder.finish().expect("memory"))])]), &[])
        }
        Rule::BundleSecondFrame => {
            (with(&[packet(&[b(50, [zlib(&slice()), zlib(&slice())].concat())])]), &[])
        }
        Rule::LateEvent => {
            // Two flushes and the end of reading: all that was before the last of these is out.
            let flushed = |ts| {
                let service = |field| packet(&[v(8, ts), v(10, 1), m(69, &[v(field, 1)])]);
                [service(3), service(3), service(5)].concat()
            };
            let at = |ts| [named(ts, BEGIN, "a"), end(ts + 2)].concat();
            (with(&[at(10), flushed(20), at(30), flushed(40), at(5), at(50), flushed(60)]), &[])
        }
        Rule::BundleMixed => (
            with(&[packet(&[b(50, zlib(&slice()))]), packet(&[b(133, zstd(&slice()))])]),
            &[Rule::BundleZstd],
        ),
        Rule::BundleLarge => {
            let many: Vec<u8> = (0..40_000).flat_map(|at| named(200 + at, INSTANT, "i")).collect();
            (with(&[packet(&[b(50, zlib(&many))])]), &[])
        }
        Rule::BundleTooLarge => {
            let bomb = zlib(&vec![0x0A; 33 << 20]);
            (with(&[packet(&[b(50, bomb)])]), &[Rule::Malformed, Rule::BundleDamaged])
        }
        Rule::BundleZstd => (with(&[packet(&[b(133, zstd(&slice()))])]), &[]),
        Rule::NestedBundle => {
            let inner = packet(&[b(50, zlib(&slice()))]);
            (with(&[packet(&[b(50, zlib(&inner))])]), &[])
        }
        Rule::TwoPayloads => {
            let two = packet(&[
                v(8, 5),
                v(10, 1),
                m(11, &[v(9, INSTANT), v(11, T), b(23, "lost")]),
                m(11, &[v(9, INSTANT), v(11, T), b(22, "c"), b(23, "i")]),
            ]);
            (with(&[two]), &[])
        }
        Rule::Packed => {
            let flows = [7_u64.to_le_bytes(), 8_u64.to_le_bytes()].concat();
            (with(&[event(1, INSTANT, &[b(22, "c"), b(23, "i"), b(47, flows)])]), &[])
        }
        Rule::NoSequence => {
            (with(&[packet(&[v(8, 5), m(11, &[v(9, INSTANT), v(11, T), b(23, "i")])])]), &[])
        }
        Rule::UnknownExtension => {
            (with(&[event(1, INSTANT, &[b(22, "c"), b(23, "i"), v(9_901, 1)])]), &[])
        }
        Rule::SequenceNotStarted => (
            with(&[packet(&[
                v(8, 5),
                v(10, 2),
                v(13, 2),
                m(11, &[v(9, INSTANT), v(11, T), b(23, "i")]),
            ])]),
            &[],
        ),
        Rule::Loss => (with(&[packet(&[v(10, 1), v(13, 1), v(42, 257)])]), &[]),
        Rule::SkippedAfterLoss => {
            let lost = packet(&[v(10, 1), v(42, 1)]);
            let needs = packet(&[
                v(8, 5),
                v(10, 1),
                v(13, 2),
                m(11, &[v(9, INSTANT), v(11, T), b(23, "i")]),
            ]);
            (with(&[lost, needs]), &[Rule::Loss])
        }
        Rule::StaleState => {
            let define = packet(&[v(10, 1), m(12, &[m(2, &[v(1, 7), b(2, "before")])])]);
            let lost = packet(&[v(10, 1), v(42, 1)]);
            let after = event(1, INSTANT, &[b(22, "c"), v(10, 7)]);
            let spelled_out = named(2, INSTANT, "i");
            (with(&[define, lost, after, spelled_out]), &[Rule::Loss])
        }
        Rule::UnknownIid => (with(&[event(1, INSTANT, &[b(22, "c"), v(10, 77)])]), &[]),
        Rule::LateDefinition => {
            let define = packet(&[v(10, 1), m(12, &[m(2, &[v(1, 7), b(2, "late")])])]);
            (with(&[event(1, INSTANT, &[b(22, "c"), v(10, 7)]), define]), &[])
        }
        Rule::RedefinedIid => {
            let define = |name: &str| packet(&[v(10, 1), m(12, &[m(2, &[v(1, 7), b(2, name)])])]);
            (
                with(&[define("one"), define("other"), event(1, INSTANT, &[b(22, "c"), v(10, 7)])]),
                &[],
            )
        }
        Rule::LostDefault => {
            let clocks = snapshot(&[clock(6, 0), m(1, &[v(1, 64), v(2, 0), v(3, 1)]), v(2, 6)]);
            let first = packet(&[v(10, 3), v(13, 1), clocks, m(59, &[v(58, 64)])]);
            let second = packet(&[v(10, 3), m(59, &[m(11, &[v(11, T)])])]);
            (with(&[first, event_on(3, T, 5, INSTANT, &[b(22, "c"), b(23, "i")]), second]), &[])
        }
        Rule::NameTwice => {
            let define = packet(&[v(10, 1), m(12, &[m(2, &[v(1, 7), b(2, "interned")])])]);
            (with(&[define, event(1, INSTANT, &[b(22, "c"), v(10, 7), b(23, "spelled out")])]), &[])
        }
        Rule::StaleClock => {
            let clocks = || snapshot(&[clock(6, 0), m(1, &[v(1, 64), v(2, 0), v(3, 1)]), v(2, 6)]);
            let event = |fields: &[Field]| {
                let event = m(11, &[v(9, INSTANT), v(11, T), b(22, "c"), b(23, "i")]);
                packet(&[v(8, 5), v(10, 3), v(58, 64), event, fields.concat()])
            };
            // Only the first clearing is without a snapshot.
            let lost = packet(&[v(10, 3), v(13, 1), v(42, 1)]);
            let lost_and_told = packet(&[v(10, 3), v(13, 1), v(42, 1), clocks()]);
            let first = packet(&[v(10, 3), v(13, 1), clocks()]);
            (with(&[first, event(&[]), lost, event(&[]), lost_and_told, event(&[])]), &[Rule::Loss])
        }
        Rule::UnknownClock => (
            with(&[packet(&[v(8, 5), v(10, 1), v(58, 64), m(11, &[v(9, INSTANT), v(11, T)])])]),
            &[],
        ),
        Rule::BadSnapshot => (
            with(&[packet(&[
                v(10, 1),
                snapshot(&[clock(6, 9), m(1, &[v(1, 3), v(2, 9), v(3, 1)])]),
            ])]),
            &[],
        ),
        Rule::LargeSequence => {
            let clocks = || snapshot(&[clock(6, 0), m(1, &[v(1, 64), v(2, 0), v(3, 1)]), v(2, 6)]);
            let of = |sequence| {
                let first = packet(&[v(10, sequence), v(13, 1), clocks()]);
                let event = m(11, &[v(9, INSTANT), v(11, T), b(22, "c"), b(23, "i")]);
                [first, packet(&[v(8, 5), v(10, sequence), v(58, 64), event])].concat()
            };
            // The number before is good.
            (with(&[of((1 << 31) - 1), of(1 << 31)]), &[Rule::UnknownClock])
        }
        Rule::SnapshotWithoutBoottime => {
            (with(&[packet(&[v(10, 1), snapshot(&[clock(1, 9), clock(3, 9)])])]), &[])
        }
        Rule::NegativeDelta => {
            let clocks = snapshot(&[clock(6, 0), m(1, &[v(1, 64), v(2, 0), v(3, 1)]), v(2, 6)]);
            let first = packet(&[v(10, 3), v(13, 1), clocks]);
            let at = |delta: i64| {
                packet(&[
                    v(8, delta.cast_unsigned()),
                    v(10, 3),
                    v(58, 64),
                    m(11, &[v(9, INSTANT), v(11, T), b(22, "c"), b(23, "i")]),
                ])
            };
            (with(&[first, at(50), at(-20)]), &[])
        }
        Rule::TimeOutOfRange => (with(&[named(1 << 63 | 5, INSTANT, "i")]), &[]),
        Rule::NoTimestamp => {
            (with(&[packet(&[v(10, 1), m(11, &[v(9, INSTANT), v(11, T), b(23, "i")])])]), &[])
        }
        Rule::UndescribedTrack => {
            (with(&[event_on(1, 99, 1, INSTANT, &[b(22, "c"), b(23, "i")])]), &[])
        }
        Rule::NoTrack => (
            with(&[packet(&[v(8, 5), v(10, 1), m(11, &[v(9, INSTANT), b(22, "c"), b(23, "i")])])]),
            &[],
        ),
        Rule::DescriptorWithoutUuid => (with(&[descriptor(&[b(2, "u")])]), &[]),
        Rule::UnknownParent => (
            with(&[
                descriptor(&[v(1, 8), b(2, "u"), v(5, 99)]),
                event_on(1, 8, 1, INSTANT, &[b(22, "c"), b(23, "i")]),
            ]),
            &[],
        ),
        Rule::ParentLoop => {
            let one = descriptor(&[v(1, 8), b(2, "one"), v(5, 9)]);
            let other = descriptor(&[v(1, 9), b(2, "other"), v(5, 8)]);
            (with(&[one, other, event_on(1, 8, 1, INSTANT, &[b(22, "c"), b(23, "i")])]), &[])
        }
        Rule::ParentsTooDeep => {
            let deep = (1_000..1_120_u64).map(|uuid| {
                descriptor(&[v(1, uuid), b(2, "d"), v(5, if uuid == 1_000 { T } else { uuid - 1 })])
            });
            let deep: Vec<u8> = deep.flatten().collect();
            (with(&[deep, event_on(1, 1_119, 1, INSTANT, &[b(22, "c"), b(23, "i")])]), &[])
        }
        Rule::OwnerWithParent => (
            with(&[
                descriptor(&[v(1, 8), v(5, T), m(3, &[v(1, 7), b(6, "p")])]),
                event_on(1, 8, 1, INSTANT, &[b(22, "c"), b(23, "i")]),
            ]),
            &[],
        ),
        Rule::ConflictingDescriptor => (with(&[descriptor(&[v(1, T), b(2, "t"), m(8, &[])])]), &[]),
        Rule::RenamedTrack => (with(&[track(T, "another")]), &[]),
        Rule::CounterBeforeDescriptor => {
            (with(&[event_on(1, 8, 1, COUNTER, &[v(30, 5)]), counter(8, &[])]), &[])
        }
        Rule::MissingPid => (
            with(&[
                descriptor(&[v(1, 8), m(4, &[v(1, 7)])]),
                event_on(1, 8, 1, INSTANT, &[b(22, "c"), b(23, "i")]),
            ]),
            &[],
        ),
        Rule::NegativePid => {
            let pid = (-7_i64).cast_unsigned();
            (
                with(&[
                    descriptor(&[v(1, 8), m(3, &[v(1, pid), b(6, "p")])]),
                    event_on(1, 8, 1, INSTANT, &[b(22, "c"), b(23, "i")]),
                ]),
                &[],
            )
        }
        Rule::IdleProcess => (
            with(&[
                descriptor(&[v(1, 8), m(3, &[v(1, 0), b(6, "p")])]),
                event_on(1, 8, 1, INSTANT, &[b(22, "c"), b(23, "i")]),
            ]),
            &[],
        ),
        Rule::NamelessProcess => (
            with(&[
                descriptor(&[v(1, 8), m(3, &[v(1, 7), b(2, "program")])]),
                event_on(1, 8, 1, INSTANT, &[b(22, "c"), b(23, "i")]),
            ]),
            &[],
        ),
        Rule::MergedTracks => {
            let merged = |uuid| {
                [
                    descriptor(&[v(1, uuid), b(2, "m")]),
                    event_on(1, uuid, 1, BEGIN, &[b(22, "c"), b(23, "s")]),
                    event_on(1, uuid, 5, END, &[]),
                ]
                .concat()
            };
            (with(&[merged(8), merged(9)]), &[])
        }
        Rule::IgnoredName => (
            with(&[
                descriptor(&[v(1, 8), b(2, "own"), m(4, &[v(1, 7), v(2, 8), b(5, "thread")])]),
                event_on(1, 8, 1, INSTANT, &[b(22, "c"), b(23, "i")]),
            ]),
            &[],
        ),
        Rule::PidTwice => {
            let process = |uuid| descriptor(&[v(1, uuid), m(3, &[v(1, 7), b(6, "p")])]);
            (with(&[process(8), process(9)]), &[])
        }
        Rule::NoType => {
            (with(&[packet(&[v(8, 5), v(10, 1), m(11, &[v(11, T), b(23, "i")])])]), &[])
        }
        Rule::Legacy => {
            let thread = descriptor(&[v(1, 8), m(4, &[v(1, 7), v(2, 8), b(5, "thread")])]);
            (
                with(&[
                    thread,
                    packet(&[
                        v(8, 5),
                        v(10, 1),
                        m(11, &[v(11, 8), b(22, "c"), b(23, "x"), m(6, &[v(2, 88), v(3, 2)])]),
                    ]),
                ]),
                &[],
            )
        }
        Rule::LegacyElsewhere => (
            with(&[event_on(
                1,
                T,
                1,
                0,
                &[b(22, "c"), b(23, "n"), m(6, &[v(2, u64::from(b'B'))])],
            )]),
            &[Rule::Legacy],
        ),
        Rule::LegacyWithoutId => (
            with(&[event_on(
                1,
                T,
                1,
                0,
                &[b(22, "c"), b(23, "n"), m(6, &[v(2, u64::from(b'b'))])],
            )]),
            &[Rule::Legacy],
        ),
        Rule::OrphanEnd => (with(&[end(5)]), &[]),
        Rule::MismatchedEnd => {
            (with(&[named(1, BEGIN, "a"), event(5, END, &[b(22, "other")])]), &[Rule::LeftOpen])
        }
        Rule::MisplacedEnd => (
            with(&[
                named(1, BEGIN, "a"),
                named(2, BEGIN, "b"),
                named(5, END, "a"),
                named(6, END, "b"),
            ]),
            &[Rule::OrphanEnd],
        ),
        Rule::EndOfOther => {
            let on = |sequence, ts, kind, name: &str| {
                event_on(sequence, T, ts, kind, &[b(22, "c"), b(23, name)])
            };
            let end_on = |sequence, ts| event_on(sequence, T, ts, END, &[]);
            (
                with(&[
                    start(2),
                    on(1, 1, BEGIN, "a"),
                    on(2, 2, BEGIN, "b"),
                    end_on(1, 5),
                    end_on(2, 6),
                ]),
                &[],
            )
        }
        Rule::ZeroInside => {
            let between = event_on(1, 8, 10, INSTANT, &[b(22, "c"), b(23, "i")]);
            // Abutting slices [1, 10] and [10, 20], the second one's begin first.
            (
                with(&[
                    track(8, "u"),
                    named(1, BEGIN, "a"),
                    named(10, BEGIN, "b"),
                    between,
                    end(10),
                    end(20),
                ]),
                &[],
            )
        }
        Rule::LeftOpen => {
            (with(&[event_on(1, 8, 1, BEGIN, &[b(22, "c"), b(23, "open")]), track(8, "u")]), &[])
        }
        Rule::TooDeep => {
            let begins: Vec<u8> = (0..513).flat_map(|ts| named(ts, BEGIN, "d")).collect();
            let ends: Vec<u8> = (0..512).flat_map(|ts| end(600 + ts)).collect();
            ([start(1), track(T, "t"), begins, ends].concat(), &[])
        }
        Rule::SliceOnCounter => {
            (with(&[counter(8, &[]), event_on(1, 8, 1, INSTANT, &[b(22, "c"), b(23, "i")])]), &[])
        }
        Rule::StateElsewhere => (with(&[event(1, 5, &[b(23, "busy")])]), &[]),
        Rule::KeyTwice => {
            let twice = [m(4, &[b(10, "k"), v(4, 1)]), m(4, &[b(10, "k"), v(4, 2)])];
            (with(&[event(1, INSTANT, &[b(22, "c"), b(23, "i"), twice.concat()])]), &[])
        }
        Rule::KeyAtBothEnds => {
            let argument = |value| m(4, &[b(10, "k"), v(4, value)]);
            (
                with(&[
                    event(1, BEGIN, &[b(22, "c"), b(23, "a"), argument(1)]),
                    event(5, END, &[argument(2)]),
                    // Another slice's is another.
                    event(6, BEGIN, &[b(22, "c"), b(23, "b")]),
                    event(7, END, &[argument(3)]),
                ]),
                &[],
            )
        }
        Rule::NoCategory => (with(&[event(1, INSTANT, &[b(23, "i")])]), &[]),
        Rule::NamelessArgument => (with(&[argument(&[v(4, 1)])]), &[]),
        Rule::EmptyArgument => (with(&[argument(&[b(10, "k")])]), &[]),
        Rule::KeyCharacters => (with(&[argument(&[b(10, "a.b[0]"), v(4, 1)])]), &[]),
        Rule::ArgumentNan => (with(&[argument(&[b(10, "k"), fixed(5, f64::NAN.to_bits())])]), &[]),
        Rule::Json => (with(&[argument(&[b(10, "k"), b(9, "{\"a\": 1, \"b")])]), &[]),
        Rule::LonelyFlow => {
            (with(&[event(1, INSTANT, &[b(22, "c"), b(23, "i"), fixed(47, 7)])]), &[])
        }
        Rule::FlowEndAlone => {
            (with(&[event(1, INSTANT, &[b(22, "c"), b(23, "i"), fixed(48, 7)])]), &[])
        }
        Rule::FlowOnCounter => {
            (with(&[counter(8, &[]), event_on(1, 8, 1, COUNTER, &[v(30, 5), fixed(47, 7)])]), &[])
        }
        Rule::LogElsewhere => {
            let body = packet(&[v(10, 1), m(12, &[m(20, &[v(1, 1), b(2, "message")])])]);
            let log = m(21, &[v(2, 1), v(3, 4)]);
            (with(&[body, event(1, INSTANT, &[b(22, "c"), b(23, "i"), log])]), &[])
        }
        Rule::Callstacks => {
            let callstack = m(55, &[m(1, &[b(1, "main")])]);
            (with(&[event(1, INSTANT, &[b(22, "c"), b(23, "i"), callstack])]), &[])
        }
        Rule::CallstackWeight => {
            let callstack = m(55, &[m(1, &[b(1, "main")])]);
            let instant = |ts, more: Field| {
                event(ts, INSTANT, &[b(22, "c"), b(23, "i"), callstack.clone(), more])
            };
            (with(&[instant(1, vec![]), instant(2, fixed(57, 0))]), &[Rule::Callstacks])
        }
        Rule::CounterName => {
            let named = [b(22, "c"), b(23, "ignored"), v(30, 5)];
            (with(&[counter(8, &[]), event_on(1, 8, 1, COUNTER, &named)]), &[])
        }
        Rule::NotACounter => (with(&[event(1, COUNTER, &[v(30, 5)])]), &[]),
        Rule::CounterWithoutValue => {
            (with(&[counter(8, &[]), event_on(1, 8, 1, COUNTER, &[])]), &[])
        }
        Rule::CounterPrecision => {
            (with(&[counter(8, &[]), event_on(1, 8, 1, COUNTER, &[v(30, (1 << 53) + 1)])]), &[])
        }
        Rule::CounterNan => (
            with(&[counter(8, &[]), event_on(1, 8, 1, COUNTER, &[fixed(44, f64::NAN.to_bits())])]),
            &[],
        ),
        Rule::CounterShared => {
            let on = |sequence, ts| event_on(sequence, 8, ts, COUNTER, &[v(30, 5)]);
            (with(&[start(2), counter(8, &[v(5, 1)]), on(1, 1), on(2, 2)]), &[])
        }
        Rule::CounterUnordered => {
            let on = |ts| event_on(1, 8, ts, COUNTER, &[v(30, 5)]);
            (with(&[counter(8, &[v(5, 1)]), on(9), on(2)]), &[])
        }
        Rule::UnitTwice => (
            with(&[counter(8, &[v(3, 3), b(6, "W")]), event_on(1, 8, 1, COUNTER, &[v(30, 5)])]),
            &[],
        ),
        Rule::ExtraCounters => {
            let values: Vec<u8> = (0..9).flat_map(|value| v(12, value)).collect();
            let uuids: Vec<u8> = (0..9).flat_map(|_| v(31, 8)).collect();
            (
                with(&[
                    counter(8, &[]),
                    event(1, INSTANT, &[b(22, "c"), b(23, "i"), uuids, values]),
                ]),
                &[],
            )
        }
        // A matter of more than two million events.
        _ => return None,
    };
    Some((bytes, also))
}

/// What the trace processor has to say about a trace.
fn opinion(oracle: &Oracle, bytes: &[u8]) -> String {
    match oracle.load_bytes(bytes) {
        Err(_) => "refuses the file".to_owned(),
        Ok(loaded) => {
            let stats: BTreeSet<String> = loaded
                .stats()
                .into_iter()
                .filter(Stat::is_fault)
                .map(|stat| format!("`{}` ({})", stat.name, stat.severity))
                .collect();
            if stats.is_empty() {
                "**silent**".to_owned()
            } else {
                stats.into_iter().collect::<Vec<_>>().join(", ")
            }
        }
    }
}

#[test]
fn every_rule_is_found_where_it_is_broken_and_nowhere_else() {
    let oracle = oracle_or_skip!();
    let is_blessed = std::env::var_os("NOVATRACE_BLESS").is_some();
    let sound = with(&[]);
    assert_eq!(opinion(&oracle, &sound), "**silent**");
    let checked = |bytes: &[u8]| {
        let source = Source::from_bytes("by hand", bytes);
        let report = Check::new().run(&source, |_| {}).expect("it begins like a trace");
        report.findings.into_iter().map(|found| found.rule).collect::<BTreeSet<Rule>>()
    };
    assert_eq!(checked(&sound), BTreeSet::new());
    let mut table = String::from(
        "# What `novatrace check` finds\n\nEach rule has a trace that breaks it, made by hand in `tests/oracle/rules.rs`. The trace processor's \
         opinion is that of v52, which the tests run: its statistics, most of which its UI does not show, or nothing at all.\n\n\
         | rule | | the fault | the trace processor | what it shows |\n|---|---|---|---|---|\n",
    );
    let (mut silent, mut faults, mut problems) = (0, 0, vec![]);
    for &rule in Rule::ALL {
        let Some((bytes, also)) = broken(rule) else {
            assert_eq!(rule, Rule::NotAllChecked, "{rule}: no trace breaks it");
            continue;
        };
        if is_blessed && bytes.len() < 20_000 {
            let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds");
            std::fs::write(format!("{seeds}/{rule}"), &bytes).expect("writable");
        }
        let found = checked(&bytes);
        let expected: BTreeSet<Rule> = also.iter().copied().chain([rule]).collect();
        if !found.contains(&rule) || !found.is_subset(&expected) {
            problems.push(format!("{rule}: {found:?} are found"));
        }
        let opinion = opinion(&oracle, &bytes);
        if rule.severity() > Severity::Note {
            faults += 1;
            silent += usize::from(opinion == "**silent**");
        }
        let _ = writeln!(
            table,
            "| `{rule}` | {} | {} | {opinion} | {} |",
            rule.severity(),
            rule.what(),
            rule.shows()
        );
    }
    let _ = writeln!(
        table,
        "\nOf {faults} rules that are no mere notes, the trace processor is silent about {silent}."
    );
    assert!(problems.is_empty(), "{problems:#?}");
    assert!(silent >= 15, "{silent}");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/CHECK.md");
    if is_blessed {
        std::fs::write(path, &table).expect("writable");
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    if kept != table {
        eprintln!("{table}");
    }
    assert!(kept == table, "docs/CHECK.md is not what was found; NOVATRACE_BLESS=1 writes it");
}
