//! novatrace
