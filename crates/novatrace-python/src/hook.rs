//! Every call of a program as a span, by the interpreter's profile hook: what `novatrace run` does. Belongs
//! here: the hook, the calls that a thread is in, what a function is called. Does not: running a program.
//!
//! A thread has a stack of the calls it is in, each with its span. What identifies a call is its frame:
//! programs that switch stacks (greenlets) return in another order than they called, and frames that were
//! entered before the hook was there return without having been called.
//!
//! With a least duration, a call's begin stays on that stack, with its time, until the call has lasted so
//! long, or something is recorded that comes after it; so a thread's records stay in order, and what is
//! short costs nothing but two readings of the clock.
#![expect(unsafe_code, reason = "the interpreter's hook, and its frames and builtin functions")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use novatrace::__macro_support::{CallSite, Said, make_ready, matches, ticks, ticks_in};
use novatrace::{Name, SpanGuard};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyType};

use crate::frame::PyFrame_GetCode;
use crate::live::{end_those_ended_elsewhere, name_thread, set_behind};
use crate::value::text;

type Hook = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *mut ffi::PyFrameObject,
    c_int,
    *mut ffi::PyObject,
) -> c_int;

unsafe extern "C" {
    // Not in the stable ABI, but exported by every CPython since 2.2, with this signature.
    fn PyEval_SetProfile(hook: Option<Hook>, object: *mut ffi::PyObject);
}

/// What the hook is told of: CPython's `PyTrace_*`.
mod what {
    use std::ffi::c_int;

    pub(super) const CALL: c_int = 0;
    pub(super) const RETURN: c_int = 3;
    pub(super) const C_CALL: c_int = 4;
    pub(super) const C_EXCEPTION: c_int = 5;
    pub(super) const C_RETURN: c_int = 6;
}

/// What is recorded of a program.
#[derive(Debug)]
struct Choice {
    min_ticks: u64,
    c_functions: bool,
    is_monitored: bool,
    include: Vec<String>,
    exclude: Vec<String>,
    /// The folder of this package, whose functions are not the program's.
    own: String,
}

static CHOICE: Mutex<Option<Choice>> = Mutex::new(None);
/// Whether begins may be waiting on threads' stacks.
static HOLDS_BACK: AtomicBool = AtomicBool::new(false);

impl Choice {
    fn admits(&self, file: &str) -> bool {
        let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
        let is_any =
            |globs: &[String]| globs.iter().any(|glob| matches(glob, file) || matches(glob, name));
        !file.starts_with(&self.own)
            && (self.include.is_empty() || is_any(&self.include))
            && !is_any(&self.exclude)
    }
}

/// Where a function's calls are recorded; `None` if they are not to be.
pub(crate) type Site = Option<&'static CallSite>;

/// Of a function, what it is known by: a code object and 0, or a builtin's definition and the type it is a
/// method of. Whatever is known is never freed (`sys.monitoring` asks once about code that is not to be
/// recorded, which is therefore not kept), so that nothing else comes to lie at its address.
type Key = (usize, usize);

/// What is known of all functions that were called: of those, each thread has what it called itself.
static KNOWN: Mutex<Option<HashMap<Key, Site>>> = Mutex::new(None);

/// A table by addresses, with open addressing: as quick to ask as can be.
#[derive(Debug)]
struct Known {
    slots: Vec<(Key, Site)>,
    filled: usize,
}

impl Known {
    const fn new() -> Self {
        Self { slots: Vec::new(), filled: 0 }
    }

    #[inline(always)]
    fn start(&self, (address, of): Key) -> usize {
        // Objects lie 16 bytes apart or more. The product's high half is what all bits have a part in.
        let mixed =
            (address as u64 ^ (of as u64).rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 32) as usize & self.slots.len().wrapping_sub(1)
    }

