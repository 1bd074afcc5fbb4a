//! `trace!`, `instant!` and `counter!`.

/// Begins a span on this thread's track; it ends when the guard is dropped.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let session = novatrace::open(folder.path().join("app.pftrace"))?;
/// # let (rows, flow) = (64, novatrace::flow());
/// let _span = novatrace::trace!("matmul", m = rows, dtype = "fp16", category = "compute", flow_in = flow);
/// # drop(_span);
/// # session.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The name is a literal, or any expression that is a `&str` or a `&String`: then it is copied with
/// each span. After it come, in any order:
///
/// - `key = value`: an argument. Numbers and texts, whatever is `serde::Serialize`, and whatever is `Debug`,
///   in this order of preference. A key may be a literal: `"m · n" = 3`.
/// - `category = "…"`: a literal; the module's path by default.
/// - `flow_in`, `flow_out`, `flow_end`: a [`flow`](crate::flow()), an array or slice of them, or an
///   `Option`.
///
/// Nothing but the name's expression is evaluated while the category is off, or no session is open.
#[macro_export]
macro_rules! trace {
    ($name:literal $(, $($rest:tt)*)?) => {
        $crate::__site!(@parse begin [$name] [] {::core::module_path!()} {
            $crate::__macro_support::Said::nothing()
        } $($($rest)*)?)
    };
    ($name:expr $(, $($rest:tt)*)?) => {
        $crate::__site!(@parse begin [""] [$name] {::core::module_path!()} {
            $crate::__macro_support::Said::nothing()
        } $($($rest)*)?)
    };
}

/// Records a point in time on this thread's track; takes what [`trace!`](crate::trace) takes.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let session = novatrace::open(folder.path().join("app.pftrace"))?;
/// novatrace::instant!("checkpoint", step = 3);
/// # session.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[macro_export]
macro_rules! instant {
    ($name:literal $(, $($rest:tt)*)?) => {
        $crate::__site!(@parse instant [$name] [] {::core::module_path!()} {
            $crate::__macro_support::Said::nothing()
        } $($($rest)*)?)
    };
    ($name:expr $(, $($rest:tt)*)?) => {
        $crate::__site!(@parse instant [""] [$name] {::core::module_path!()} {
            $crate::__macro_support::Said::nothing()
        } $($($rest)*)?)
    };
}

/// A [`Counter`](crate::Counter), for a static: a name, and if it has one, a unit and a category.
///
/// ```
/// static BYTES: novatrace::Counter = novatrace::counter!("bytes read", unit = "B", category = "io");
/// ```
#[macro_export]
macro_rules! counter {
    ($name:literal $(,)?) => {
        $crate::Counter::new($name, ::core::option::Option::None, ::core::module_path!())
    };
    ($name:literal, unit = $unit:literal $(,)?) => {
        $crate::Counter::new($name, ::core::option::Option::Some($unit), ::core::module_path!())
    };
    ($name:literal, category = $category:literal $(,)?) => {
        $crate::Counter::new($name, ::core::option::Option::None, $category)
    };
    ($name:literal, unit = $unit:literal, category = $category:literal $(,)?) => {
        $crate::Counter::new($name, ::core::option::Option::Some($unit), $category)
    };
}

/// Puts a future into a span on a row of its task's; takes the future, and then what
/// [`trace!`](crate::trace) takes. The span lasts from the first poll to the end of the future.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let session = novatrace::open(folder.path().join("app.pftrace"))?;
/// # let id = 7;
/// let fetched = novatrace::in_span!(async { 42 }, "fetch", id = id, category = "io");
/// # drop(fetched);
/// # session.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[macro_export]
macro_rules! in_span {
    ($future:expr, $name:literal $(, $($rest:tt)*)?) => {
        $crate::__macro_support::InSpan::new($crate::__task!($name $(, $($rest)*)?), $future)
    };
}

/// What a task's span says.
#[doc(hidden)]
#[macro_export]
macro_rules! __task {
    ($name:literal $(, $($rest:tt)*)?) => {
        $crate::__site!(@parse task [$name] [] {::core::module_path!()} {
            $crate::__macro_support::Said::nothing()
        } $($($rest)*)?)
    };
}

