//! Tests that cross crates live beside this file; it holds none of its own.
