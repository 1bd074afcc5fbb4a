//! The attributes of `novatrace`, which re-exports them: name them from there.
//!
//! `attr.rs` parses what stands in the attribute, `expand.rs` writes the function again with a span
//! around its body. There is no code here that runs in a program.
#![forbid(unsafe_code)]

mod attr;
mod expand;

use proc_macro::TokenStream;
use syn::parse::Parser;

use attr::{Options, Which};

/// Makes each call of a function a span of its thread, from the start of its body to its end, however
/// that is reached: by `return`, `?` or a panic.
///
/// ```
/// #[novatrace::trace_func]
/// fn parse(text: &str) -> Option<u32> {
///     text.parse().ok()
/// }
///
/// #[novatrace::trace_func(name = "read a file", category = "io")]
/// async fn read() {}
/// # let _ = (parse("7"), read());
/// ```
///
/// The first becomes
///
/// ```
/// fn parse(text: &str) -> Option<u32> {
///     let _novatrace_span = ::novatrace::trace!("parse");
///     {
///         text.parse().ok()
///     }
/// }
/// # let _ = parse("7");
/// ```
///
/// and costs what `trace!` costs. The second becomes, in essence,
///
/// ```
/// async fn read() {
///     ::novatrace::in_span!(async move {}, "read a file", category = "io").await
/// }
/// # let _ = read();
/// ```
///
/// so that its span is on a track of the task's own and lasts from the first poll to the end, while each
/// poll is a slice on the thread that polls; see `novatrace::in_span!`.
///
/// On methods, generic, `unsafe` and `extern` functions, and those that take or give `impl Trait`, as on
/// any other. Not on a `const fn`, whose body may run in the compiler. On a function that is not `async`
/// but returns a future, the span is around the making of that future, not around its running.
///
/// # Options
///
/// - `name = "…"`: the span's name; the function's by default.
/// - `category = "…"`: the module's path by default.
/// - `track = EXPR`: a `&novatrace::LiveTrack` to draw the span on, in the place of the thread's own; it
///   is evaluated at each call. Not for an `async fn`, which has its task's.
#[proc_macro_attribute]
pub fn trace_func(attributes: TokenStream, item: TokenStream) -> TokenStream {
    run(Which::Function, attributes, item)
}

/// [`trace_func`] with the function's arguments as those of the span: texts and numbers, whatever is
/// `serde::Serialize`, or else whatever is `Debug`.
///
/// ```
/// #[novatrace::trace_func_args(skip(secret))]
/// fn log_in(user: &str, attempt: u32, secret: &[u8]) -> bool {
///     attempt < 3 && !secret.is_empty() && !user.is_empty()
/// }
/// # log_in("a", 1, b"b");
/// ```
///
/// becomes
///
/// ```
/// fn log_in(user: &str, attempt: u32, secret: &[u8]) -> bool {
///     let _novatrace_span = ::novatrace::trace!("log_in", user = user, attempt = attempt);
///     {
///         attempt < 3 && !secret.is_empty() && !user.is_empty()
///     }
/// }
/// # log_in("a", 1, b"b");
/// ```
///
/// Arguments are looked at before the body runs, and only while the span is recorded. `self`, and
/// arguments that are patterns or begin with `_`, are passed over.
///
/// # Options
///
/// Those of [`trace_func`], and `skip(a, b)`: arguments to be passed over, which then need be neither
/// `Serialize` nor `Debug`; or `skip_all`.
#[proc_macro_attribute]
pub fn trace_func_args(attributes: TokenStream, item: TokenStream) -> TokenStream {
    run(Which::Arguments, attributes, item)
}

fn run(which: Which, attributes: TokenStream, item: TokenStream) -> TokenStream {
    Options::parse(which)
        .parse(attributes)
        .and_then(|options| expand::expand(&options, item.into()))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
