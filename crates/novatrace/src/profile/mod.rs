//! Live recording: what a program does, timed as it does it. Belongs here: sessions, spans, instants,
//! counters and flows of threads, and the clock. Does not: packets, order, files.

mod args;
mod children;
mod clock;
mod counter;
mod dynamic;
mod exit;
mod filter;
mod flow;
mod loose;
mod macros;
mod session;
mod site;
mod span;
mod task;
mod thread;
mod track;

pub use args::{AddDebug, AddPlain, AddSerialized, Said, Value};
pub use children::{
    Children, VARIABLE as CHILD_VARIABLE, child_env_of, child_started, is_fork, join,
};
pub(crate) use clock::{Clock, Timeline, prepare as prepare_clock, set as set_clock};
pub use clock::{ClockSource, ticks, ticks_in};
pub use counter::Counter;
pub use dynamic::Fields;
pub(crate) use exit::prepare_for_forks;
pub use filter::matches;
pub use flow::{flow, flow_of};
pub use loose::{LooseSpan, end_those_said};
pub use session::{Overflow, Report, Session, SessionBuilder, open};
pub use site::{CallSite, LazyName, SiteOn};
pub(crate) use site::{SiteNames, site_names_from};
pub use span::{SpanGuard, name_thread};
pub use task::{InSpan, InSpanExt, Place, Running, Task, TaskRow, never};
pub use thread::make_ready;
pub use track::{LiveTrack, TrackSpan, track};
