//! The corpora of the fuzz targets, with the same functions that the targets run.
// Clippy's permission for tests covers test functions only, not what they call.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, path::PathBuf};

fn fuzz() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn corpus(name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(fuzz().join("corpus").join(name))
        .unwrap_or_else(|error| panic!("no corpus of {name}: {error}"));
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn nothing_in_the_corpora_breaks_a_parser() {
    for (name, target) in bodies::targets() {
        let files = corpus(name);
        assert!(files.len() >= 3, "{name} has {} files", files.len());
        for path in files {
            // The last line of a test that breaks says with which input.
            println!("{}", path.display());
            target(&fs::read(&path).unwrap());
        }
    }
}

#[test]
fn a_tpm_that_lies_well_gets_through_all_calls_but_those_with_an_hmac() {
    let files = corpus("tpm12_response");
    assert!(files.len() >= 10, "{} files", files.len());
    let believed = files
        .iter()
        .map(|path| tpm::tpm12::hostile::run_all(&fs::read(path).unwrap()));
    assert_eq!(believed.max(), Some(bodies::tpm12::MOST_BELIEVED));
    let long = files
        .iter()
        .map(|path| tpm::tpm12::hostile::run_long(&fs::read(path).unwrap()));
    assert_eq!(long.max(), Some(bodies::tpm12::MOST_LONG_BELIEVED));
    // Each reader is behind an HMAC in a call; here each of them finds something to read.
    let read = files
        .iter()
        .filter(|path| tpm::tpm12::hostile::read_all(&fs::read(path).unwrap()) > 0);
    assert!(read.count() >= 8);
}

#[test]
fn every_target_has_its_program() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let mut programs = 0;
    for (name, _) in bodies::targets() {
        let program = fuzz().join(format!("targets/{name}.rs"));
        assert!(program.exists(), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        programs += 1;
    }
    let sources = fs::read_dir(fuzz().join("targets")).unwrap().count();
    assert_eq!(sources, programs, "a program without a target");
}
