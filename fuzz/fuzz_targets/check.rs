//! `check` has an answer for any bytes, the same one whatever the number of threads, and `info` and `recover` have too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use novatrace_reader::{Check, Info, Source};

fuzz_target!(|data: &[u8]| {
    let source = Source::from_bytes("fuzz", [&[0x0A, 0], data].concat());
    let check = |threads| {
        Check::new().threads(threads).run(&source, |_| {}).expect("it begins with a packet")
    };
    let report = check(1);
    assert_eq!(format!("{report:?}"), format!("{:?}", check(0)));
    let counted: u64 = report.findings.iter().map(|found| found.count).sum();
    assert_eq!(counted == 0, report.findings.is_empty());
    let info = Info::of(&source, |_| {}).expect("it begins with a packet");
    assert_eq!(info.packets, report.packets);
});
