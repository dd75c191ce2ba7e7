//! A directory with a host's socket and what the tests put there.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// A directory that programs may use, whoever they run as.
pub fn open_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(dir.path(), all).unwrap();
    dir
}

pub struct World {
    pub dir: tempfile::TempDir,
}

pub const REPORT: &str = env!("CARGO_BIN_EXE_tao-report");
pub const TAO: &str = env!("CARGO_BIN_EXE_tao");

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec())
        .unwrap()
        .trim_end()
        .to_owned()
}

pub fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

impl World {
    pub fn new() -> Self {
        let dir = open_dir();
        std::fs::write(dir.path().join("pw"), "secret\n").unwrap();
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn tao_at(&self, socket: &Path, arguments: &[&str]) -> Output {
        Command::new(TAO)
            .arg("--socket")
            .arg(socket)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    pub fn tao(&self, arguments: &[&str]) -> Output {
        self.tao_at(&self.path("admin.sock"), arguments)
    }

    pub fn good(&self, arguments: &[&str]) -> String {
        let output = self.tao(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        text(&output.stdout)
    }

    /// Starts a soft host; gives its name.
    pub fn start(&self, more: &[&str]) -> String {
        let state = self.path("state");
        let mut all = vec!["host", "start", "--soft", "--background", "--state"];
        all.push(state.to_str().unwrap());
        all.extend(more);
        self.good(&all)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A test may have ended its host itself.
        drop(self.tao(&["host", "shutdown"]));
    }
}

/// Black-box tests, as anybody can run them against any host.
pub fn conforms(socket: &Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_tao-conformance"))
        .arg(socket)
        .output()
        .unwrap();
    let lines = text(&output.stdout);
    let failed: Vec<_> = lines
        .lines()
        .filter(|line| !line.starts_with("ok"))
        .collect();
    assert!(output.status.success(), "{failed:#?}");
    let held = lines
        .lines()
        .filter(|line| line.starts_with("ok\t"))
        .count();
    assert!(held >= 100, "{held}");
    println!("{held} properties hold");
}
