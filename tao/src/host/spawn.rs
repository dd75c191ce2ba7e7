//! Starting a measured program.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use crate::{descriptors::received, process::PidFd};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::resource::{Resource, getrlimit, rlim_t, setrlimit},
    unistd::{Gid, Uid, geteuid, pipe2},
};

use super::{
    isolation::{Lacking, Measure, ProgramPolicy},
    measured::MeasuredProgram,
    seccomp, spawn_child,
};

/// Numbers below this may be given to the child: 0 to 2, and the channel on 3 and 4.
const FIRST_FREE: i32 = 5;

/// Size of the pipes of a channel; the system uses memory for what is in them only.
const PIPE: i32 = 128 * 1024;

/// Where a program looks for other programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The caller's part in a new program.
pub struct Launch<'a> {
    /// The program's name for itself, argv[0].
    pub path: &'a str,
    /// The other arguments.
    pub args: &'a [String],
    /// Working directory.
    pub dir: &'a Path,
    /// Standard input, output, error; /dev/null where missing.
    pub stdio: [Option<OwnedFd>; 3],
    /// Who asked.
    pub uid: Uid,
    /// The asking process's group.
    pub gid: Gid,
}

/// A program that was started.
pub struct Spawned {
    /// The process; waited for by the host only.
    pub child: Child,
    /// Tells of its end.
    pub pidfd: PidFd,
    /// The host's ends of the channel: not blocking.
    pub requests: File,
    /// See `requests`.
    pub responses: File,
}

/// Keeps 3 and 4 taken in this process for good, so that no descriptor that the standard
/// library opens for starting a process is there when the child puts the channel there.
fn reserve() -> io::Result<()> {
    static RESERVED: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let mut reserved = RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let file = File::open("/dev/null")?;
        if file.as_raw_fd() >= FIRST_FREE {
            return Ok(());
        }
        reserved.push(file);
    }
}

/// The same descriptor under a number that the child does not use for something else.
fn out_of_the_way(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() >= FIRST_FREE {
        return Ok(fd);
    }
    let number = fcntl(fd.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(FIRST_FREE))?;
    received(vec![number])
        .pop()
        .ok_or_else(|| Errno::EBADF.into())
}

fn lacks(lacking: &[Measure]) -> String {
    let names: Vec<&str> = lacking.iter().map(|measure| measure.name()).collect();
    format!(
        "programs can't be kept apart as the policy says: this machine, or this user, can't do {}",
        names.join(", ")
    )
}

/// Starts programs.
pub struct Spawner {
    /// Limit of open files before the host raised its own; programs get this.
    open_files: (rlim_t, rlim_t),
    /// The host may be spared by the OOM killer; its programs are not.
    spared: bool,
    /// How programs are started.
    pub policy: ProgramPolicy,
    /// The measures of the policy that this machine can take.
    measures: spawn_child::Measures,
    /// Those that it can't.
    pub lacking: Vec<Measure>,
}

impl Spawner {
    /// Prepares the host's process.
    pub fn new(policy: ProgramPolicy) -> io::Result<Self> {
        reserve()?;
        let mut measures = spawn_child::Measures {
            list: Vec::new(),
            filter: seccomp::filter(),
        };
        let (possible, lacking): (Vec<Measure>, Vec<Measure>) = policy
            .measures
            .iter()
            .partition(|measure| spawn_child::possible(**measure, &measures));
        measures.list = possible;
        if !lacking.is_empty() {
            log::warn!("{}", lacks(&lacking));
        }
        let open_files = getrlimit(Resource::RLIMIT_NOFILE)?;
        // Each program takes three descriptors.
        setrlimit(Resource::RLIMIT_NOFILE, open_files.1, open_files.1)?;
        let score = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
        let spared = score.trim().starts_with('-');
        Ok(Spawner {
            open_files,
            spared,
            policy,
            measures,
            lacking,
        })
    }

    /// The measures that are taken.
    pub fn measures(&self) -> &[Measure] {
        &self.measures.list
    }

    /// Does the policy let programs be started on this machine?
    pub fn allowed(&self) -> Result<(), String> {
        if self.policy.lacking == Lacking::Refuse && !self.lacking.is_empty() {
            return Err(lacks(&self.lacking));
        }
        Ok(())
    }

    /// Starts the program, with its channel on 3 and 4 and nothing else open.
    pub fn spawn(&self, program: &MeasuredProgram, launch: Launch<'_>) -> io::Result<Spawned> {
        // Again: who had 3 or 4 when the host started may have given it up.
        reserve()?;
        let executable = out_of_the_way(program.file.try_clone()?)?;
        let (child_reads, host_writes) = pipe2(OFlag::O_CLOEXEC)?;
        let (host_reads, child_writes) = pipe2(OFlag::O_CLOEXEC)?;
        for end in [&host_reads, &host_writes] {
            fcntl(end.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            // A frame of 64 KiB fits as a whole. Where it can't be had, it comes in pieces.
            if let Err(error) = fcntl(end.as_fd(), FcntlArg::F_SETPIPE_SZ(PIPE)) {
                log::debug!("a pipe of {PIPE} bytes: {error}");
            }
        }
        // The kernel opens the program before it closes what is marked close-on-exec.
        let mut command = Command::new(format!("/proc/self/fd/{}", executable.as_raw_fd()));
        command
            .arg0(launch.path)
            .args(launch.args)
            .current_dir(launch.dir);
        command.env_clear().env("PATH", PATH).env("LANG", "C.UTF-8");
        command.env(crate::client::CHANNEL_TYPE_VARIABLE, "pipe");
        command.env(
            crate::client::SPEC_VARIABLE,
            "tao::RPC+tao::FDMessageChannel(3, 4)",
        );
        let [stdin, stdout, stderr] = launch
            .stdio
            .map(|fd| fd.map_or_else(Stdio::null, Stdio::from));
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        let become_user = geteuid()
            .is_root()
            .then(|| (launch.uid.as_raw(), launch.gid.as_raw()));
        let setup = spawn_child::Setup {
            reads: out_of_the_way(child_reads)?,
            writes: out_of_the_way(child_writes)?,
            open_files: self.open_files,
            become_user,
            measures: self.measures.clone(),
        };
        spawn_child::set_up(&mut command, setup);
        let mut child = command.spawn()?;
        let opened = i32::try_from(child.id())
            .map_err(io::Error::other)
            .and_then(PidFd::open);
        let pidfd = match opened {
            Ok(pidfd) => pidfd,
            Err(error) => {
                // A program that can't be watched must not run.
                child.kill()?;
                child.wait()?;
                return Err(error);
            }
        };
        if self.spared {
            let score = format!("/proc/{}/oom_score_adj", child.id());
            if let Err(error) = std::fs::write(&score, "0") {
                log::warn!("{score}: {error}");
            }
        }
        Ok(Spawned {
            child,
            pidfd,
            requests: host_reads.into(),
            responses: host_writes.into(),
        })
    }
}
