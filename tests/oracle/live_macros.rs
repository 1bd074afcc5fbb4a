//! The attributes of live recording, and tasks: each call and each task comes back as the slice that it
//! was.

#[path = "live/support.rs"]
mod support;

use std::fmt::{Debug, Display};
use std::pin::Pin;
use std::time::Duration;

use novatrace::{InSpanExt, LiveTrack, Session, in_span, trace, trace_func, trace_func_args};
use novatrace_testkit::{Loaded, Slice, Value, oracle_or_skip};

use support::recording;

fn name(slice: &Slice) -> &str {
    slice.name.as_deref().unwrap_or_default()
}

fn names(loaded: &Loaded) -> Vec<String> {
    loaded.slices().iter().map(|slice| name(slice).to_owned()).collect()
}

#[trace_func]
fn plain() {}

#[trace_func]
fn early(number: i32) -> Result<i32, std::num::ParseIntError> {
    if number < 0 {
        return Ok(number);
    }
    let parsed: i32 = "x".parse()?;
    Ok(parsed)
}

#[trace_func(name = "another name", category = "chosen")]
fn named() -> impl Display {
    7
}

#[trace_func]
fn generic<'a, T, const N: usize>(value: &'a T) -> [T; N]
where
    T: Clone + Debug + 'a,
{
    std::array::from_fn(|_| value.clone())
}

#[trace_func]
fn takes_impl(values: impl IntoIterator<Item = u32>) -> Box<dyn Iterator<Item = u32>> {
    let values: Vec<u32> = values.into_iter().collect();
    Box::new(values.into_iter())
}

#[trace_func]
extern "C" fn foreign(number: u32) -> u32 {
    number + 1
}

#[trace_func]
fn r#match() {}

#[trace_func]
fn never(fails: bool) -> u32 {
    if fails { panic!("on purpose") } else { 3 }
}

struct Machine {
    state: u32,
}

impl Machine {
    #[trace_func]
    fn new() -> Self {
        Self { state: 0 }
    }

    #[trace_func]
    fn step(&mut self) -> &mut Self {
        self.state += 1;
        self
    }

    #[trace_func]
    fn pinned(self: Pin<&mut Self>) -> u32 {
        self.state
    }

    #[trace_func_args]
    fn with(&self, mut by: u32, (_a, _b): (u8, u8), _unused: u8) -> u32 {
        by += self.state;
        by
    }
}

trait Walk {
    fn walk(&self) -> u32;
}

impl Walk for Machine {
    #[trace_func]
    fn walk(&self) -> u32 {
        self.state
    }
}

#[derive(Debug)]
struct Shown;

struct Secret;

#[trace_func_args(skip(secret, bytes), category = "login")]
fn log_in(user: &str, attempt: Option<u8>, shown: Shown, secret: Secret, bytes: &[u8]) -> usize {
    let Secret = secret;
    assert_eq!(format!("{shown:?}"), "Shown");
    user.len() + bytes.len() + usize::from(attempt.unwrap_or_default())
}

#[trace_func_args]
fn keys(flow_in: u32, category: &str, r#type: String) -> String {
    format!("{flow_in}{category}{type}")
}

#[test]
fn functions_of_every_form_are_spans() {
    let oracle = oracle_or_skip!();
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        plain();
        assert_eq!(early(-1), Ok(-1));
        assert!(early(1).is_err());
        assert_eq!(named().to_string(), "7");
        assert_eq!(generic::<_, 2>(&5), [5, 5]);
        assert_eq!(takes_impl([1, 2]).sum::<u32>(), 3);
        assert_eq!(foreign(1), 2);
        r#match();
        assert_eq!(never(false), 3);
        assert!(std::panic::catch_unwind(|| never(true)).is_err());
        let mut machine = Machine::new();
        assert_eq!(machine.step().step().state, 2);
        assert_eq!((Pin::new(&mut machine).pinned(), machine.walk()), (2, 2));
    });
    let expected = [
        "plain",
        "early",
        "early",
        "another name",
        "generic",
        "takes_impl",
        "foreign",
        "match",
        "never",
        "never",
        "new",
        "step",
        "step",
        "pinned",
        "walk",
    ];
    assert_eq!(names(&loaded), expected);
    let slices = loaded.slices();
    assert!(slices.iter().all(|slice| slice.depth == 0 && slice.dur >= 0));
    assert_eq!(slices[0].category.as_deref(), Some("live_macros"));
    assert_eq!(slices[3].category.as_deref(), Some("chosen"));
    assert_eq!(report.events, 15);
}

