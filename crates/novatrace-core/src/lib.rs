//! novatrace-core
