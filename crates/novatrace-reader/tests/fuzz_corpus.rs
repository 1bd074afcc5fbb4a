//! What the fuzz targets hold to, for the seeds and for the corpus that fuzzing left, in a second and without a fuzzer.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

#[path = "../../../fuzz/bodies.rs"]
mod bodies;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The files of a folder.
fn seeds() -> Vec<Vec<u8>> {
    let entries = fs::read_dir(fuzz().join("seeds")).expect("it is there");
    entries.map(|entry| fs::read(entry.expect("readable").path()).expect("readable")).collect()
}

/// The files of a `tar.gz`.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    const BLOCK: usize = 512;
    let file = fs::File::open(fuzz().join(format!("corpus-{target}.tar.gz"))).expect("it is there");
    let mut tar = vec![];
    flate2::read::GzDecoder::new(file).read_to_end(&mut tar).expect("gzip");
    let (mut rest, mut files) = (&tar[..], vec![]);
    while let Some((header, content)) = rest.split_at_checked(BLOCK)
        && header[0] != 0
    {
        // An octal number of eleven digits.
        let digits = std::str::from_utf8(&header[124..135]).expect("digits");
        let len = usize::from_str_radix(digits, 8).expect("octal");
        let (file, after) = content.split_at(len.next_multiple_of(BLOCK));
        if header[156] == b'0' {
            files.push(file[..len].to_vec());
        }
        rest = after;
    }
    files
}

fn run(target: &str, body: fn(&[u8]), least: usize) {
    let corpus = corpus(target);
    assert!(corpus.len() >= least, "{target}: {}", corpus.len());
    for bytes in seeds().iter().chain(&corpus) {
        body(bytes);
    }
}

#[test]
fn the_decoder_reads_all_that_fuzzing_found() {
    run("decoder", bodies::decoder, 500);
}

#[test]
fn check_has_an_answer_to_all_that_fuzzing_found() {
    run("check", bodies::check, 500);
}

#[test]
fn bundles_are_unpacked_whatever_is_in_them() {
    run("bundle", bodies::bundle, 500);
}