#[test]
fn arguments_of_functions_are_those_of_their_spans() {
    let oracle = oracle_or_skip!();
    let (loaded, _) = recording(&oracle, Session::builder(), || {
        assert_eq!(log_in("ada", Some(2), Shown, Secret, b"abc"), 8);
        assert_eq!(Machine { state: 1 }.with(4, (1, 2), 3), 5);
        assert_eq!(keys(1, "c", "n".to_owned()), "1cn");
    });
    let slices = loaded.slices();
    let args =
        |at: usize| -> Vec<(String, Value)> { slices[at].args.clone().into_iter().collect() };
    let text = |text: &str| Value::Text(text.to_owned());
    assert_eq!(
        args(0),
        [
            ("attempt".to_owned(), Value::Uint(2)),
            ("shown".to_owned(), text("Shown")),
            ("user".to_owned(), text("ada")),
        ]
    );
    assert_eq!(slices[0].category.as_deref(), Some("login"));
    assert_eq!(args(1), [("by".to_owned(), Value::Uint(4))]);
    assert_eq!(
        args(2),
        [
            ("category".to_owned(), text("c")),
            ("flow_in".to_owned(), Value::Uint(1)),
            ("type".to_owned(), text("n")),
        ]
    );
}

fn device() -> &'static LiveTrack {
    static DEVICE: std::sync::LazyLock<LiveTrack> =
        std::sync::LazyLock::new(|| novatrace::track("device"));
    &DEVICE
}

#[trace_func_args(track = device(), name = "kernel")]
fn launch(size: u32) -> u32 {
    size * 2
}

#[test]
fn a_function_may_be_drawn_on_a_track_of_its_own() {
    let oracle = oracle_or_skip!();
    let (loaded, _) = recording(&oracle, Session::builder(), || {
        let _span = trace!("host");
        assert_eq!(launch(4), 8);
    });
    let slices = loaded.slices();
    assert_eq!((name(&slices[1]), slices[1].track_name.as_deref()), ("kernel", Some("device")));
    assert_eq!((slices[1].depth, &slices[1].args["size"]), (0, &Value::Uint(4)));
    assert_eq!(slices[1].category.as_deref(), Some("live_macros"));
}

#[trace_func_args]
async fn fetch(id: u32) -> Result<u32, String> {
    tokio::time::sleep(Duration::from_millis(2)).await;
    if id == 3 {
        return Err("three".to_owned());
    }
    let parsed = parse(id).await?;
    Ok(parsed)
}

#[trace_func]
async fn parse(id: u32) -> Result<u32, String> {
    tokio::task::yield_now().await;
    let _span = trace!("crunch");
    Ok(id * 10)
}

#[trace_func]
async fn gives_impl() -> impl Display {
    tokio::task::yield_now().await;
    "shown"
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(3).enable_time().build().expect("threads can be started")
}

fn is_task(slice: &Slice) -> bool {
    slice.track_name.as_deref().is_some_and(|track| track.starts_with("task "))
}

