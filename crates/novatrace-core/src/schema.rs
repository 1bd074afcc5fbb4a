//! The one table of field numbers and enum values, shared with the reader. Belongs here: numbers,
//! under the names of Perfetto's `.proto` files. Does not: logic.
//!
//! Source: `protos/perfetto/trace/**` of google/perfetto, August 2026.

#![allow(missing_docs, reason = "each constant is the field that its module and name say")]

/// `TrackEvent.Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EventType {
    SliceBegin = 1,
    SliceEnd = 2,
    Instant = 3,
    Counter = 4,
}

/// `TracePacket.sequence_flags`: forget what was interned and defaulted before.
pub const SEQ_INCREMENTAL_STATE_CLEARED: u64 = 1;
/// `TracePacket.sequence_flags`: this packet relies on interned data or defaults.
pub const SEQ_NEEDS_INCREMENTAL_STATE: u64 = 2;

/// `TracePacket.previous_packet_dropped`: there was a loss; goes with every other bit.
pub const DATA_LOSS_PRESENT: u64 = 1;
/// `TracePacket.previous_packet_dropped`: the buffer before the writer was full.
pub const DATA_LOSS_BUFFER_FULL: u64 = 256;
/// `TracePacket.previous_packet_dropped`: newer packets took the place of older ones.
pub const DATA_LOSS_OVERWRITE: u64 = 64;

pub mod trace {
    pub const PACKET: u32 = 1;
}

pub mod trace_packet {
    pub const CLOCK_SNAPSHOT: u32 = 6;
    pub const TIMESTAMP: u32 = 8;
    pub const TRUSTED_PACKET_SEQUENCE_ID: u32 = 10;
    pub const TRACK_EVENT: u32 = 11;
    pub const INTERNED_DATA: u32 = 12;
    pub const SEQUENCE_FLAGS: u32 = 13;
    pub const PREVIOUS_PACKET_DROPPED: u32 = 42;
    pub const COMPRESSED_PACKETS: u32 = 50;
    pub const TIMESTAMP_CLOCK_ID: u32 = 58;
    pub const TRACE_PACKET_DEFAULTS: u32 = 59;
    pub const TRACK_DESCRIPTOR: u32 = 60;
    pub const FIRST_PACKET_ON_SEQUENCE: u32 = 87;
    pub const TRACE_UUID: u32 = 89;
    pub const TRACE_ATTRIBUTES: u32 = 126;
    pub const ZSTD_COMPRESSED_PACKETS: u32 = 133;
}

pub mod clock_snapshot {
    pub const CLOCKS: u32 = 1;
    pub const PRIMARY_TRACE_CLOCK: u32 = 2;
    pub mod clock {
        pub const CLOCK_ID: u32 = 1;
        pub const TIMESTAMP: u32 = 2;
        pub const IS_INCREMENTAL: u32 = 3;
    }
}

pub mod trace_packet_defaults {
    pub const TRACK_EVENT_DEFAULTS: u32 = 11;
    pub const TIMESTAMP_CLOCK_ID: u32 = 58;
    pub mod track_event_defaults {
        pub const TRACK_UUID: u32 = 11;
    }
}

pub mod trace_uuid {
    pub const MSB: u32 = 1;
    pub const LSB: u32 = 2;
}

pub mod trace_attributes {
    pub const ATTRIBUTE: u32 = 1;
    pub mod attribute {
        pub const KEY: u32 = 1;
        pub const LONG_VALUE: u32 = 2;
        pub const STRING_VALUE: u32 = 3;
    }
}

pub mod track_descriptor {
    pub const UUID: u32 = 1;
    pub const NAME: u32 = 2;
    pub const PROCESS: u32 = 3;
    pub const THREAD: u32 = 4;
    pub const PARENT_UUID: u32 = 5;
    pub const COUNTER: u32 = 8;
    pub const CHILD_ORDERING: u32 = 11;
    pub const SIBLING_ORDER_RANK: u32 = 12;
    pub const DESCRIPTION: u32 = 14;
    pub const SIBLING_MERGE_BEHAVIOR: u32 = 15;
    pub const SIBLING_MERGE_KEY: u32 = 16;
    pub const SIBLING_MERGE_KEY_INT: u32 = 17;
}

pub mod process_descriptor {
    pub const PID: u32 = 1;
    pub const PROCESS_NAME: u32 = 6;
}

pub mod thread_descriptor {
    pub const PID: u32 = 1;
    pub const TID: u32 = 2;
    pub const THREAD_NAME: u32 = 5;
}

