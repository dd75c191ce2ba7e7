//! The corpus of the fuzz target `tpm12_response`, with the very function that the target runs.

#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

#[test]
fn nothing_in_the_corpus_is_believed_that_should_not_be() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/tpm12_response");
    let (mut files, mut best) = (0, 0);
    for entry in fs::read_dir(folder).unwrap() {
        let script = fs::read(entry.unwrap().path()).unwrap();
        let believed = tpm::tpm12::hostile::run_all(&script);
        // Four of the sixteen calls want an HMAC that nobody can guess.
        assert!(believed <= 12, "{script:02x?}");
        (files, best) = (files + 1, best.max(believed));
    }
    assert!(files >= 10, "{files} files");
    assert_eq!(best, 12, "no file gets through all calls");
}