#[test]
fn tasks_have_rows_of_their_own_across_awaits_and_threads() {
    let oracle = oracle_or_skip!();
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        runtime().block_on(async {
            let tasks: Vec<_> = (0..20).map(|id| tokio::spawn(fetch(id))).collect();
            for (id, task) in (0..).zip(tasks) {
                let expected = if id == 3 { Err("three".to_owned()) } else { Ok(id * 10) };
                assert_eq!(task.await.expect("no panic"), expected);
            }
            assert_eq!(gives_impl().await.to_string(), "shown");
        });
    });
    assert_eq!((report.lost, report.left_open, report.lanes), (0, 0, 0));
    let slices = loaded.slices();
    let tasks: Vec<&Slice> = slices.iter().filter(|slice| is_task(slice)).collect();
    let of = |wanted: &str| -> Vec<&Slice> {
        tasks.iter().copied().filter(|slice| name(slice) == wanted).collect()
    };
    assert_eq!((of("fetch").len(), of("parse").len(), of("gives_impl").len()), (20, 19, 1));
    let mut ids: Vec<_> =
        of("fetch").iter().map(|slice| slice.args["id"].as_i64().expect("a number")).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..20).collect::<Vec<i64>>());
    for fetch in of("fetch") {
        assert!(fetch.depth == 0 && fetch.dur >= 2_000_000, "{fetch:?}");
        let inner = of("parse").iter().filter(|parse| parse.parent_id == Some(fetch.id)).count();
        assert_eq!(inner, usize::from(fetch.args["id"] != 3));
    }
    // Each task has been polled at least twice, on some thread, within a slice of its name, to which an
    // arrow leads.
    let polls: Vec<&Slice> = slices.iter().filter(|slice| !is_task(slice)).collect();
    let arrows = loaded.flows();
    for fetch in of("fetch") {
        let mut at = fetch.id;
        let mut polled = 0;
        while let Some(arrow) = arrows.iter().find(|arrow| arrow.slice_out == at) {
            at = arrow.slice_in;
            let poll = polls.iter().find(|poll| poll.id == at).expect("a slice on a thread");
            assert_eq!((name(poll), poll.track.contains("/task ")), ("fetch", false));
            assert!(
                fetch.ts <= poll.ts + 20_000 && poll.end() <= fetch.end().map(|end| end + 20_000)
            );
            polled += 1;
        }
        assert!(polled >= 2, "{polled}");
    }
    let crunches = polls.iter().filter(|slice| name(slice) == "crunch");
    assert_eq!(crunches.filter(|slice| slice.depth >= 2).count(), 19);
}

#[test]
fn any_future_may_be_in_a_span_and_be_dropped_before_its_end() {
    let oracle = oracle_or_skip!();
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        runtime().block_on(async {
            let both = tokio::join!(
                async { tokio::time::sleep(Duration::from_millis(3)).await }.in_span("slow"),
                in_span!(async { 5 }, "quick", size = 7, category = "chosen"),
            );
            assert_eq!(both.1, 5);
            let forever = std::future::pending::<()>().in_span("forever");
            let cut = tokio::time::timeout(Duration::from_millis(1), forever).await;
            assert!(cut.is_err());
            drop(async {}.in_span("never polled"));
        });
    });
    let slices = loaded.slices();
    let tasks: Vec<&Slice> = slices.iter().filter(|slice| is_task(slice)).collect();
    let rows: Vec<_> = tasks.iter().map(|slice| name(slice)).collect();
    assert_eq!((rows, report.left_open), (vec!["slow", "quick", "forever"], 0));
    assert!(tasks.iter().all(|slice| slice.dur >= 0));
    assert_eq!(tasks[1].args["size"], Value::Int(7));
    assert_eq!(tasks[1].category.as_deref(), Some("chosen"));
    assert!(tasks[2].dur >= 1_000_000);
    // Rows are used again.
    let used: std::collections::BTreeSet<_> = tasks.iter().map(|slice| slice.track_id).collect();
    assert_eq!(used.len(), 2);
}

#[test]
fn tasks_that_outlive_their_session_end_with_it() {
    let oracle = oracle_or_skip!();
    let runtime = runtime();
    let (send, receive) = tokio::sync::oneshot::channel::<()>();
    let mut task = None;
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        let (polled, is_polled) = std::sync::mpsc::channel();
        let waiting = async move {
            polled.send(()).expect("it waits");
            receive.await.is_ok()
        };
        task = Some(runtime.spawn(waiting.in_span("waits")));
        is_polled.recv().expect("it is polled");
        std::thread::sleep(Duration::from_millis(2));
    });
    assert_eq!(report.left_open, 1);
    let slices = loaded.slices();
    let waits = slices.iter().find(|slice| is_task(slice)).expect("its row");
    assert!(waits.dur >= 1_000_000, "{waits:?}");
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        send.send(()).expect("it waits");
        let task = task.take().expect("spawned");
        assert!(runtime.block_on(task).expect("no panic"));
    });
    assert_eq!(report.left_open, 0);
    assert!(loaded.slices().iter().all(|slice| slice.dur >= 0 && !is_task(slice)));
}

/// What is on the rows of tasks, in order of start.
fn task_slices(loaded: &Loaded) -> Vec<Slice> {
    loaded.slices().into_iter().filter(is_task).collect()
}

