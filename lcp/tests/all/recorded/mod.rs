//! The recorded runs of the original tools: command lines, files and output (vectors/recorded,
//! one gzip-compressed JSON file for each group; bytes as hexadecimal, text as Latin-1).

use std::{collections::BTreeMap, fs, path::PathBuf};

/// One command of a case.
#[derive(serde::Deserialize)]
pub struct Step {
    /// The command line as it was typed.
    pub cmd: String,
    /// Its exit code; negative for a signal.
    pub rc: i32,
    /// Did both recordings agree?
    pub same: Option<bool>,
    /// Standard output.
    pub stdout: String,
}

/// Commands that ran one after the other in a directory.
#[derive(serde::Deserialize)]
pub struct Case {
    /// The case's name.
    pub name: String,
    /// The commands.
    pub steps: Vec<Step>,
    /// The files before.
    #[serde(rename = "in")]
    pub input: BTreeMap<String, String>,
    /// The files that the commands made.
    #[serde(rename = "out")]
    pub output: BTreeMap<String, String>,
}

impl Case {
    /// All files, before and after.
    pub fn files(&self) -> impl Iterator<Item = (&str, Vec<u8>)> {
        let files = self.input.iter().chain(&self.output);
        files.map(|(name, hex)| (name.as_str(), hex::decode(hex).unwrap()))
    }

    /// One file that the commands made.
    pub fn made(&self, name: &str) -> Option<Vec<u8>> {
        self.output.get(name).map(|hex| hex::decode(hex).unwrap())
    }
}

/// The directory of test vectors.
pub fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// The cases of one group.
pub fn group(name: &str) -> Vec<Case> {
    let file = fs::read(vectors().join(format!("recorded/{name}.json.gz"))).unwrap();
    let json = txt::gunzip::gunzip(&file, 64 << 20).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// Every group.
pub const GROUPS: [&str; 6] = ["elt", "hashfile", "list", "sign", "pol", "old183"];
