//! Counts the words of the sources in the cargo registry, in parallel, and records itself doing so.
//!
//! `cargo run --release --example live -- --help`
#![expect(clippy::print_stdout, reason = "a program's results")]
#![expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use novatrace::{Counter, FlowId, Overflow, Session, counter, instant, trace, trace_func};

static QUEUE: Counter = counter!("queue depth", unit = "files", category = "queue");
static READ: Counter = counter!("bytes read", unit = "B", category = "io");
static WORDS: Counter = counter!("words counted", unit = "words", category = "count");

/// Counts the words of the sources in the cargo registry, and records a trace of it.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where the trace goes.
    #[arg(long, short, default_value = "live.pftrace")]
    out: PathBuf,
    /// A folder of sources; the cargo registry's by default.
    #[arg(long)]
    sources: Option<PathBuf>,
    /// How many files are read at the most.
    #[arg(long, default_value_t = 8_000)]
    files: usize,
    /// Threads that read and count.
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(2, usize::from))]
    threads: usize,
}

/// A file on its way to whoever reads it.
struct Work {
    path: PathBuf,
    flow: FlowId,
}

type Counts = HashMap<String, u64>;

/// Where the time of all threads went, in nanoseconds.
#[derive(Debug, Default)]
struct Spent {
    calls: AtomicU64,
    ns: AtomicU64,
}

#[derive(Debug, Default)]
struct Times {
    walk: Spent,
    wait: Spent,
    read: Spent,
    tokenise: Spent,
    count: Spent,
    merge: Spent,
}

impl Spent {
    fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let output = work();
        self.calls.fetch_add(1, Ordering::Relaxed);
        let ns = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.ns.fetch_add(ns, Ordering::Relaxed);
        output
    }
}

struct Outcome {
    counts: Counts,
    files: u64,
    bytes: u64,
    took: Duration,
    times: Times,
}

/// The whole work: one thread finds files, others read and count, and at the end one merges.
fn run(sources: &Path, arguments: &Arguments) -> Outcome {
    let start = Instant::now();
    let phases = novatrace::track("phases");
    let times = Times::default();
    let (bytes, files) = (AtomicU64::new(0), AtomicU64::new(0));
    let (send, receive) = sync_channel::<Work>(8);
    let receive = Mutex::new(receive);
    let phase = phases.trace("find, read and count");
    let parts: Vec<Counts> = std::thread::scope(|scope| {
        let (times, receive, bytes, files) = (&times, &receive, &bytes, &files);
        let limit = arguments.files;
        let walker = std::thread::Builder::new().name("walker".to_owned());
        let walker = walker.spawn_scoped(scope, move || {
            let mut left = limit;
            times.walk.time(|| walk(sources, 0, &send, &mut left));
        });
        let counters: Vec<_> = (0..arguments.threads.max(1))
            .filter_map(|at| {
                let thread = std::thread::Builder::new().name(format!("counter {at}"));
                let work = move || count_all(receive, times, bytes, files);
                thread.spawn_scoped(scope, work).ok()
            })
            .collect();
        drop(walker);
        counters.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    drop(phase);
    let phase = phases.trace("merge");
    let counts = times.merge.time(|| merge(parts));
    drop(phase);
    Outcome {
        counts,
        files: files.into_inner(),
        bytes: bytes.into_inner(),
        took: start.elapsed(),
        times,
    }
}

/// Sends the sources below `folder`, by name, until none are left to send.
fn walk(folder: &Path, depth: u32, send: &SyncSender<Work>, left: &mut usize) {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // A span for each package; what lies deeper is the same.
    let _span = (depth == 2).then(|| trace!(name, category = "walk"));
    let Ok(entries) = fs::read_dir(folder) else { return };
    // A link to a folder is no folder here, so that there are no loops.
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let mut entries: Vec<_> =
        entries.flatten().map(|entry| (entry.path(), is_folder(&entry))).collect();
    entries.sort();
    for (path, is_folder) in entries {
        if *left == 0 {
            return;
        }
        if is_folder {
            walk(&path, depth + 1, send, left);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *left -= 1;
            let flow = novatrace::flow();
            let _span = trace!("push", category = "queue", flow_out = flow);
            QUEUE.add(1);
            if send.send(Work { path, flow }).is_err() {
                return;
            }
        }
    }
}

/// One thread's part.
fn count_all(
    receive: &Mutex<Receiver<Work>>,
    times: &Times,
    bytes: &AtomicU64,
    files: &AtomicU64,
) -> Counts {
    let mut counts = Counts::new();
    let mut words = Vec::new();
    loop {
        let work = times.wait.time(|| {
            let _span = trace!("wait", category = "queue");
            // A thread that panicked holds no work.
            receive.lock().ok().and_then(|receive| receive.recv().ok())
        });
        let Some(Work { path, flow }) = work else { return counts };
        QUEUE.add(-1);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let _span = trace!("file", category = "count", name = name, flow_end = flow);
        let text = times.read.time(|| read(&path));
        files.fetch_add(1, Ordering::Relaxed);
        let sum = bytes.fetch_add(text.len() as u64, Ordering::Relaxed) + text.len() as u64;
        READ.set(sum);
        words.clear();
        let words = &mut words;
        times.tokenise.time(|| {
            let _span = trace!("tokenise", category = "count", bytes = text.len());
            tokenise(&text, words);
        });
        times.count.time(|| {
            let _span = trace!("count", category = "count", words = words.len());
            for (from, to) in &*words {
                match counts.get_mut(&text[*from..*to]) {
                    Some(count) => *count += 1,
                    None => drop(counts.insert(text[*from..*to].to_owned(), 1)),
                }
            }
        });
        WORDS.add(words.len());
    }
}

#[trace_func(category = "io")]
fn read(path: &Path) -> String {
    match fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            instant!("cannot read", category = "io", error = error.to_string());
            String::new()
        }
    }
}

