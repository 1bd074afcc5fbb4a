use novatrace::{trace_func, trace_func_args};

#[trace_func(nam = "x")]
fn unknown() {}

#[trace_func(name = "x", name = "y")]
fn twice() {}

#[trace_func(name = 7)]
fn not_a_text() {}

#[trace_func("x")]
fn without_a_key() {}

#[trace_func(skip(a))]
fn has_no_arguments(a: u32) {}

#[trace_func_args(skip(b))]
fn has_another(a: u32) {}

fn main() {}
