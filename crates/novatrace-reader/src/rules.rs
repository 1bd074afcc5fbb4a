//! The rules of the format that can be seen in a file: what each fault is called, what the viewer makes of it, how a writer
//! avoids it. Belongs here: the table. Does not: looking for them.

use std::fmt;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know; nothing is lost, and it may be meant so.
    Note,
    /// What is shown may not be what was meant.
    Warning,
    /// Something is lost, or shown wrong.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

macro_rules! rules {
    ($($rule:ident $name:literal $severity:ident $what:literal, shows $shows:literal, mend $mend:literal;)*) => {
        /// A rule of the format.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "`what` says it")]
        pub enum Rule {
            $($rule,)*
        }

        impl Rule {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$rule,)*];

            /// What it is called, such as `orphan-end`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$rule => $name,)*
                }
            }

            /// How bad it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$rule => Severity::$severity,)*
                }
            }

            /// What the fault is.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self {
                    $(Self::$rule => $what,)*
                }
            }

            /// What the viewer shows because of it.
            #[must_use]
            pub const fn shows(self) -> &'static str {
                match self {
                    $(Self::$rule => $shows,)*
                }
            }

            /// What the writer has to do otherwise.
            #[must_use]
            pub const fn mend(self) -> &'static str {
                match self {
                    $(Self::$rule => $mend,)*
                }
            }
        }
    };
}

