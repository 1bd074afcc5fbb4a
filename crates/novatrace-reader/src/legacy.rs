//! Legacy events: `TrackEvent.legacy_event`, which tools that convert Chrome's JSON write. Belongs here: what their phases mean, by
//! the trace processor's rules (`track_event_event_importer.h`); the thread of events that name no track.

use crate::event::{Arrow, Event, EventKind, FlowDoes, FlowPart};
use crate::packet::{Parsed, has};
use crate::rules::Rule;
use crate::text::TextId;
use crate::track::{LegacyTrack, TrackId};
use crate::walk::{Visit, Walk, Whereabouts, slice};
use crate::wire::{Fields, Wire};

/// `LegacyEvent`.
#[derive(Debug, Default)]
struct Legacy<'a> {
    name_iid: Option<u64>,
    phase: u8,
    duration_us: i64,
    unscoped_id: Option<u64>,
    global_id: Option<u64>,
    local_id: Option<u64>,
    id_scope: Option<&'a [u8]>,
    binds_to_enclosing: bool,
    instant_scope: u64,
}

impl<'a> Legacy<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let mut this = Self::default();
        for field in Fields::of(bytes) {
            match field {
                (1, Wire::Varint(iid)) => this.name_iid = Some(iid),
                // A phase that is no letter is none that is known.
                (2, Wire::Varint(phase)) => this.phase = u8::try_from(phase).unwrap_or(u8::MAX),
                (3, Wire::Varint(us)) => this.duration_us = us.cast_signed(),
                (6, Wire::Varint(id)) => this.unscoped_id = Some(id),
                (7, Wire::Bytes(scope)) => this.id_scope = Some(scope),
                (10, Wire::Varint(id)) => this.local_id = Some(id),
                (11, Wire::Varint(id)) => this.global_id = Some(id),
                (12, Wire::Varint(binds)) => this.binds_to_enclosing = binds != 0,
                (14, Wire::Varint(scope)) => this.instant_scope = scope,
                _ => {}
            }
        }
        this
    }
}

/// The process and the thread that a `TrackEvent` says it is of, as numbers of 32 bits.
fn overrides(event: &[u8]) -> (Option<i64>, Option<i64>) {
    let legacy = Fields::of(event).filter_map(|field| match field {
        (6, Wire::Bytes(legacy)) => Some(legacy),
        _ => None,
    });
    let (mut pid, mut tid) = (None, None);
    for field in legacy.last().into_iter().flat_map(Fields::of) {
        match field {
            (18, Wire::Varint(number)) => pid = Some(i64::from(number as u32)),
            (19, Wire::Varint(number)) => tid = Some(i64::from(number as u32)),
            _ => {}
        }
    }
    (pid, tid)
}

/// The flow that a legacy event's slice is in.
pub(crate) fn flow(bytes: &[u8]) -> Option<FlowPart> {
    let (mut id, mut does) = (None, None);
    for field in Fields::of(bytes) {
        match field {
            (8, Wire::Varint(number)) => id = Some(number),
            (13, Wire::Varint(direction)) => {
                does = match direction {
                    1 => Some(FlowDoes::End),
                    2 => Some(FlowDoes::Begin),
                    3 => Some(FlowDoes::Step),
                    _ => None,
                }
            }
            _ => {}
        }
    }
    Some(FlowPart { id: id?, does: does? })
}

/// `LegacyEvent.InstantEventScope`.
mod scope {
    pub(super) const GLOBAL: u64 = 1;
    pub(super) const PROCESS: u64 = 2;
}