    #[inline(always)]
    fn get(&self, key: Key) -> Option<Site> {
        let mut at = self.start(key);
        loop {
            let &(there, site) = self.slots.get(at)?;
            if there == key {
                return Some(site);
            }
            if there.0 == 0 {
                return None;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    fn insert(&mut self, key: Key, site: Site) {
        if 2 * (self.filled + 1) > self.slots.len() {
            let len = (2 * self.slots.len()).max(256);
            let old = std::mem::replace(&mut self.slots, vec![((0, 0), None); len]);
            self.filled = 0;
            for (key, site) in old.into_iter().filter(|(key, _)| key.0 != 0) {
                self.insert(key, site);
            }
        }
        let mut at = self.start(key);
        while self.slots[at].0.0 != 0 {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = (key, site);
        self.filled += 1;
    }
}

/// A call that a thread is in.
#[derive(Debug)]
struct Call {
    /// The frame's address; of a C function, its caller's and 1.
    frame: usize,
    site: Site,
    /// When it was called; 0 if there is no least duration.
    ticks: u64,
    span: SpanGuard,
}

/// A thread's calls.
#[derive(Debug)]
pub(crate) struct Calls {
    is_hooked: bool,
    calls: Vec<Call>,
    /// How many of them, from the outermost on, have begun in the trace, or are not going to.
    begun: usize,
    min_ticks: u64,
    c_functions: bool,
    known: Known,
    /// What was raised last and has not been handled, and in which call, where the interpreter says so.
    raised: Option<(usize, &'static CallSite)>,
}

thread_local! {
    static CALLS: RefCell<Calls> = const {
        RefCell::new(Calls {
            is_hooked: false,
            calls: Vec::new(),
            begun: 0,
            min_ticks: 0,
            c_functions: false,
            known: Known::new(),
            raised: None,
        })
    };
}

impl Calls {
    #[inline(always)]
    fn call(&mut self, frame: *mut ffi::PyFrameObject) {
        // SAFETY: the hook's frame; answers a reference that is ours, and never null.
        let code = unsafe { PyFrame_GetCode(frame) };
        let site = self.site_of(code);
        // SAFETY: ours, from above. It is not the last one: the frame has one.
        unsafe { ffi::Py_DECREF(code) };
        self.push(frame as usize, site);
    }

    #[inline(always)]
    pub(crate) fn is_recorded(&self, code: *mut ffi::PyObject) -> bool {
        self.known.get((code as usize, 0)).flatten().is_some()
    }

    #[inline(always)]
    pub(crate) fn site_of(&mut self, code: *mut ffi::PyObject) -> Site {
        match self.known.get((code as usize, 0)) {
            Some(site) => site,
            None => self.learn_code(code),
        }
    }

    #[inline(always)]
    pub(crate) fn is_hooked(&self) -> bool {
        self.is_hooked
    }

    #[inline(always)]
    pub(crate) fn is_innermost(&self, frame: usize) -> bool {
        self.calls.last().is_some_and(|call| call.frame == frame)
    }

    /// What is raised on this thread, and in which frame.
    pub(crate) fn set_raised(&mut self, frame: usize, exception: &Bound<'_, PyAny>) {
        let Ok(name) = exception.get_type().name() else { return };
        let name = Name::new(&format!("exception {}", text(&name)));
        self.raised = Some((frame, CallSite::made(name.as_str(), "python")));
    }

    /// From here on, calls of this thread are spans, in the session that records.
    pub(crate) fn hook(&mut self, py: Python<'_>) {
        let chosen = with_choice(|choice| (choice.min_ticks, choice.c_functions));
        let Some((min_ticks, c_functions)) = chosen else { return };
        name_thread(py);
        make_ready();
        (self.min_ticks, self.c_functions, self.is_hooked) = (min_ticks, c_functions, true);
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, frame: usize, site: Site) {
        if self.min_ticks != 0 {
            let now = ticks();
            self.begin_due(now);
            self.calls.push(Call { frame, site, ticks: now, span: SpanGuard::none() });
            return;
        }
        end_those_ended_elsewhere();
        let span = match site.and_then(CallSite::on) {
            Some(on) => on.begin(Said::nothing()),
            None => SpanGuard::none(),
        };
        self.calls.push(Call { frame, site, ticks: 0, span });
    }

    /// Whether a function that seems to return this is left by an exception. Python 3.12 has `None` there.
    #[inline(always)]
    fn is_left_by_exception(&self, frame: usize, returned: *mut ffi::PyObject) -> bool {
        returned.is_null() || self.raised.is_some_and(|(by, _)| by == frame)
    }

    #[inline(always)]
    pub(crate) fn leave(&mut self, frame: usize, by_exception: bool) {
        if self.min_ticks != 0 {
            self.begin_due(ticks());
        } else {
            end_those_ended_elsewhere();
        }
        match self.calls.last() {
            None => {}
            Some(call) if call.frame == frame => {
                if by_exception {
                    self.tell_exception(self.calls.len() - 1);
                }
                // Its span ends here.
                self.calls.pop();
            }
            Some(_) => self.leave_outer(frame, by_exception),
        }
        if self.min_ticks != 0 {
            self.begun = self.begun.min(self.calls.len());
        }
    }

    /// Leaves a call that is not the innermost one, or none that is known.
    #[cold]
    #[inline(never)]
    fn leave_outer(&mut self, frame: usize, by_exception: bool) {
        let Some(at) = self.calls.iter().rposition(|call| call.frame == frame) else { return };
        if by_exception {
            self.tell_exception(at);
        }
        self.calls.remove(at);
        if at < self.begun && self.min_ticks != 0 {
            self.begun -= 1;
        }
    }

    /// Begins the spans of those calls that have lasted long enough by now: the outer ones first, which
    /// have lasted longer.
    #[inline(always)]
    fn begin_due(&mut self, now: u64) {
        while let Some(call) = self.calls.get(self.begun) {
            if now.saturating_sub(call.ticks) < self.min_ticks {
                break;
            }
            self.begin_next();
        }
    }

    #[cold]
    #[inline(never)]
    fn begin_next(&mut self) {
        let Some(call) = self.calls.get_mut(self.begun) else { return };
        self.begun += 1;
        if let Some(on) = call.site.and_then(CallSite::on) {
            call.span = on.begin_at(call.ticks);
        }
    }

    /// An instant in the call's span, if it has one in the trace.
    #[cold]
    #[inline(never)]
    fn tell_exception(&mut self, at: usize) {
        static UNKNOWN: CallSite = CallSite::new("exception", "python");
        let frame = self.calls[at].frame & !1;
        let raised = self.raised.filter(|&(by, _)| by == frame).map_or(&UNKNOWN, |(_, site)| site);
        let has_begun = self.min_ticks == 0 || at < self.begun;
        if has_begun
            && self.calls[at].site.is_some()
            && let Some(on) = raised.on()
        {
            on.instant(Said::nothing());
        }
    }

    fn c_call(&mut self, caller: usize, function: *mut ffi::PyObject) {
        // One that was called by what is not recorded is not either.
        let is_wanted = |call: &Call| call.frame == caller && call.site.is_some();
        if !self.calls.last().is_some_and(is_wanted) {
            return;
        }
        // SAFETY: the hook's argument, a reference that is lent.
        let Some(builtin) = (unsafe { Builtin::of(function) }) else { return };
        let site = match self.known.get(builtin.key()) {
            Some(site) => site,
            None => self.learn_builtin(&builtin),
        };
        self.push(caller | 1, site);
    }

    fn c_leave(&mut self, caller: usize, by_exception: bool) {
        if self.calls.last().is_some_and(|call| call.frame == caller | 1) {
            self.leave(caller | 1, by_exception);
        }
    }

    #[cold]
    #[inline(never)]
    fn learn_code(&mut self, code: *mut ffi::PyObject) -> Site {
        // SAFETY: the interpreter calls the hook, so this thread is attached to it.
        let py = unsafe { Python::assume_attached() };
        // SAFETY: a code object, whose reference the caller has.
        let code = unsafe { Bound::from_borrowed_ptr(py, code) };
        self.learn((code.as_ptr() as usize, 0), &code, || {
            let file = attribute(&code, "co_filename")?;
            let is_wanted = with_choice(|choice| choice.admits(&text(&file))).unwrap_or_default();
            if !is_wanted {
                return None;
            }
            let function =
                attribute(&code, "co_qualname").or_else(|| attribute(&code, "co_name"))?;
            let line = code.getattr("co_firstlineno").and_then(|line| line.extract::<u32>());
            let (file, function) = (text(&file), text(&function));
            let file = file.rsplit(['/', '\\']).next().unwrap_or_default();
            let name = format!("{function} ({file}:{})", line.unwrap_or_default());
            Some(CallSite::made(Name::new(&name).as_str(), "python"))
        })
    }

    #[cold]
    #[inline(never)]
    fn learn_builtin(&mut self, builtin: &Builtin) -> Site {
        // SAFETY: as in `learn_code`.
        let py = unsafe { Python::assume_attached() };
        // SAFETY: lent by the hook's caller.
        let function = unsafe { Bound::from_borrowed_ptr(py, builtin.function) };
        let keeper = builtin.class(py).map_or_else(|| function.clone(), Bound::into_any);
        self.learn(builtin.key(), &keeper, || {
            let name = attribute(&function, "__qualname__")
                .or_else(|| attribute(&function, "__name__"))?;
            let name = match attribute(&function, "__module__") {
                Some(module) => format!("{}.{}", text(&module), text(&name)),
                None => text(&name).into_owned(),
            };
            Some(CallSite::made(Name::new(&name).as_str(), "c"))
        })
    }

    /// Looks a function up among those that any thread knows, or asks what it is; `keeper` is kept for ever.
    fn learn(&mut self, key: Key, keeper: &Bound<'_, PyAny>, ask: impl FnOnce() -> Site) -> Site {
        let lock = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().get_or_insert_default().get(&key).copied();
        let is_monitored = with_choice(|choice| choice.is_monitored) == Some(true);
        let site = known.unwrap_or_else(|| {
            let site = ask();
            if site.is_none() && is_monitored {
                return None;
            }
            if lock().get_or_insert_default().insert(key, site).is_none() {
                std::mem::forget(keeper.clone());
            }
            site
        });
        if site.is_some() || !is_monitored {
            self.known.insert(key, site);
        }
        site
    }
}

/// A builtin function, or a method of a builtin type.
struct Builtin {
    function: *mut ffi::PyObject,
    definition: usize,
    object: *mut ffi::PyObject,
}

impl Builtin {
    /// # Safety
    ///
    /// - `function` is an object.
    unsafe fn of(function: *mut ffi::PyObject) -> Option<Self> {
        // SAFETY: an object, by this function's contract.
        if unsafe { ffi::PyCFunction_Check(function) } == 0 {
            return None;
        }
        // After the head of every object: `m_ml`, the definition, and `m_self`. Not in the stable ABI, but
        // so since Python 1.
        // SAFETY: the object is of that type or one derived from it, and so has these fields.
        let fields = unsafe { function.add(1) }.cast::<*mut ffi::PyObject>();
        // SAFETY: as above.
        let definition = unsafe { fields.read() } as usize;
        // SAFETY: as above.
        let object = unsafe { fields.add(1) };
        // SAFETY: as above.
        let object = unsafe { object.read() };
        Some(Self { function, definition, object })
    }

    /// The type that it is a method of: of the object that it is bound to, or the object itself.
    fn class_address(&self) -> *mut ffi::PyTypeObject {
        if self.object.is_null() {
            return ptr::null_mut();
        }
        // SAFETY: an object, kept by the function.
        if unsafe { ffi::PyType_Check(self.object) } != 0 {
            return self.object.cast();
        }
        // SAFETY: as above.
        if unsafe { ffi::PyModule_Check(self.object) } != 0 {
            return ptr::null_mut();
        }
        // SAFETY: as above.
        unsafe { ffi::Py_TYPE(self.object) }
    }

    fn key(&self) -> Key {
        (self.definition, self.class_address() as usize)
    }

    fn class<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyType>> {
        let class = self.class_address();
        // SAFETY: a type, kept by the object; or null, for which it answers none.
        let class = unsafe { Bound::from_borrowed_ptr_or_opt(py, class.cast()) }?;
        class.cast_into().ok()
    }
}

fn attribute<'py>(object: &Bound<'py, PyAny>, name: &str) -> Option<Bound<'py, PyString>> {
    object.getattr(name).ok()?.cast_into().ok()
}

/// Whether it is `novatrace run` that runs the program.
pub(crate) fn is_run() -> bool {
    with_choice(|_| ()).is_some()
}

fn with_choice<T>(ask: impl FnOnce(&Choice) -> T) -> Option<T> {
    CHOICE.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(ask)
}

unsafe extern "C" fn hook(
    _: *mut ffi::PyObject,
    frame: *mut ffi::PyFrameObject,
    what: c_int,
    arg: *mut ffi::PyObject,
) -> c_int {
    with_calls(|calls| match what {
        what::CALL => calls.call(frame),
        what::RETURN => {
            let by_exception = calls.is_left_by_exception(frame as usize, arg);
            calls.leave(frame as usize, by_exception);
        }
        _ if !calls.c_functions => {}
        what::C_CALL => calls.c_call(frame as usize, arg),
        what::C_RETURN => calls.c_leave(frame as usize, false),
        what::C_EXCEPTION => calls.c_leave(frame as usize, true),
        _ => {}
    });
    0
}

/// Records the begins that were held back.
pub(crate) fn begin_held_back() {
    if HOLDS_BACK.load(Ordering::Relaxed) {
        with_calls(|calls| {
            while calls.begun < calls.calls.len() {
                calls.begin_next();
            }
        });
    }
}

/// This thread's calls, unless it ends, or an allocator or finalizer came to call. A panic ends here: beyond
/// are functions of the interpreter's.
#[inline(always)]
pub(crate) fn with_calls<T>(work: impl FnOnce(&mut Calls) -> T) -> Option<T> {
    let work = || {
        CALLS
            .try_with(|calls| calls.try_borrow_mut().ok().map(|mut calls| work(&mut calls)))
            .ok()?
    };
    catch_unwind(AssertUnwindSafe(work)).ok().flatten()
}

fn hook_thread(py: Python<'_>) {
    with_calls(|calls| calls.hook(py));
    // SAFETY: `py` says that this thread is attached, and the hook has the signature.
    unsafe { PyEval_SetProfile(Some(hook), ptr::null_mut()) };
}

/// From here on, calls of this thread are spans; if it is not `sys.monitoring` that tells of them, by the hook.
#[pyfunction]
#[pyo3(signature = (*, own, min_duration_us, include, exclude, c_functions, is_monitored))]
pub(crate) fn _hook(
    py: Python<'_>,
    own: String,
    min_duration_us: f64,
    include: Vec<String>,
    exclude: Vec<String>,
    c_functions: bool,
    is_monitored: bool,
) {
    let least = Duration::try_from_secs_f64(min_duration_us / 1e6).unwrap_or(Duration::MAX);
    let min_ticks = ticks_in(least);
    let choice = Choice { min_ticks, c_functions, is_monitored, include, exclude, own };
    *CHOICE.lock().unwrap_or_else(PoisonError::into_inner) = Some(choice);
    HOLDS_BACK.store(min_ticks != 0, Ordering::Relaxed);
    set_behind();
    if is_monitored {
        with_calls(|calls| calls.hook(py));
    } else {
        hook_thread(py);
    }
}

/// A profile function for `threading.setprofile`, which hooks the thread that it is first called in.
#[pyfunction]
#[pyo3(signature = (frame, event, _arg, /))]
pub(crate) fn _hook_thread(
    py: Python<'_>,
    frame: &Bound<'_, PyAny>,
    event: &Bound<'_, PyAny>,
    _arg: &Bound<'_, PyAny>,
) {
    hook_thread(py);
    // The thread's `run`; since Python 3.12 the hook itself hears of that.
    if event.extract::<String>().is_ok_and(|event| event == "call") {
        with_calls(|calls| calls.call(frame.as_ptr().cast()));
    }
}

/// Takes this thread's hook away, unless it has none; calls that it is in end now.
#[pyfunction]
#[pyo3(signature = (*, is_monitored))]
pub(crate) fn _unhook(py: Python<'_>, is_monitored: bool) {
    let _ = py;
    if !is_monitored {
        // SAFETY: `py` says that this thread is attached.
        unsafe { PyEval_SetProfile(None, ptr::null_mut()) };
    }
    with_calls(|calls| {
        if calls.min_ticks != 0 {
            calls.begin_due(ticks());
        }
        while calls.calls.pop().is_some() {}
        (calls.begun, calls.is_hooked) = (0, false);
    });
}

/// A callback for `sys.monitoring`'s `RAISE`: what is raised on this thread.
#[pyfunction]
#[pyo3(signature = (_code, _offset, exception, /))]
pub(crate) fn _raised(
    _code: &Bound<'_, PyAny>,
    _offset: &Bound<'_, PyAny>,
    exception: &Bound<'_, PyAny>,
) {
    // SAFETY: borrowed from the thread's state; there is one, since there are objects.
    let frame = unsafe { ffi::PyEval_GetFrame() };
    with_calls(|calls| calls.set_raised(frame as usize, exception));
}

/// A callback for `sys.monitoring`'s `EXCEPTION_HANDLED`.
#[pyfunction]
#[pyo3(signature = (_code, _offset, _exception, /))]
pub(crate) fn _handled(
    _code: &Bound<'_, PyAny>,
    _offset: &Bound<'_, PyAny>,
    _exception: &Bound<'_, PyAny>,
) {
    with_calls(|calls| calls.raised = None);
}