rules! {
    // The file: PERFETTO_FORMAT 1.1, 1.8.
    Cut "file-cut" Error "the file ends in the middle of a packet",
        shows "everything up to there",
        mend "close the trace; `novatrace recover` makes a copy without the rest";
    Garbage "damaged" Error "bytes that are no packets",
        shows "everything up to there, or nothing at all",
        mend "write whole packets only, each by one call; `novatrace recover` saves the others";
    Zeros "zeros" Error "zeros, with packets after them",
        shows "everything up to there",
        mend "append with O_APPEND, or truncate to what is written; `novatrace recover` saves the others";
    ZerosAtEnd "zeros-at-end" Note "zeros at the end",
        shows "everything",
        mend "truncate the file to what is written";
    ForeignField "foreign-field" Error "a field of the file that is not `packet`",
        shows "nothing, if the file is then taken for another format",
        mend "a trace has packets (field 1) and nothing else";
    PackedCut "packed-cut" Error "the file is compressed as a whole, and cut or damaged",
        shows "nothing: the load fails",
        mend "compress in bundles, of which all whole ones are read";
    Malformed "malformed" Error "a packet with bytes that are no field",
        shows "what comes before them in the packet",
        mend "check the lengths of nested messages";
    BundleDamaged "bundle-damaged" Error "a bundle that cannot be unpacked",
        shows "nothing: the load fails",
        mend "write whole zlib, gzip or zstd frames";
    BundleRawDeflate "bundle-raw-deflate" Error "a bundle without a zlib or gzip header",
        shows "nothing: the load fails",
        mend "use zlib's own format, not raw deflate";
    BundleSecondFrame "bundle-second-frame" Error "more behind a bundle's compressed frame",
        shows "nothing: the load fails",
        mend "one frame in a bundle";
    BundleMixed "bundle-mixed" Error "bundles by zlib and by zstd in one file",
        shows "nothing: the load fails",
        mend "keep to one of them";
    BundleLarge "bundle-large" Warning "a bundle of 512 KiB or more",
        shows "all of it, but other readers refuse it",
        mend "bundle less than 512 KiB of packets";
    BundleTooLarge "bundle-bomb" Error "a bundle that unpacks to more than 32 MiB",
        shows "what fits into memory; here, the first 32 MiB",
        mend "bundle less than 512 KiB of packets";
    LateEvent "late-event" Warning "an event that is earlier than what two flushes had promised to be complete",
        shows "it in trace processor v52, which sorts the file as a whole; where it sorts in windows, nothing",
        mend "write flush markers (service_event) only if no earlier event comes after them";
    BundleZstd "bundle-zstd" Note "bundles by zstd",
        shows "everything since trace processor v58, nothing before",
        mend "use zlib for those who have an older viewer";
    TwoPayloads "two-payloads" Error "a packet with two payloads",
        shows "one of them: a clock snapshot, or else the last",
        mend "one payload in a packet";
    NestedBundle "bundle-beside" Error "a bundle beside another payload, or in a bundle",
        shows "nothing: the trace processor aborts",
        mend "bundle packets once, each bundle in a packet of its own";
    Packed "packed-field" Error "a repeated number in the packed form",
        shows "the event without its flows, or with a category `unknown(..)`, or not at all",
        mend "write repeated numbers unpacked: the schema declares them so";
    NoSequence "no-sequence" Error "a track event without trusted_packet_sequence_id",
        shows "nothing of the event",
        mend "give every writer a number of its own, from 1 on";
    UnknownExtension "unknown-extension" Error "an extension field without an ExtensionDescriptor before it",
        shows "the event without it",
        mend "write the ExtensionDescriptor first";

    // Sequences: 1.2.
    SequenceNotStarted "sequence-not-started" Error "a sequence that never cleared its state",
        shows "events without names, or none at all",
        mend "set SEQ_INCREMENTAL_STATE_CLEARED on the sequence's first packet";
    Loss "loss" Error "packets were dropped before this one",
        shows "nothing of what was dropped",
        mend "a larger buffer, or fewer events";
    SkippedAfterLoss "skipped-after-loss" Error "packets that need a state that is lost",
        shows "nothing of them, until the sequence clears its state",
        mend "clear the state, and send descriptors and a clock snapshot again, after every loss";
    StaleState "stale-state" Warning "events after a loss that do not say that they need the sequence's state",
        shows "them, by what their numbers and deltas meant before the loss",
        mend "set SEQ_NEEDS_INCREMENTAL_STATE on every packet with a number of a text, or a delta";
    UnknownIid "unknown-iid" Error "a number of an interned text that is not defined",
        shows "a slice without a name, or a category `unknown(..)`",
        mend "define it on the same sequence, since its last clearing";
    LateDefinition "late-definition" Warning "an interned text that is used before it is defined",
        shows "everything; a reader of streams shows no name",
        mend "send the text in the first packet that uses it";
    RedefinedIid "redefined-iid" Error "an interned number that is defined again, otherwise",
        shows "the first definition, for all events",
        mend "clear the state before numbers are used again";
    LostDefault "lost-default" Error "new defaults without what the old ones had",
        shows "events at wrong times, or on another track",
        mend "defaults replace each other as a whole: repeat what is to stay";
    NameTwice "name-twice" Warning "an event with a name and the number of one",
        shows "the number's",
        mend "one of them";

    // Clocks: 1.3.
    StaleClock "stale-clock" Warning "deltas of time after a loss, without a clock snapshot since",
        shows "all events too early by what was lost",
        mend "a clock snapshot each time that the state is cleared after a loss";
    UnknownClock "unknown-clock" Error "a time on a clock that no snapshot relates to the trace's",
        shows "nothing of the event",
        mend "send a ClockSnapshot with that clock and BOOTTIME first";
    BadSnapshot "bad-snapshot" Error "a clock snapshot that is refused",
        shows "events at the times of the snapshot before, or none",
        mend "only clocks 64 to 127 are incremental, on a sequence; units stay; the primary clock never goes back";
    LargeSequence "large-sequence" Error "a clock of its own on a sequence with a number of 2^31 or more",
        shows "no event with times on that clock, at least in trace processor v52: it takes the number for a negative one",
        mend "number sequences from 1 on";
    SnapshotWithoutBoottime "snapshot-without-boottime" Warning "a clock snapshot without BOOTTIME",
        shows "an error banner, or no events",
        mend "have clock 6 in every snapshot";
    NegativeDelta "negative-delta" Warning "a time delta below zero",
        shows "the event in its place, today",
        mend "use an absolute clock (timestamp_clock_id 6) for what comes late";
    TimeOutOfRange "time-out-of-range" Error "a time before zero, or beyond 2^63 ns",
        shows "nothing of the event",
        mend "check the sum of start and length";
    NoTimestamp "no-timestamp" Error "a track event without a timestamp",
        shows "nothing of the event",
        mend "set it, also if it is 0";

    // Tracks: 1.4.
    UndescribedTrack "undescribed-track" Warning "events on a track without a descriptor",
        shows "a track at the top, named after its first event, merged with others of that name",
        mend "send a TrackDescriptor with that uuid";
    NoTrack "no-track" Warning "an event without a track",
        shows "it on the \"Default Track\"",
        mend "set track_uuid, in the event or in the sequence's defaults";
    DescriptorWithoutUuid "descriptor-without-uuid" Error "a track's descriptor without a uuid",
        shows "nothing of it",
        mend "set uuid, also if it is 0";
    UnknownParent "unknown-parent" Error "a track under one that is not described",
        shows "nothing of the track and its events",
        mend "describe the parent too";
    ParentLoop "parent-loop" Error "a track that is its own ancestor",
        shows "nothing of the track and its events",
        mend "check parent_uuid";
    ParentsTooDeep "parents-too-deep" Error "a track with more than 100 ancestors",
        shows "nothing of the track and its events",
        mend "fewer levels";
    OwnerWithParent "owner-with-parent" Warning "a process's or thread's track with a parent",
        shows "it without its parent",
        mend "no parent_uuid there";
    ConflictingDescriptor "conflicting-descriptor" Error "two descriptors of one uuid that differ",
        shows "the first one",
        mend "a uuid of its own for each track; a random base for each trace, if files are joined";
    RenamedTrack "renamed-track" Warning "one uuid for tracks of different names",
        shows "all their events on one track",
        mend "a uuid of its own for each track; a random base for each trace, if files are joined";
    CounterBeforeDescriptor "counter-before-descriptor" Error "a counter's value before its descriptor",
        shows "nothing of the value",
        mend "send a counter's descriptor first";
    MissingPid "missing-pid" Error "a process or thread without its number",
        shows "events on no process or thread",
        mend "set pid, and of a thread tid too; invent them from 1 up";
    NegativePid "negative-pid" Warning "a process with a number below zero",
        shows "the process apart from its threads",
        mend "invent numbers from 1 up";
    IdleProcess "idle-process" Warning "a process with the number 0",
        shows "the idle process, whose thread is called swapper",
        mend "invent numbers from 1 up";
    NamelessProcess "nameless-process" Note "a process with a command line and without a name",
        shows "its number only",
        mend "set process_name";
    MergedTracks "merged-tracks" Note "several tracks of one name under one parent, merged by name",
        shows "one track, with their slices on the first lanes that are free",
        mend "SIBLING_MERGE_BEHAVIOR_NONE, if each is to be a track by itself";
    IgnoredName "ignored-name" Note "a thread's track with a name of its own",
        shows "the thread's name only",
        mend "use ThreadDescriptor.thread_name";
    PidTwice "pid-twice" Note "one pid with two tracks",
        shows "two processes of that number",
        mend "describe a process once";

    // Events: 1.5.
    NoType "no-type" Error "a track event without a type",
        shows "nothing of the event",
        mend "set TrackEvent.type";
    Legacy "legacy-event" Note "a legacy event",
        shows "it, if its phase is one of slices, instants or flows",
        mend "use begin, end and instant of today";
    LegacyElsewhere "legacy-elsewhere" Error "a legacy event of a thread or process on a track of none",
        shows "nothing of the event",
        mend "use begin, end and instant of today";
    LegacyWithoutId "legacy-without-id" Error "an asynchronous legacy event, or a legacy flow, without its id",
        shows "nothing of the event",
        mend "use a track for each asynchronous operation, and flow_ids";
    OrphanEnd "orphan-end" Error "an end without a begin",
        shows "nothing",
        mend "write a begin for each end, on the same track; a begin that came after its end in time is none";
    MismatchedEnd "mismatched-end" Error "an end whose name or category is that of no open slice",
        shows "the slice open for ever",
        mend "no name and no category on ends";
    MisplacedEnd "misplaced-end" Error "an end of a slice in which another one is still open",
        shows "the inner slice cut off, or lengths swapped",
        mend "slices of a track nest or are disjoint: put those that overlap on tracks of their own, and at one time write ends before begins";
    EndOfOther "end-of-other" Warning "an end on another sequence than the begin that it ends, while its own sequence has one open",
        shows "lengths swapped between the two",
        mend "a track for each of the writers";
    ZeroInside "zero-inside" Note "a slice of no length at the time where its sequence could have ended the outer one",
        shows "it as an empty slice inside; if ends were meant to come first, the outer one too long",
        mend "at one time, write ends before begins";
    LeftOpen "left-open" Note "slices that never end",
        shows "them up to the end of the trace, fading",
        mend "end them; after a kill there is no other way";
    TooDeep "too-deep" Error "slices more than 512 deep",
        shows "nothing of the deeper ones",
        mend "fewer levels, or another track";
    SliceOnCounter "slice-on-counter" Error "a slice or instant on a counter's or state's track",
        shows "an odd track",
        mend "a track of its own";
    StateElsewhere "state-elsewhere" Error "a state on a track that is not a state's",
        shows "nothing of it",
        mend "describe the track with `state`";
    KeyTwice "key-twice" Warning "an argument that an event has twice",
        shows "the last one",
        mend "another key, or an array";
    KeyAtBothEnds "key-at-both-ends" Warning "an argument that both the begin and the end of a slice have",
        shows "the end's value; of a list, the elements of both",
        mend "another key at the end";
    NotAllChecked "not-all-checked" Note "a track with more than two million events that are not in order of time",
        shows "everything",
        mend "nothing: `check` does not look at all of them";
    NoCategory "no-category" Note "slices without a category",
        shows "them; converted to JSON, nothing of them",
        mend "a category on begins and instants";

    // Arguments, flows and the like: 1.6.
    NamelessArgument "nameless-argument" Error "an argument without a name",
        shows "nothing of it, nor of those after it in its dictionary",
        mend "a name, or the number of one, for each";
    EmptyArgument "empty-argument" Warning "an argument without a value, or an empty list or dictionary",
        shows "nothing of it",
        mend "a text such as \"[]\"";
    KeyCharacters "key-characters" Note "an argument's name with a dot or a bracket",
        shows "it with underscores instead",
        mend "nothing, if that is well";
    ArgumentNan "argument-nan" Warning "an argument that is not a number",
        shows "NULL",
        mend "a text such as \"NaN\"";
    Json "json" Error "legacy_json_value that is cut, no JSON, without a value, or a mere number",
        shows "what comes before the fault; of an empty one or null nothing at all: the trace processor aborts",
        mend "write whole lists and dictionaries, or annotations of today";
    LonelyFlow "lonely-flow" Note "a flow with one event only",
        shows "no arrow",
        mend "have the number on two slices or instants";
    FlowEndAlone "flow-end-alone" Note "the end of a flow that has not begun",
        shows "no arrow",
        mend "have the number in flow_ids of an event that is earlier";
    FlowOnCounter "flow-on-counter" Warning "a flow on a counter's value",
        shows "no arrow",
        mend "put it on a slice or an instant";
    LogElsewhere "log-elsewhere" Warning "a log message on a track without a thread",
        shows "the event, and no row in the log",
        mend "log messages on tracks of threads";

    Callstacks "callstacks" Note "callstacks on events",
        shows "everything since trace processor v53; before, an error statistic, and no callstack",
        mend "leave them out for those who have an older viewer";
    CallstackWeight "callstack-weight" Warning "callstacks with and without a weight on one track",
        shows "by weight, those only that have one",
        mend "a weight for each callstack of the track, or for none";

    // Counters: 1.7.
    CounterName "counter-name" Note "an event's name on a counter's value",
        shows "the counter's name only",
        mend "a counter for each name";
    NotACounter "not-a-counter" Error "a value on a track that is no counter",
        shows "nothing of the value",
        mend "describe the track with `counter`";
    CounterWithoutValue "counter-without-value" Error "a counter event without a value",
        shows "nothing",
        mend "set counter_value or double_counter_value";
    CounterPrecision "counter-precision" Warning "a counter's integer beyond 2^53",
        shows "the nearest double",
        mend "a smaller unit";
    CounterNan "counter-nan" Warning "a counter's value that is not a number",
        shows "NULL",
        mend "leave the sample out";
    CounterShared "counter-shared" Error "an incremental counter that two sequences add to",
        shows "a sum for each of them, by turns",
        mend "absolute values";
    CounterUnordered "counter-unordered" Error "an incremental counter whose values are not in order of time",
        shows "sums in the order of the file, at the wrong times",
        mend "absolute values, or write them in order";
    UnitTwice "unit-twice" Warning "a counter with a unit and the name of one",
        shows "the unit",
        mend "one of them";
    ExtraCounters "extra-counters" Error "more values on an event than counters, or than 8",
        shows "nothing of the event",
        mend "at most 8, and a counter for each, in the event or in the defaults";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl serde::Serialize for Rule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
