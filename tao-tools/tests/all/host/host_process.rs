//! A host in a process of its own: it can be killed, and have less than it needs.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tao::{admin::Admin, client::Parent};

use super::common::{command, raw};

/// Directory of such a host: its socket, and its state, which outlive it.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The command that runs a host here, after `before` in a shell that becomes the host.
    pub fn host(&self, before: &str) -> Command {
        let script =
            format!("{before} exec \"$0\" --socket \"$1\" host start --soft --state \"$2\"");
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).arg(command("tao"));
        shell.arg(self.path("admin.sock")).arg(self.path("state"));
        shell.stderr(Stdio::null());
        shell
    }
}

/// A running host. It is killed with this value.
pub struct HostProcess {
    child: Child,
    socket: PathBuf,
}

impl HostProcess {
    pub fn start(place: &Place) -> Self {
        Self::run(place, &mut place.host(""))
    }

    pub fn run(place: &Place, host: &mut Command) -> Self {
        let host = Self {
            child: host.spawn().unwrap(),
            socket: place.path("admin.sock"),
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        // An answer: what a killed host was starting has its socket open for another moment.
        let answers = || Admin::connect(&host.socket)?.list();
        while answers().is_err() {
            assert!(Instant::now() < deadline, "the host does not listen");
            std::thread::sleep(Duration::from_millis(2));
        }
        host
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    pub fn admin(&self) -> Admin {
        Admin::connect(&self.socket).unwrap()
    }

    /// A hosted program that makes the calls of this test.
    pub fn program(&self) -> Parent {
        let raw = raw(&mut self.admin());
        Parent::over(raw.stream.try_clone().unwrap(), raw.stream)
    }

    /// What the host's process has in memory, in MiB.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
            / 1024
    }

    /// SIGKILL, and its end.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