/// The places of identifiers.
fn tokenise(text: &str, words: &mut Vec<(usize, usize)>) {
    let mut start = None;
    for (at, byte) in text.bytes().enumerate() {
        let is_word = byte.is_ascii_alphanumeric() || byte == b'_';
        match (start, is_word) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                words.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    words.extend(start.map(|from| (from, text.len())));
}

fn merge(parts: Vec<Counts>) -> Counts {
    let mut sum = Counts::new();
    for part in parts {
        let _span = trace!("merge a part", category = "merge", words = part.len());
        for (word, count) in part {
            *sum.entry(word).or_default() += count;
        }
    }
    sum
}

/// The registry's sources, or the workspace's own.
fn default_sources() -> Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let registry = home.map(|home| home.join("registry/src")).filter(|path| path.is_dir());
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match registry.or_else(|| workspace.is_dir().then_some(workspace)) {
        Some(path) => Ok(path),
        None => bail!("there is no cargo registry; name a folder of sources with --sources"),
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let sources = match &arguments.sources {
        Some(sources) if !sources.is_dir() => bail!("`{}` is not a folder", sources.display()),
        Some(sources) => sources.clone(),
        None => default_sources()?,
    };
    println!("counting the words of up to {} files below `{}`", arguments.files, sources.display());
    fs::File::create(&arguments.out)
        .with_context(|| format!("cannot create `{}`", arguments.out.display()))?;
    // The first run warms the file system's cache for the others.
    let warm = run(&sources, &arguments);
    if warm.files == 0 {
        bail!("there are no `.rs` files below `{}`", sources.display());
    }
    let untraced = run(&sources, &arguments);
    let session = Session::builder()
        .overflow(Overflow::Block)
        .attribute("sources", sources.display().to_string())
        .create(&arguments.out)?;
    let traced = run(&sources, &arguments);
    let report = session
        .close()
        .with_context(|| format!("cannot complete `{}`", arguments.out.display()))?;

    println!("{}", where_time_went(&traced));
    println!("{}", most_frequent(&traced.counts));
    let (before, with) = (untraced.took.as_secs_f64() * 1e3, traced.took.as_secs_f64() * 1e3);
    println!(
        "{} files, {:.1} MB: {before:.0} ms untraced, {with:.0} ms traced; {} events of {} threads, \
         {} lost, {:.1} MB",
        traced.files,
        traced.bytes as f64 / 1e6,
        report.events,
        report.threads,
        report.lost,
        report.bytes as f64 / 1e6,
    );
    println!(
        "\nThe trace is in `{}`. To look at it, open https://ui.perfetto.dev and drag the file in;\n\
         nothing is uploaded. The button above the names of the rows opens all groups, and a click on\n\
         a slice shows where its file came from. Keys: w and s zoom, a and d move, f frames what is\n\
         selected.",
        arguments.out.display()
    );
    Ok(())
}

fn where_time_went(outcome: &Outcome) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(["where time went", "calls", "ms", "µs each"]);
    let times = &outcome.times;
    for (name, spent) in [
        ("walk (push included)", &times.walk),
        ("wait", &times.wait),
        ("read", &times.read),
        ("tokenise", &times.tokenise),
        ("count", &times.count),
        ("merge", &times.merge),
    ] {
        let calls = spent.calls.load(Ordering::Relaxed);
        let ns = spent.ns.load(Ordering::Relaxed) as f64;
        table.add_row([
            name.to_owned(),
            calls.to_string(),
            format!("{:.1}", ns / 1e6),
            format!("{:.1}", ns / 1e3 / calls.max(1) as f64),
        ]);
    }
    right_aligned(table)
}

fn most_frequent(counts: &Counts) -> Table {
    let mut words: Vec<_> = counts.iter().collect();
    words.sort_by_key(|&(word, count)| (std::cmp::Reverse(count), word));
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(["most frequent of", &counts.len().to_string()]);
    for (word, count) in words.iter().take(5) {
        table.add_row([word.as_str(), &count.to_string()]);
    }
    right_aligned(table)
}

fn right_aligned(mut table: Table) -> Table {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
