//! Names of fields, for people.

/// The fields of `TracePacket` that are its payload.
pub(crate) fn packet_field(number: u32) -> Option<&'static str> {
    Some(match number {
        1 => "ftrace_events",
        2 => "process_tree",
        4 => "inode_file_map",
        5 => "chrome_events",
        6 => "clock_snapshot",
        7 => "sys_stats",
        9 => "process_stats",
        11 => "track_event",
        33 => "trace_config",
        34 => "ftrace_stats",
        35 => "trace_stats",
        36 => "synchronization_marker",
        37 => "profile_packet",
        38 => "battery",
        39 => "android_log",
        43 => "process_descriptor",
        44 => "thread_descriptor",
        45 => "system_info",
        46 => "trigger",
        50 => "compressed_packets",
        60 => "track_descriptor",
        69 => "service_event",
        72 => "extension_descriptor",
        78 => "ui_state",
        89 => "trace_uuid",
        90 => "track_event_range_of_interest",
        107 => "remote_clock_sync",
        113 => "clone_snapshot_trigger",
        126 => "trace_attributes",
        135 => "stack_sample",
        _ => return None,
    })
}