pub mod counter_descriptor {
    pub const UNIT: u32 = 3;
    pub const UNIT_MULTIPLIER: u32 = 4;
    pub const IS_INCREMENTAL: u32 = 5;
    pub const UNIT_NAME: u32 = 6;
    pub const Y_AXIS_SHARE_KEY: u32 = 7;
}

pub mod track_event {
    pub const CATEGORY_IIDS: u32 = 3;
    pub const DEBUG_ANNOTATIONS: u32 = 4;
    pub const TYPE: u32 = 9;
    pub const NAME_IID: u32 = 10;
    pub const TRACK_UUID: u32 = 11;
    pub const LOG_MESSAGE: u32 = 21;
    pub const CATEGORIES: u32 = 22;
    pub const NAME: u32 = 23;
    pub const COUNTER_VALUE: u32 = 30;
    pub const SOURCE_LOCATION: u32 = 33;
    pub const SOURCE_LOCATION_IID: u32 = 34;
    pub const DOUBLE_COUNTER_VALUE: u32 = 44;
    pub const FLOW_IDS: u32 = 47;
    pub const TERMINATING_FLOW_IDS: u32 = 48;
    pub const CORRELATION_ID: u32 = 52;
    pub const CORRELATION_ID_STR: u32 = 53;
    pub const CORRELATION_ID_STR_IID: u32 = 54;
    pub const CALLSTACK: u32 = 55;
    pub const CALLSTACK_IID: u32 = 56;
    pub const CALLSTACK_WEIGHT: u32 = 57;
}

pub mod debug_annotation {
    pub const NAME_IID: u32 = 1;
    pub const BOOL_VALUE: u32 = 2;
    pub const UINT_VALUE: u32 = 3;
    pub const INT_VALUE: u32 = 4;
    pub const DOUBLE_VALUE: u32 = 5;
    pub const STRING_VALUE: u32 = 6;
    pub const POINTER_VALUE: u32 = 7;
    pub const NAME: u32 = 10;
    pub const DICT_ENTRIES: u32 = 11;
    pub const ARRAY_VALUES: u32 = 12;
    pub const STRING_VALUE_IID: u32 = 17;
}

pub mod interned_data {
    pub const EVENT_CATEGORIES: u32 = 1;
    pub const EVENT_NAMES: u32 = 2;
    pub const DEBUG_ANNOTATION_NAMES: u32 = 3;
    pub const SOURCE_LOCATIONS: u32 = 4;
    pub const FUNCTION_NAMES: u32 = 5;
    pub const FRAMES: u32 = 6;
    pub const CALLSTACKS: u32 = 7;
    pub const MAPPING_PATHS: u32 = 17;
    pub const SOURCE_PATHS: u32 = 18;
    pub const MAPPINGS: u32 = 19;
    pub const LOG_MESSAGE_BODY: u32 = 20;
    pub const DEBUG_ANNOTATION_STRING_VALUES: u32 = 29;
    pub const CORRELATION_ID_STR: u32 = 43;
    /// `EventCategory`, `EventName`, `DebugAnnotationName` and `InternedString` agree on these two.
    pub mod entry {
        pub const IID: u32 = 1;
        pub const TEXT: u32 = 2;
    }
}

pub mod source_location {
    pub const IID: u32 = 1;
    pub const FILE_NAME: u32 = 2;
    pub const FUNCTION_NAME: u32 = 3;
    pub const LINE_NUMBER: u32 = 4;
}

pub mod mapping {
    pub const PATH_STRING_IDS: u32 = 7;
}

pub mod frame {
    pub const FUNCTION_NAME_ID: u32 = 2;
    pub const MAPPING_ID: u32 = 3;
    pub const REL_PC: u32 = 4;
    pub const SOURCE_PATH_IID: u32 = 5;
    pub const LINE_NUMBER: u32 = 6;
}

pub mod callstack {
    pub const FRAME_IDS: u32 = 2;
}

/// `TrackEvent.InlineCallstack`.
pub mod inline_callstack {
    pub const FRAMES: u32 = 1;
    pub mod frame {
        pub const FUNCTION_NAME: u32 = 1;
        pub const SOURCE_FILE: u32 = 2;
        pub const LINE_NUMBER: u32 = 3;
    }
}

pub mod log_message {
    pub const SOURCE_LOCATION_IID: u32 = 1;
    pub const BODY_IID: u32 = 2;
    pub const PRIO: u32 = 3;
}