#[test]
fn what_is_inside_a_task_ends_before_it_when_the_task_is_dropped() {
    let oracle = oracle_or_skip!();
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        runtime().block_on(async {
            for _ in 0..20 {
                let inner = std::future::pending::<()>().in_span("inner");
                let outer = async move {
                    tokio::task::yield_now().await;
                    inner.await;
                };
                let outer = outer.in_span("outer");
                let cut = tokio::time::timeout(Duration::from_millis(2), outer).await;
                assert!(cut.is_err());
            }
        });
    });
    assert_eq!((report.lanes, report.left_open, report.lost), (0, 0, 0));
    let tasks = task_slices(&loaded);
    assert_eq!(tasks.len(), 40);
    for pair in tasks.chunks(2) {
        assert_eq!((name(&pair[0]), name(&pair[1])), ("outer", "inner"));
        assert_eq!(pair[1].parent_id, Some(pair[0].id));
        assert!(pair[1].end() <= pair[0].end(), "{pair:?}");
    }
}

#[test]
fn futures_that_run_at_once_inside_a_task_do_not_share_its_row() {
    let oracle = oracle_or_skip!();
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        runtime().block_on(
            async {
                let sleep = |ms| tokio::time::sleep(Duration::from_millis(ms));
                tokio::join!(
                    sleep(4).in_span("first"),
                    sleep(8).in_span("second"),
                    sleep(2).in_span("third")
                );
                sleep(1).in_span("after").await;
            }
            .in_span("all"),
        );
    });
    assert_eq!((report.lanes, report.left_open), (0, 0));
    let tasks = task_slices(&loaded);
    let shape: Vec<_> = tasks.iter().map(|slice| (name(slice), slice.depth)).collect();
    let expected = [("all", 0), ("first", 1), ("second", 0), ("third", 0), ("after", 1)];
    assert_eq!(shape, expected);
    let rows: std::collections::BTreeSet<_> = tasks.iter().map(|slice| slice.track_id).collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(tasks[4].parent_id, Some(tasks[0].id));
}

#[test]
fn ten_thousand_tasks_need_as_many_rows_as_run_at_once() {
    let oracle = oracle_or_skip!();
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        runtime().block_on(async {
            let tasks: Vec<_> =
                (0..10_000).map(|id| tokio::spawn(in_span!(async {}, "short", id = id))).collect();
            for task in tasks {
                task.await.expect("no panic");
            }
        });
    });
    assert_eq!((report.lanes, report.lost), (0, 0));
    let tasks = task_slices(&loaded);
    let rows: std::collections::BTreeSet<_> = tasks.iter().map(|slice| slice.track_id).collect();
    assert_eq!(tasks.len(), 10_000);
    assert!(rows.len() <= 3, "{}", rows.len());
    let mut ids: Vec<_> = tasks.iter().map(|slice| slice.args["id"].as_i64()).collect();
    ids.sort_unstable();
    assert!((0..10_000).map(Some).eq(ids));
}

#[test]
fn a_task_that_panics_ends_its_span_and_its_poll() {
    let oracle = oracle_or_skip!();
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        runtime().block_on(async {
            let fails = async {
                tokio::task::yield_now().await;
                async { panic!("on purpose") }.in_span("inner").await;
            };
            let task: tokio::task::JoinHandle<()> = tokio::spawn(fails.in_span("outer"));
            assert!(task.await.expect_err("it panics").is_panic());
            tokio::spawn(async {}.in_span("next")).await.expect("no panic");
        });
    });
    assert_eq!((report.lanes, report.left_open), (0, 0));
    let shape: Vec<_> =
        task_slices(&loaded).iter().map(|slice| (name(slice).to_owned(), slice.depth)).collect();
    assert_eq!(shape, [("outer", 0), ("inner", 1), ("next", 0)].map(|(n, d)| (n.to_owned(), d)));
    let on_threads: Vec<_> = loaded.slices().into_iter().filter(|slice| !is_task(slice)).collect();
    assert!(on_threads.iter().all(|slice| slice.dur >= 0));
    let polls = names(&loaded).into_iter().filter(|polled| polled == "outer").count();
    assert_eq!(polls, 3, "the task and two polls");
}
