//! A program in another language, written from docs/tao-wire.md alone, under a development host.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A directory that programs may use, whoever they run as.
fn open_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(dir.path(), all).unwrap();
    dir
}

struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    fn start() -> Self {
        let host = Self { dir: open_dir() };
        let state = host.path("state");
        let state = state.to_str().unwrap();
        let started = host.tao(&["host", "start", "--soft", "--background", "--state", state]);
        assert!(started.status.success(), "{started:?}");
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn tao(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tao"))
            .arg("--socket")
            .arg(self.path("admin.sock"))
            .args(arguments)
            .output()
            .unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        assert!(self.tao(&["host", "shutdown"]).status.success());
    }
}

/// The example in C, compiled with everything the compiler has to say against it.
fn compile(program: &Path, more: &[&str]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tao/examples/c/hosted.c");
    let output = Command::new("gcc")
        .args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"])
        .args(more)
        .arg("-o")
        .arg(program)
        .arg(source)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_program_in_c_gets_its_name_randomness_and_sealed_storage() {
    let host = Host::start();
    let program = host.path("hosted");
    compile(&program, &["-static"]);
    let program = program.to_str().unwrap();
    let run = || {
        let output = host.tao(&["run", program]);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert_eq!(lines[3], "unsealed only for this very program");
        lines
    };
    let (first, second) = (run(), run());
    // Its name is what tao says about that file; random bytes and seals differ each time.
    assert_eq!(first[0], second[0]);
    assert_ne!(first[1], second[1]);
    assert_ne!(first[2], second[2]);
    let name = first[0].strip_prefix("name ").unwrap();
    let form = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "echo {name} | {} logic decode --kind prin",
            env!("CARGO_BIN_EXE_tao")
        ))
        .output()
        .unwrap();
    let form = String::from_utf8(form.stdout).unwrap();
    assert!(
        form.starts_with("key([") && form.contains(".Program(["),
        "{form}"
    );
}

#[test]
fn without_a_host_it_says_so() {
    let dir = open_dir();
    let program = dir.path().join("hosted");
    compile(&program, &["-fsanitize=undefined", "-fno-sanitize-recover"]);
    let output = Command::new(&program).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("start it with `tao run`"), "{said}");
}
