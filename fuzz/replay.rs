//! Replays the corpora in ordinary tests: `tests/corpus.rs` of each crate that has targets
//! includes this file.

use std::{fs, path::PathBuf};

/// A target's name, and what it runs on an input.
pub type Target = (&'static str, fn(&[u8]));

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// Every file of the targets' corpora, with the functions that the targets run.
pub fn every_input(targets: &[Target]) {
    for (name, target) in targets {
        let entries = fs::read_dir(folder().join("corpus").join(name))
            .unwrap_or_else(|error| panic!("no corpus of {name}: {error}"));
        let mut count = 0;
        for entry in entries {
            let path = entry.unwrap().path();
            // The last line of a test that breaks says with which input.
            println!("{}", path.display());
            target(&fs::read(&path).unwrap());
            count += 1;
        }
        assert!(count >= 3, "{name} has {count} files");
    }
}

/// A target without a program is fuzzed by nobody.
pub fn every_target_has_its_program(targets: &[Target]) {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    for (name, _) in targets {
        let program = folder().join(format!("targets/{name}.rs"));
        assert!(program.exists(), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}