impl<V: Visit> Walk<'_, V> {
    /// The track of an event that names none: that of the thread that its sequence has described, or that the event says it is of;
    /// otherwise the "Default Track". `None` if there can be no such thread.
    #[cold]
    #[inline(never)]
    pub(crate) fn without_track(
        &mut self,
        at: Whereabouts,
        index: u32,
        parsed: &Parsed,
        bytes: &[u8],
    ) -> Option<TrackId> {
        // The thread's descriptor may be another share's.
        self.needs_all();
        let (pid, tid) = overrides(slice(bytes, parsed.payload));
        let own = self.state.sequences[index as usize].thread;
        // To name track 0 is to ask for the default track, but of events without a type.
        let goes_to_own = !parsed.has(has::TRACK) || !parsed.has(has::TYPE);
        let is_own = pid.is_none() && tid.is_none();
        let thread = match (pid, tid, own) {
            // A thread without a number, in that process.
            (Some(pid), None, _) => Some((pid, -1)),
            (Some(pid), Some(tid), _) => Some((pid, tid)),
            (None, Some(tid), Some(own)) => Some((own.pid, tid)),
            (None, None, Some(own)) if goes_to_own => Some((own.pid, own.tid)),
            (None, _, _) => None,
        };
        let Some((pid, tid)) = thread else {
            self.fault(Rule::NoTrack, at, |_| {
                "neither the event nor its sequence's defaults name a track".to_owned()
            });
            return Some(self.state.tracks.id_of(0));
        };
        if pid == 0 || tid == 0 {
            self.fault(Rule::LegacyElsewhere, at, |_| {
                format!("thread {tid} of process {pid}: 0 is the idle process")
            });
            return None;
        }
        if is_own && own.is_some_and(|own| !own.is_only) {
            self.fault(Rule::NoTrack, at, |_| {
                "neither the event nor its sequence's defaults name a track, and the sequence has described several threads"
                    .to_owned()
            });
        }
        Some(self.state.tracks.of_thread(pid, tid))
    }

    /// What an event is by its legacy phase, and where. Returns whether it is shown.
    pub(crate) fn legacy(&mut self, event: &mut Event<'_>, at: Whereabouts, bytes: &[u8]) -> bool {
        let legacy = Legacy::of(bytes);
        if let (None, Some(iid)) = (event.name, legacy.name_iid) {
            event.name = self.state.sequences[event.sequence as usize].names.get(iid);
        }
        // The event has a type.
        if legacy.phase == 0 {
            return true;
        }
        let (pid, tid) = self.state.tracks.owner(event.track);
        self.fault(Rule::Legacy, at, |_| {
            let phase = Some(legacy.phase).filter(u8::is_ascii_graphic).map(char::from);
            format!("phase {}", phase.map_or("unknown".to_owned(), |phase| format!("{phase:?}")))
        });
        let needs_thread = match legacy.phase {
            b'B' | b'E' | b'X' => true,
            b'I' | b'i' => !matches!(legacy.instant_scope, scope::GLOBAL | scope::PROCESS),
            _ => false,
        };
        if needs_thread && tid.is_none() {
            self.fault(Rule::LegacyElsewhere, at, |_| {
                format!("phase {:?} on a track of no thread", char::from(legacy.phase))
            });
            return false;
        }
        event.kind = match legacy.phase {
            b'B' | b'b' | b'S' => EventKind::Begin,
            b'E' | b'e' | b'F' => EventKind::End,
            b'X' => {
                let us = legacy.duration_us;
                let Some(length) = us.checked_mul(1_000).filter(|length| *length >= 0) else {
                    self.fault(Rule::TimeOutOfRange, at, |_| format!("a length of {us} µs"));
                    return false;
                };
                EventKind::Complete(length)
            }
            b'I' | b'i' | b'R' | b'n' | b'T' | b'p' => EventKind::Instant,
            b's' | b't' | b'f' => return self.arrow(event, at, &legacy),
            _ => return false,
        };
        let track = match (legacy.phase, legacy.instant_scope) {
            (b'b' | b'e' | b'n' | b'S' | b'T' | b'p' | b'F', _) => {
                self.of_async(event, at, &legacy, pid)
            }
            (b'I' | b'i', scope::GLOBAL) => Some(LegacyTrack::GlobalInstants),
            (b'I' | b'i', scope::PROCESS) => {
                if pid.is_none() {
                    self.fault(Rule::LegacyElsewhere, at, |_| {
                        "an instant of a process on a track of none".to_owned()
                    });
                }
                pid.map(LegacyTrack::ProcessInstants)
            }
            _ => return true,
        };
        let Some(track) = track else { return false };
        event.track = self.state.tracks.of_legacy(track, event.name);
        true
    }

    /// The track of an asynchronous event, by its id.
    fn of_async(
        &mut self,
        event: &Event<'_>,
        at: Whereabouts,
        legacy: &Legacy<'_>,
        pid: Option<i64>,
    ) -> Option<LegacyTrack> {
        let id = legacy.unscoped_id.or(legacy.global_id);
        let (id, pid) = match (id, legacy.local_id, pid) {
            (Some(id), ..) => (id, None),
            (None, Some(id), Some(pid)) => (id, Some(pid)),
            (None, local, _) => {
                self.fault(Rule::LegacyWithoutId, at, |_| {
                    let why = if local.is_some() { "a local id, and no process" } else { "no id" };
                    format!("phase {:?} with {why}", char::from(legacy.phase))
                });
                return None;
            }
        };
        let scope = match legacy.id_scope {
            Some(scope) => {
                let category = self.text(event.category);
                let scope = format!("{category}:{}", String::from_utf8_lossy(scope));
                Some(self.state.texts.id_of(scope.as_bytes()))
            }
            None if b"STpF".contains(&legacy.phase) => event.name,
            None => event.category,
        };
        Some(LegacyTrack::Async { scope, id, pid })
    }

    fn text(&self, text: Option<TextId>) -> &str {
        text.map_or("", |text| self.state.texts.get(text))
    }

    fn arrow(&mut self, event: &mut Event<'_>, at: Whereabouts, legacy: &Legacy<'_>) -> bool {
        let Some(id) = legacy.unscoped_id else {
            self.fault(Rule::LegacyWithoutId, at, |_| {
                format!("phase {:?} without an unscoped id", char::from(legacy.phase))
            });
            return false;
        };
        let arrow = match (legacy.phase, legacy.binds_to_enclosing) {
            (b's', _) => Arrow::Begin,
            (b't', _) => Arrow::Step,
            (_, true) => Arrow::End,
            (_, false) => Arrow::EndAtNext,
        };
        event.kind = EventKind::Arrow(arrow, id);
        true
    }
}
