//! Programs that end in every way a program can end, while they record: each leaves a file that opens, and in
//! it all that it may not have lost. `cargo xtask torture --minutes 30` for more rounds than the tests have.
//!
//! A round runs `program.rs` in a process of its own, does to it what `fate.rs` says at a random moment, and compares
//! the file with what the program had noted in memory that outlives it (`notes.rs`).
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "signals, forks, limits, memory shared with a child")]
#![expect(clippy::print_stdout, reason = "the table of losses")]

mod fate;
mod notes;
mod program;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use notes::Notes;
use novatrace_testkit::{Oracle, Stat, oracle_or_skip};
use program::Plan;

/// What a row of the table sums up.
#[derive(Default)]
struct Tally {
    rounds: u64,
    recorded: u64,
    lost: u64,
    most_lost: u64,
    counted: u64,
}

#[test]
fn torture() {
    if let Some(plan) = Plan::of_this_process() {
        program::run(&plan);
        return;
    }
    let oracle = oracle_or_skip!();
    assert!(worker_is_built(), "the worker is not built; run `cargo build -p novatrace-cli` first");
    let seed = number("NOVATRACE_TORTURE_SEED")
        .unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs()));
    let limit =
        number("NOVATRACE_TORTURE_MINUTES").map(|minutes| Duration::from_secs(60 * minutes));
    let rounds = if limit.is_some() { u64::MAX } else { Plan::COUNT as u64 };
    println!("torture: NOVATRACE_TORTURE_SEED={seed}");
    let (start, mut random) = (Instant::now(), Random(seed));
    let mut table = BTreeMap::<_, Tally>::new();
    for round in 0..rounds {
        if limit.is_some_and(|limit| start.elapsed() > limit) {
            break;
        }
        let plan = Plan::number(usize::try_from(round).unwrap_or(0), random.below(150));
        let (recorded, lost, counted) = one(&oracle, &plan);
        let tally = table.entry((plan.worker, plan.fate)).or_default();
        tally.rounds += 1;
        tally.recorded += recorded;
        tally.lost += lost;
        tally.most_lost = tally.most_lost.max(lost);
        tally.counted += counted;
    }
    println!("\n  worker   what happened       rounds   recorded    lost  at most  counted");
    for ((worker, fate), Tally { rounds, recorded, lost, most_lost, counted }) in table {
        let (worker, fate) = (format!("{worker:?}"), format!("{fate:?}"));
        println!(
            "  {worker:8} {fate:18} {rounds:7} {recorded:10} {lost:7} {most_lost:8} {counted:8}"
        );
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn worker_is_built() -> bool {
    let own = std::env::current_exe().expect("the system says");
    own.ancestors().skip(1).take(2).any(|folder| folder.join("novatrace").is_file())
}

/// One round: how many events were recorded, how many of them are not in the file, and how many of those were
/// counted.
fn one(oracle: &Oracle, plan: &Plan) -> (u64, u64, u64) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, notes) = (folder.path().join("trace"), folder.path().join("notes"));
    let notes = Notes::create(&notes);
    let mut command = Command::new(std::env::current_exe().expect("the system says"));
    command.args(["--exact", "torture", "--nocapture", "--test-threads=1"]);
    command.env(Plan::VARIABLE, plan.to_string()).env(Notes::FOLDER, folder.path());
    command.env_remove("NOVATRACE_WORKER");
    let log = File::create(folder.path().join("log")).expect("writable");
    command.stdout(Stdio::from(log.try_clone().expect("a file"))).stderr(Stdio::from(log));
    let found = plan.fate.run(command, &path, &notes, plan);
    let say = |what: &str| -> String {
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        format!("{plan}: {what}\n{}\n{log}", notes.tell())
    };
    let loaded = match oracle.load(&found) {
        Ok(loaded) => loaded,
        Err(error) => panic!("{}", say(&format!("the file does not open: {error}"))),
    };
    let faults: Vec<_> = loaded.stats().into_iter().filter(Stat::is_fault).collect();
    assert!(faults.is_empty(), "{}", say(&format!("{faults:?}")));
    let rows = loaded.query(
        "select extract_arg(arg_set_id, 'debug.t') t, count(*) n, count(distinct extract_arg(arg_set_id, \
         'debug.i')) d, min(extract_arg(arg_set_id, 'debug.i')) first, \
         max(extract_arg(arg_set_id, 'debug.i')) last from slice where name = 'work' group by t",
    );
    let (mut recorded, mut lost, mut in_file) = (0, 0, 0);
    for thread in 0..program::THREADS {
        let number = i64::try_from(thread).ok();
        let row = rows.iter().find(|row| row.opt_i64("t") == number);
        let n = row.map_or(0, |row| row.i64("n"));
        if let Some(row) = row {
            let is_prefix = row.i64("first") == 0 && row.i64("last") == n - 1 && row.i64("d") == n;
            assert!(
                is_prefix,
                "{}",
                say(&format!("events of thread {thread} are missing or doubled: {row:?}"))
            );
        }
        let n = u64::try_from(n).expect("a count");
        // The note of an event follows its call.
        let (noted, flushed) = (notes.recorded(thread), notes.flushed(thread));
        assert!(n <= noted + 1, "{}", say(&format!("{n} events of thread {thread}")));
        let least = if plan.loses_nothing() { noted } else { flushed };
        let least = if plan.is_cut() { 0 } else { least };
        assert!(n >= least, "{}", say(&format!("{n} events of thread {thread}, not {least}")));
        recorded += noted;
        lost += noted.saturating_sub(n);
        in_file += n;
    }
    let mut counted = 0;
    if let Some((events, dropped)) = notes.report() {
        counted = dropped;
        if plan.is_cut() {
            // It counts what it has not written, and the rest of the loss is another's doing.
            assert!(events - dropped >= in_file, "{}", say("the report is wrong"));
        } else {
            assert_eq!(events - dropped, in_file, "{}", say("the report is wrong"));
        }
        assert_eq!(events, recorded, "{}", say("the report is wrong"));
    }
    (recorded, lost, counted)
}

/// Waits until nobody writes the file any more: whoever does has a lock on it.
fn wait_for_writer(path: &Path) {
    File::open(path).and_then(|file| file.lock()).expect("a file that can be locked");
}

/// A sequence of numbers for a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ mixed >> 31) % limit
    }
}
