//! The real tools, this program under their names, and what both do.

use std::{
    collections::BTreeMap,
    fmt, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::differential::random::{Line, Random};

/// The directory of the real tools. `cargo xtask test` says where the assets are: then they must be
/// there.
pub fn real_tools() -> Option<PathBuf> {
    let told = std::env::var_os("TAOBOOT_ASSETS").map(PathBuf::from);
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/assets");
    tools_in(&told.unwrap_or_else(default))
}

fn tools_in(assets: &Path) -> Option<PathBuf> {
    let list = fs::read(assets.join("assets.json")).ok()?;
    let list: serde_json::Value = serde_json::from_slice(&list).expect("assets.json is JSON");
    let directory = PathBuf::from(list.get("tboot_tools")?.as_str()?);
    directory.join("lcp2_crtpol").exists().then_some(directory)
}

/// A directory with links to this program by the names of the tools.
pub fn ours() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in [
        "lcp2_mlehash",
        "lcp2_crtpolelt",
        "lcp2_crtpollist",
        "lcp2_crtpol",
    ] {
        symlink(env!("CARGO_BIN_EXE_lcp"), directory.path().join(name)).unwrap();
    }
    directory
}

/// What a command did: exit code (`None` for a crash or a time-out), output, files.
#[derive(PartialEq)]
pub struct Done {
    pub rc: Option<i32>,
    pub stdout: Vec<u8>,
    pub files: BTreeMap<String, Vec<u8>>,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.rc, String::from_utf8_lossy(&self.stdout))?;
        for (name, bytes) in &self.files {
            write!(f, " {name}={}", hex::encode(bytes))?;
        }
        Ok(())
    }
}

/// Runs a tool in a directory of its own that holds the line's files.
pub fn run(tools: &Path, line: &Line, words: &[String]) -> Done {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in &line.files {
        fs::write(directory.path().join(name), content).unwrap();
    }
    let output = Command::new(tools.join(line.tool))
        .args(words)
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let mut files = BTreeMap::new();
    for name in ["out", "data"] {
        if let Ok(content) = fs::read(directory.path().join(name)) {
            files.insert(name.to_owned(), content);
        }
    }
    Done {
        rc: output.status.code(),
        stdout: output.stdout,
        files,
    }
}

/// The listing of a file that was made, by both.
pub fn shown(line: &Line, made: &Done, random: &mut Random) -> Option<Line> {
    let out = made.files.get("out")?.clone();
    let mut files = BTreeMap::from([("out".to_owned(), out)]);
    let mut words = vec!["--show".to_owned(), "out".to_owned()];
    if line.tool == "lcp2_mlehash" {
        return None;
    }
    if let Some(data) = made.files.get("data") {
        // The original creates data files of eight lists but does not show them.
        files.insert("data".to_owned(), data.clone());
        words.push("data".to_owned());
        if random.chance(30) {
            words.insert(1, "--brief".to_owned());
        }
    }
    Some(Line {
        tool: line.tool,
        words,
        files,
    })
}
