//! A host in this process, and the `tao` command against it.

use std::{
    os::{fd::AsFd as _, unix::net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use agent::host::{self, HostSettings, QuotedRoot};
use tao::limits::Limits;
use tao::{
    admin::{Admin, Start},
    client::Parent,
    keys::{Hidden, Secret},
};

/// A command: `tao` or `tao-report`.
pub fn command(name: &str) -> PathBuf {
    match name {
        "tao" => env!("CARGO_BIN_EXE_tao"),
        "tao-report" => env!("CARGO_BIN_EXE_tao-report"),
        other => panic!("there is no {other}"),
    }
    .into()
}

/// A running host.
pub struct TestHost {
    dir: tempfile::TempDir,
    thread: Option<JoinHandle<()>>,
}

impl TestHost {
    /// Starts a host whose keys come from `secret`.
    pub fn with(root: QuotedRoot, secret: u8) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket_dir = dir.path().to_owned();
        let thread = std::thread::spawn(move || {
            let host_secret = Hidden::with(|| Secret::new([secret; 32]));
            let settings = HostSettings::default();
            tao_host::serve(host::config(root, host_secret, socket_dir, &settings)).unwrap();
        });
        let host = Self {
            dir,
            thread: Some(thread),
        };
        let deadline = Instant::now() + Duration::from_secs(120);
        while Admin::connect(&host.socket()).is_err() {
            assert!(Instant::now() < deadline, "the host does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        host
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("admin.sock")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn admin(&self) -> Admin {
        Admin::connect(&self.socket()).unwrap()
    }

    /// A `tao` command line.
    pub fn tao(&self, arguments: &[&str]) -> Command {
        let mut tao = Command::new(command("tao"));
        tao.arg("--socket").arg(self.socket()).args(arguments);
        tao
    }

    /// Runs `tao` to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.tao(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// What `tao-report` at `program` prints.
    pub fn report(&self, program: &Path, arguments: &[&str]) -> serde_json::Value {
        let mut all = vec!["run", program.to_str().unwrap()];
        all.extend(arguments);
        let output = self.run(&all);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// A hosted program that makes the calls of this test.
pub fn program(socket: &Path) -> Parent {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let script = "exec 5<&0; cat <&5 >&4 & exec 4>&- 0<&-; cat <&3; kill $! 2>/dev/null";
    let stderr = std::io::stderr();
    let start = Start {
        path: "/bin/sh",
        args: &["-c".to_owned(), script.to_owned()],
        environment: &[],
        socket: false,
        limits: Limits::default(),
        dir: "/",
        stdio: Some([theirs.as_fd(), theirs.as_fd(), stderr.as_fd()]),
    };
    Admin::connect(socket).unwrap().start(&start).unwrap();
    Parent::over(ours.try_clone().unwrap(), ours)
}

impl Drop for TestHost {
    fn drop(&mut self) {
        // A test that failed early may have shut the host down itself.
        if let Ok(mut admin) = Admin::connect(&self.socket()) {
            admin.shutdown().ok();
        }
        // A host that did not start in time cannot be told to end.
        if let Some(thread) = self.thread.take().filter(|_| !std::thread::panicking()) {
            assert!(thread.join().is_ok());
        }
    }
}
