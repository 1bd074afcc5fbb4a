//! Any bytes get an answer: the seeds of the fuzzing and the traces by other tools, whole, cut, and with bytes changed. Overflows of sums
//! are panics here, as tests are built.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use novatrace_reader::{Check, Dump, Info, Source, Trace};

/// The files of a folder of the repository.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("it is there")
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.retain(|path| path.extension().is_none_or(|ending| ending == "pftrace"));
    files.sort();
    files
}

fn read(bytes: Vec<u8>) {
    let source = Source::from_bytes("any bytes", bytes);
    let Ok(report) = Check::new().run(&source, |_| {}) else { return };
    let again = Check::new().run(&source, |_| {}).expect("it can be checked");
    assert_eq!(format!("{again:?}"), format!("{report:?}"));
    let info = Info::of(&source, |_| {}).expect("it can be checked");
    assert_eq!(info.packets, report.packets);
    let trace = Trace::read(&source).expect("it can be checked");
    assert!(trace.slices.iter().all(|slice| slice.dur >= -1 && slice.track < trace.tracks.len()));
    Dump::new().run(&source, io::sink()).expect("it can be checked").expect("a sink takes all");
}

#[test]
fn any_bytes_get_an_answer() {
    let seeds = [files("fuzz/seeds"), files("tests/fixtures")].concat();
    assert!(seeds.len() > 80, "{}", seeds.len());
    let mut random = 1_u64;
    let mut below = |most: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(random >> 33).expect("31 bits") % most
    };
    for seed in seeds {
        let bytes = fs::read(&seed).expect("readable");
        read(bytes.clone());
        for _ in 0..12 {
            let mut changed = bytes.clone();
            match below(3) {
                0 => changed.truncate(below(bytes.len())),
                1 => drop(changed.drain(..below(bytes.len()))),
                _ => {}
            }
            if changed.is_empty() {
                continue;
            }
            for _ in 0..below(4) {
                let at = below(changed.len());
                changed[at] = [0, 1, 0x0A, 0x7F, 0x80, 0xFF][below(6)];
            }
            read([&[0x0A, 0][..], &changed].concat());
            read(changed);
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    // Large enough to be read by several.
    let fixture =
        fs::read(files("tests/fixtures").first().expect("there are some")).expect("readable");
    let bytes: Vec<u8> = fixture.iter().copied().cycle().take(fixture.len() * 400).collect();
    let source = Source::from_bytes("many", bytes);
    let told = |threads| {
        let report = Check::new().threads(threads).run(&source, |_| {}).expect("a trace");
        serde_json::to_string(&report).expect("plain data")
    };
    let alone = told(0);
    assert!((1..5).all(|threads| told(threads) == alone));
}

/// 40 bundles that unpack to 1,000 times their size.
#[test]
fn a_bomb_is_unpacked_within_limits() {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(vec![], flate2::Compression::best());
    encoder.write_all(&vec![0x0A; 40 << 20]).expect("memory");
    let bomb = encoder.finish().expect("memory");
    let seven = |bits: usize| u8::try_from(bits & 0x7F).expect("7 bits");
    let varint = |len: usize| vec![seven(len) | 0x80, seven(len >> 7) | 0x80, seven(len >> 14)];
    let field = [&[0x92, 0x03], &varint(bomb.len())[..], &bomb].concat();
    let packet = [&[0x0A], &varint(field.len())[..], &field].concat();
    let source = Source::from_bytes("bomb", packet.repeat(3));
    let report = Check::new().run(&source, |_| {}).expect("it begins with a packet");
    let found =
        report.findings.iter().find(|found| found.rule.name() == "bundle-bomb").expect("it is one");
    assert_eq!(found.count, 3);
}
