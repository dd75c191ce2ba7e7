//! The corpora of the fuzz targets, with the same functions that the targets run.
// Clippy's permission for tests covers test functions only, not what they call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::{fs, path::PathBuf};

#[path = "../../fuzz/bodies/tao.rs"]
mod tao_bodies;

#[test]
fn nothing_in_the_corpora_breaks_a_parser() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, target) in tao_bodies::TARGETS {
        let entries = fs::read_dir(folder.join(name)).unwrap_or_else(|error| {
            panic!("no corpus of {name}: {error}");
        });
        let mut count = 0;
        for entry in entries {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            target(&fs::read(&path).unwrap());
            count += 1;
        }
        assert!(count >= 3, "{name} has {count} files");
    }
}

#[test]
fn every_target_has_its_program() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    for (name, _) in tao_bodies::TARGETS {
        assert!(folder.join(format!("targets/{name}.rs")).exists(), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}
