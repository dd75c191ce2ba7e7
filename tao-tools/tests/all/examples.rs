//! The example programs, each under a development host.

use std::{
    io::Read as _,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

/// The directory of the built examples: `cargo test` of the workspace builds them before any test is
/// run; a run of this file alone does not.
fn examples() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let directory = test.parent().unwrap().parent().unwrap().join("examples");
    assert!(
        directory.join("attested-hello").exists(),
        "{} has no examples: run cargo build -p taoboot-tao --examples",
        directory.display()
    );
    directory
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec())
        .unwrap()
        .trim_end()
        .to_owned()
}

/// A directory that programs may use, whoever they run as.
fn open_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(dir.path(), all).unwrap();
    dir
}

struct Host {
    dir: tempfile::TempDir,
    name: String,
}

impl Host {
    fn start() -> Self {
        let mut host = Self {
            dir: open_dir(),
            name: String::new(),
        };
        host.restart();
        host
    }

    fn restart(&mut self) {
        let state = self.path("state");
        let started = self.tao(&["host", "start", "--soft", "--background", "--state", &state]);
        assert!(started.status.success(), "{started:?}");
        self.name = text(&started.stdout);
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn tao(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tao"))
            .args(["--socket", &self.path("admin.sock")])
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Starts an example in the background; gives its process and name.
    fn detach(&self, example: &str, arguments: &[&str]) -> (String, String) {
        let program = examples().join(example);
        let mut all = vec!["run", "--detach", program.to_str().unwrap()];
        all.extend(arguments);
        let output = self.tao(&all);
        assert!(output.status.success(), "{output:?}");
        let line = text(&output.stdout);
        let (pid, name) = line.split_once("  ").unwrap();
        (pid.to_owned(), name.to_owned())
    }

    fn shut_down(&self) {
        self.tao(&["host", "shutdown"]);
        while Path::new(&self.path("admin.sock")).exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.tao(&["host", "shutdown"]);
    }
}

fn patiently<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_sealed_counter_goes_on_after_a_restart_and_can_not_be_set_back() {
    let mut host = Host::start();
    let (file, socket) = (host.path("count"), host.path("counter.sock"));
    let count = || {
        patiently(|| {
            let mut answer = String::new();
            let mut stream = UnixStream::connect(&socket).ok()?;
            stream.read_to_string(&mut answer).ok()?;
            answer.trim().parse::<u64>().ok()
        })
    };
    let start = |host: &Host| host.detach("sealed-counter", &["serve", &file, &socket]);
    start(&host);
    assert_eq!((count(), count()), (1, 2));
    let old = std::fs::read(&file).unwrap();
    assert_eq!(count(), 3);
    host.shut_down();
    host.restart();
    start(&host);
    assert_eq!(count(), 4);
    host.shut_down();
    host.restart();
    for copy in [Some(old), None] {
        match copy {
            Some(old) => std::fs::write(&file, old).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let (pid, _) = start(&host);
        assert_eq!(host.tao(&["wait", &pid]).status.code(), Some(1));
        let said = text(&host.tao(&["logs", &pid]).stdout);
        assert!(said.contains("newest copy"), "{said}");
    }
}

#[test]
fn the_attested_hello_is_believed_under_its_name_only() {
    let host = Host::start();
    let (pid, program) = host.detach("attested-hello", &["serve", "127.0.0.1:0"]);
    let address = patiently(|| {
        let said = text(&host.tao(&["logs", &pid]).stdout);
        said.rsplit_once(" listens at ")
            .map(|(_, address)| address.to_owned())
    });
    let ask = |words: &[&str]| {
        let ask = Command::new(examples().join("attested-hello"))
            .args(["ask", &address])
            .args(words)
            .output()
            .unwrap();
        (ask.status.success(), text(&ask.stdout) + &text(&ask.stderr))
    };
    let (good, said) = ask(&[&host.name, &program]);
    assert!(
        good && said.contains(&format!("hello from {}{program}", host.name)),
        "{said}"
    );
    assert!(ask(&[&host.name]).0);
    let (good, said) = ask(&["key([00])"]);
    assert!(
        !good && said.contains("expected an answer from a program of key([00])"),
        "{said}"
    );
    let (good, said) = ask(&[&host.name, ".Program([00])"]);
    assert!(!good && said.contains("found one from"), "{said}");
}
