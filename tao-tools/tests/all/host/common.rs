//! A host in this process, and the `tao` command against it.

use std::{
    io::{Read, Write},
    os::{
        fd::AsFd,
        unix::{fs::PermissionsExt as _, net::UnixStream},
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use tao::{
    admin::{Admin, HostedProgram, Start},
    keys::{Hidden, Secret},
    wire::{
        Inbox,
        messages::{ResponseHeader, TaoResponse},
        proto2,
    },
};
use tao::{guard::GuardSource, limits::Limits};
use tao_host::{HostConfig, ProgramPolicy, Root, SoftRoot, serve};

/// A command of this package.
pub fn command(name: &str) -> PathBuf {
    PathBuf::from(match name {
        "tao" => env!("CARGO_BIN_EXE_tao"),
        "tao-report" => env!("CARGO_BIN_EXE_tao-report"),
        "tao-conformance" => env!("CARGO_BIN_EXE_tao-conformance"),
        other => panic!("{other}"),
    })
}

/// A file with these bytes that everybody may execute.
pub fn executable(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(path, mode).unwrap();
}

/// A running host.
pub struct TestHost {
    dir: Arc<TempDir>,
    thread: Option<JoinHandle<()>>,
}

/// A directory that programs may use, whoever they run as.
pub fn open_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(dir.path(), all).unwrap();
    dir
}

/// A table of users for a host whose programs get numbers that no other host's do at the same time: no
/// user is deleted as long as any process has its number.
pub fn users_of_its_own() -> String {
    static HOSTS: AtomicU32 = AtomicU32::new(0);
    let host = HOSTS.fetch_add(1, Ordering::Relaxed) % 100;
    let first = 0x7000_0000 + std::process::id() % 60_000 * 2_000 + host * 20;
    format!("next {first}\n")
}

/// How a host is to be started.
pub struct Setup {
    pub dir: Arc<TempDir>,
    pub root: Box<dyn Root>,
    pub secret: u8,
    pub guard: GuardSource,
    pub admin_group: Option<u32>,
    pub programs: ProgramPolicy,
}

impl Setup {
    /// A soft host whose keys come from `secret`, under a liberal guard.
    pub fn new(secret: u8) -> Self {
        Self {
            dir: Arc::new(open_dir()),
            root: Box::new(SoftRoot),
            secret,
            guard: GuardSource::Liberal,
            admin_group: None,
            programs: ProgramPolicy::default(),
        }
    }

    pub fn start(self) -> TestHost {
        let config = HostConfig {
            root: self.root,
            host_secret: Hidden::with(|| Secret::new([self.secret; 32])),
            socket_dir: self.dir.path().to_owned(),
            admin_group: self.admin_group,
            state_dir: Some(self.dir.path().join("state")),
            guard: self.guard,
            programs: self.programs,
        };
        let thread = std::thread::spawn(move || serve(config).unwrap());
        let host = TestHost {
            dir: self.dir,
            thread: Some(thread),
        };
        let deadline = Instant::now() + Duration::from_secs(120);
        while Admin::connect(&host.socket()).is_err() {
            assert!(Instant::now() < deadline, "the host does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        host
    }
}

impl TestHost {
    /// Starts a host whose keys come from `secret`.
    pub fn start(secret: u8) -> Self {
        Setup::new(secret).start()
    }

    /// The directory with the host's socket and state; it outlives the host.
    pub fn dir(&self) -> Arc<TempDir> {
        Arc::clone(&self.dir)
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

    /// A hosted program whose channel is at the other end of a stream.
    pub fn raw(&self) -> Raw {
        raw(&mut self.admin())
    }
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

/// A hosted program whose channel is at the other end of a stream: what is written to
/// the stream goes to the host as it is.
pub fn raw(admin: &mut Admin) -> Raw {
    let (ours, theirs) = UnixStream::pair().unwrap();
    // The host's end of the channel, the program and the stream end together.
    let script = "exec 5<&0; cat <&5 >&4 & exec 4>&- 0<&-; cat <&3; kill $! 2>/dev/null";
    let program = admin
        .start(&Start {
            path: "/bin/sh",
            args: &["-c".to_owned(), script.to_owned()],
            dir: "/",
            environment: &[],
            socket: false,
            limits: Limits::default(),
            stdio: Some([theirs.as_fd(), theirs.as_fd(), std::io::stderr().as_fd()]),
        })
        .unwrap();
    ours.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    Raw {
        stream: ours,
        inbox: Inbox::default(),
        program,
    }
}

/// The bytes between a hosted program and the host.
pub struct Raw {
    pub stream: UnixStream,
    pub program: HostedProgram,
    inbox: Inbox,
}

impl Raw {
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next answer, with all its bytes; `None` at the end of the channel.
    pub fn receive(&mut self) -> Option<(ResponseHeader, Vec<u8>)> {
        loop {
            if let Some(message) = self.inbox.next_message().unwrap() {
                let (header, body) = self.inbox.parts(&message);
                return Some((proto2::read(header).unwrap(), body.to_vec()));
            }
            match self.stream.read(self.inbox.space()) {
                Ok(0) => return None,
                Ok(count) => self.inbox.filled(count),
                // Tests beside this one interrupt the host, which is this process.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// One call.
    pub fn call(&mut self, bytes: &[u8]) -> (ResponseHeader, TaoResponse) {
        self.send(bytes);
        let (header, body) = self.receive().unwrap();
        (header, proto2::read(&body).unwrap())
    }
}
