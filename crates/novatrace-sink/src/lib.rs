//! novatrace-sink
