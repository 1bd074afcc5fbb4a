//! novatrace-testkit