/// Gathers what comes after the name: `[name] [name made at run time] {category} {said} rest…`.
#[doc(hidden)]
#[macro_export]
macro_rules! __site {
    (@parse $do:ident $name:tt $made:tt $category:tt $said:tt) => {
        $crate::__site!(@ $do $name $made $category $said)
    };
    (@parse $do:ident $name:tt $made:tt $category:tt $said:tt , $($rest:tt)*) => {
        $crate::__site!(@parse $do $name $made $category $said $($rest)*)
    };
    (@parse $do:ident $name:tt $made:tt $category:tt $said:tt category = $new:literal $($rest:tt)*) => {
        $crate::__site!(@parse $do $name $made {$new} $said $($rest)*)
    };
    (@parse $do:ident $name:tt $made:tt $category:tt {$said:expr} flow_in = $flow:expr $(, $($rest:tt)*)?) => {
        $crate::__site!(@parse $do $name $made $category { $said.flows($flow, false) } $($($rest)*)?)
    };
    (@parse $do:ident $name:tt $made:tt $category:tt {$said:expr} flow_out = $flow:expr $(, $($rest:tt)*)?) => {
        $crate::__site!(@parse $do $name $made $category { $said.flows($flow, false) } $($($rest)*)?)
    };
    (@parse $do:ident $name:tt $made:tt $category:tt {$said:expr} flow_end = $flow:expr $(, $($rest:tt)*)?) => {
        $crate::__site!(@parse $do $name $made $category { $said.flows($flow, true) } $($($rest)*)?)
    };
    (@parse $do:ident $name:tt $made:tt $category:tt {$said:expr} $key:ident = $value:expr $(, $($rest:tt)*)?) => {
        $crate::__site!(@parse $do $name $made $category {
            $crate::__argument!($said, ::core::stringify!($key), $value)
        } $($($rest)*)?)
    };
    (@parse $do:ident $name:tt $made:tt $category:tt {$said:expr} $key:literal = $value:expr $(, $($rest:tt)*)?) => {
        $crate::__site!(@parse $do $name $made $category {
            $crate::__argument!($said, $key, $value)
        } $($($rest)*)?)
    };
    (@ begin [$name:expr] [] {$category:expr} {$said:expr}) => {{
        #[allow(unused_imports, reason = "each argument needs one of them")]
        use $crate::__macro_support::{AddDebug as _, AddPlain as _, AddSerialized as _};
        static SITE: $crate::__macro_support::CallSite =
            $crate::__macro_support::CallSite::new($name, $category);
        match SITE.on() {
            ::core::option::Option::Some(site) => site.begin($said),
            ::core::option::Option::None => $crate::SpanGuard::none(),
        }
    }};
    (@ instant [$name:expr] [] {$category:expr} {$said:expr}) => {{
        #[allow(unused_imports, reason = "each argument needs one of them")]
        use $crate::__macro_support::{AddDebug as _, AddPlain as _, AddSerialized as _};
        static SITE: $crate::__macro_support::CallSite =
            $crate::__macro_support::CallSite::new($name, $category);
        if let ::core::option::Option::Some(site) = SITE.on() {
            site.instant($said);
        }
    }};
    (@ task [$name:expr] [] {$category:expr} {$said:expr}) => {{
        #[allow(unused_imports, reason = "each argument needs one of them")]
        use $crate::__macro_support::{AddDebug as _, AddPlain as _, AddSerialized as _};
        static SITE: $crate::__macro_support::CallSite =
            $crate::__macro_support::CallSite::new($name, $category);
        match SITE.on() {
            ::core::option::Option::Some(_) => $crate::__macro_support::Task::new(&SITE, $said),
            ::core::option::Option::None => $crate::__macro_support::Task::none(),
        }
    }};
    (@ on_track [$name:expr] [$track:expr] {$category:expr} {$said:expr}) => {{
        #[allow(unused_imports, reason = "each argument needs one of them")]
        use $crate::__macro_support::{AddDebug as _, AddPlain as _, AddSerialized as _};
        static SITE: $crate::__macro_support::CallSite =
            $crate::__macro_support::CallSite::new($name, $category);
        match SITE.on() {
            ::core::option::Option::Some(_) => {
                $crate::LiveTrack::span_of($track, &SITE, $said)
            }
            ::core::option::Option::None => $crate::TrackSpan::none(),
        }
    }};
    (@ begin [""] [$made:expr] {$category:expr} {$said:expr}) => {{
        #[allow(unused_imports, reason = "each argument needs one of them")]
        use $crate::__macro_support::{AddDebug as _, AddPlain as _, AddSerialized as _};
        static SITE: $crate::__macro_support::CallSite =
            $crate::__macro_support::CallSite::new("", $category);
        match SITE.on() {
            ::core::option::Option::Some(site) => site.begin($said.named(&$made)),
            ::core::option::Option::None => $crate::SpanGuard::none(),
        }
    }};
    (@ instant [""] [$made:expr] {$category:expr} {$said:expr}) => {{
        #[allow(unused_imports, reason = "each argument needs one of them")]
        use $crate::__macro_support::{AddDebug as _, AddPlain as _, AddSerialized as _};
        static SITE: $crate::__macro_support::CallSite =
            $crate::__macro_support::CallSite::new("", $category);
        if let ::core::option::Option::Some(site) = SITE.on() {
            site.instant($said.named(&$made));
        }
    }};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __argument {
    // No block around it: the value may be a temporary, which is to live until it is recorded.
    ($said:expr, $key:expr, $value:expr) => {
        (&&&$crate::__macro_support::Value(&$value)).add($said, {
            static KEY: $crate::__macro_support::LazyName =
                $crate::__macro_support::LazyName::new($key);
            KEY.get()
        })
    };
}
