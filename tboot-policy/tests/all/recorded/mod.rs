//! The recorded runs of the original `tb_polgen`: command lines, files and output
//! (vectors/recorded/vlp.json.gz; bytes as hexadecimal, text as Latin-1).

use std::{collections::BTreeMap, fs, path::PathBuf};

/// One command of a case.
#[derive(serde::Deserialize)]
pub struct Step {
    /// The command line as it was typed.
    pub cmd: String,
    /// Its exit code.
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

/// All cases.
pub fn cases() -> Vec<Case> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/recorded/vlp.json.gz");
    let json = txt::gunzip::gunzip(&fs::read(path).unwrap(), 64 << 20)
        .unwrap()
        .into_owned();
    serde_json::from_slice(&json).unwrap()
}
