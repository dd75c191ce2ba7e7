//! The disks in tests/vectors, made by the real tools (tests/vectors/make).

use std::{fs, io::Cursor, path::PathBuf};

/// Beside every package: the tests of others read them too.
fn path(name: &str) -> PathBuf {
    let vectors = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../storage/tests/vectors");
    vectors.join(name)
}

/// What a tool said.
pub fn text(name: &str) -> String {
    let path = path(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A whole disk (tests/vectors/thin tells the format).
pub fn disk(name: &str) -> Cursor<Vec<u8>> {
    let file = fs::read(path(name)).unwrap();
    let number = |at: usize| {
        let bytes = file[at..at + 8].try_into().unwrap();
        usize::try_from(u64::from_le_bytes(bytes)).unwrap()
    };
    let mut content = vec![0; number(0)];
    let mut at = 8;
    while at < file.len() {
        let (offset, length) = (number(at), number(at + 8));
        at += 16;
        content[offset..offset + length].copy_from_slice(&file[at..at + length]);
        at += length;
    }
    Cursor::new(content)
}
