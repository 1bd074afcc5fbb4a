//! These messages are the compiler's: what counts is where they point.

use novatrace::{trace_func, trace_func_args};

struct Opaque;

#[trace_func_args]
fn cannot_be_shown(number: u32, opaque: Opaque) {}

#[trace_func(track = "io")]
fn not_a_track() {}

#[trace_func]
fn gives_nothing() -> u32 {}

#[trace_func]
async fn gives_another() -> u32 {
    "text"
}

fn main() {}
