//! The feature `disabled`: a session records nothing, arguments are not evaluated, and a traced function
//! is compiled as if nothing were there.
//!
//! The same program without the feature records everything and evaluates each argument, so that no test
//! passes because of what it does not reach. `cargo xtask test` runs both.

mod batches;

use std::cell::Cell;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use batches::Memory;
use novatrace::{
    Counter, InSpanExt, Session, counter, in_span, instant, trace, trace_func, trace_func_args,
};

const IS_DISABLED: bool = cfg!(feature = "disabled");

static SAMPLES: Counter = counter!("samples");
static PER_CALL: Counter = counter!("per call", unit = "items", category = "calls");

thread_local! {
    static EVALUATED: Cell<u64> = const { Cell::new(0) };
}

/// An argument that counts how often it is asked for.
fn argument() -> u64 {
    EVALUATED.set(EVALUATED.get() + 1);
    EVALUATED.get()
}

#[trace_func]
fn bare() {}

#[trace_func_args]
fn with_arguments(first: u64, second: &str) -> u64 {
    first + second.len() as u64
}

#[trace_func(track = &novatrace::track("functions"))]
fn on_a_track() {}

#[trace_func_args]
async fn task(number: u64) -> u64 {
    number
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("never pending"),
    }
}

/// Everything that live recording has; says how many events and how many arguments that is.
fn record_everything() -> (u64, u64) {
    drop(trace!("span", argument = argument(), category = "spans"));
    drop(trace!(&format!("span {}", 1), argument = argument()));
    instant!("instant", argument = argument(), flow_out = novatrace::flow());
    instant!(&format!("instant {}", 1), argument = argument());
    SAMPLES.set(1);
    PER_CALL.add(1);
    bare();
    assert_eq!(with_arguments(1, "two"), 4);
    on_a_track();
    let track = novatrace::track("track");
    drop(track.trace("span"));
    track.instant("instant");
    // Each of the three has a span of its own and a slice for its only poll.
    assert_eq!(ready(task(5)), 5);
    assert_eq!(ready(in_span!(async { 6 }, "task", argument = argument())), 6);
    assert_eq!(ready(async { 7 }.in_span("task")), 7);
    (11 + 3 * 2, 5)
}

#[test]
fn a_session_records_nothing_and_evaluates_no_argument() {
    let memory = Memory::default();
    let builder = Session::builder().flush_on_panic(true);
    let session = builder.sink(memory.clone()).expect("no other session is open");
    let (events, arguments) = record_everything();
    let _ = std::thread::spawn(|| {
        drop(trace!("span of another thread"));
        std::panic::resume_unwind(Box::new("not reported, so no instant"));
    })
    .join();
    let report = session.close().expect("memory takes all");
    let expected = if IS_DISABLED { (0, 0, 0) } else { (events + 1, arguments, 2) };
    assert_eq!((report.events, EVALUATED.get(), report.threads), expected);
    assert_eq!((report.lost, report.dropped, report.left_open), (0, 0, 0));
    assert_eq!((SAMPLES.value() > 0.0, PER_CALL.value() > 0.0), (!IS_DISABLED, !IS_DISABLED));
    // The trace is a trace all the same, and no name of an event's is in it.
    let bytes = memory.0.lock().expect("not poisoned").concat();
    assert_eq!(report.bytes, bytes.len() as u64);
    let holds = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    for name in ["span", "instant", "samples", "with_arguments", "functions", "task"] {
        assert_eq!(holds(name), !IS_DISABLED, "{name}");
    }
}

/// Its constants differ from those of the next, so that the two are not made one.
#[inline(never)]
extern "C" fn plain(number: u32) -> u32 {
    number.wrapping_mul(0x1357_9BD1).rotate_left(7) ^ 0x2468_ACE1
}

#[inline(never)]
extern "C" fn traced(number: u32) -> u32 {
    let _span = trace!("traced", number = number, text = argument(), category = "code");
    instant!("point", number = number, flow_out = novatrace::flow());
    SAMPLES.set(i64::from(number));
    PER_CALL.add(1);
    traced_by_attribute(number)
}

#[inline(always)]
#[trace_func_args]
fn traced_by_attribute(number: u32) -> u32 {
    number.wrapping_mul(0x1357_9BD3).rotate_left(7) ^ 0x2468_ACE3
}

/// The instructions of a function up to its return, with what is different on purpose made the same.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "reads the program's own instructions")]
fn instructions(function: extern "C" fn(u32) -> u32, constants: [u32; 2]) -> Vec<u8> {
    const RETURN: u8 = 0xC3;
    let start = function as *const u8;
    let mut code = vec![];
    for at in 0..64 {
        // SAFETY: a function's instructions may be read; one that has no return among the first 64 bytes
        // is followed by as much of the rest of this program.
        let byte = unsafe { *start.wrapping_add(at) };
        code.push(byte);
        if byte == RETURN {
            break;
        }
    }
    for constant in constants {
        let bytes = constant.to_le_bytes();
        // A traced function's may lie further on than was read.
        if let Some(at) = code.windows(4).position(|part| part == bytes) {
            code[at..at + 4].fill(0);
        }
    }
    code
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_traced_function_is_compiled_as_if_nothing_were_there() {
    // They are not called: what they would record belongs to the other test's session.
    let plain = instructions(plain, [0x1357_9BD1, 0x2468_ACE1]);
    let traced = instructions(traced, [0x1357_9BD3, 0x2468_ACE3]);
    assert_eq!(plain.last(), Some(&0xC3), "all of it was read: {plain:x?}");
    assert_eq!(plain == traced, IS_DISABLED, "{plain:x?}, {traced:x?}");
}
