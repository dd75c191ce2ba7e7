//! Starting a measured program.

use std::{
    ffi::CString,
    fs::File,
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::Path,
    process::{Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
};

use crate::{client, descriptors::received};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::resource::{Resource, getrlimit, rlim_t, setrlimit},
    unistd::{Gid, Uid, geteuid, pipe2},
};

use super::{
    abilities::{Abilities, lacks, settings},
    composition::{Composition, Pinned},
    execution::Execution,
    hosted_process::HostedProcess,
    isolation::{Lacking, Measure, ProgramPolicy},
    landlock::Domain,
    limits::Limits,
    program_init,
    sibling::GroupFiles,
    spawn_child,
    store::Store,
};

/// Numbers below this may be given to the child: 0 to 2, and the channel on 3 and 4.
const FIRST_FREE: i32 = 5;

/// Open files that a host should be able to have.
const OPEN_FILES: rlim_t = 65_536;

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
    /// Variables besides those that every program has, as NAME=VALUE.
    pub environment: &'a [String],
    /// Working directory.
    pub dir: &'a Path,
    /// Standard input, output, error; /dev/null where missing.
    pub stdio: [Option<OwnedFd>; 3],
    /// Who asked.
    pub uid: Uid,
    /// The asking process's group.
    pub gid: Gid,
    /// The most it may use.
    pub limits: Limits,
    /// The socket by which it reaches the host; a pair of pipes if there is none.
    pub socket: Option<&'a Path>,
}

/// A program that was started.
pub struct Spawned {
    /// Its processes, as the host ends them and waits for them.
    pub process: HostedProcess,
    /// The host's ends of the channel, if it is a pair of pipes: requests, responses.
    pub pipes: Option<(File, File)>,
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
pub(super) fn out_of_the_way(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() >= FIRST_FREE {
        return Ok(fd);
    }
    let number = fcntl(fd.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(FIRST_FREE))?;
    received(vec![number])
        .pop()
        .ok_or_else(|| Errno::EBADF.into())
}

/// Two pipes: the host's ends for requests and responses, which do not block, and the
/// program's for responses and requests.
fn channel() -> io::Result<((File, File), (OwnedFd, OwnedFd))> {
    let (program_reads, host_writes) = pipe2(OFlag::O_CLOEXEC)?;
    let (host_reads, program_writes) = pipe2(OFlag::O_CLOEXEC)?;
    for end in [&host_reads, &host_writes] {
        fcntl(end.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        // A frame of 64 KiB fits as a whole. Where it can't be had, it comes in pieces.
        if let Err(error) = fcntl(end.as_fd(), FcntlArg::F_SETPIPE_SZ(PIPE)) {
            log::debug!("a pipe of {PIPE} bytes: {error}");
        }
    }
    let programs = (
        out_of_the_way(program_reads)?,
        out_of_the_way(program_writes)?,
    );
    Ok(((host_reads.into(), host_writes.into()), programs))
}

/// Starts programs.
pub struct Spawner {
    /// Limit of open files before the host raised its own; programs get this.
    open_files: (rlim_t, rlim_t),
    /// The host may be spared by the OOM killer; its programs are not.
    spared: bool,
    /// How programs are started.
    pub policy: ProgramPolicy,
    /// The first process of each program's own.
    init: OwnedFd,
    abilities: OnceLock<Abilities>,
    /// Copies of libraries, once there are some; or why there can't be any.
    store: OnceLock<Result<Store, String>>,
}

impl Spawner {
    /// Prepares the host's process.
    pub fn new(policy: ProgramPolicy) -> io::Result<Self> {
        reserve()?;
        let open_files = getrlimit(Resource::RLIMIT_NOFILE)?;
        // Each program takes several descriptors. A host that the kernel's first process
        // started has 4096, and is root; others have what they were given.
        let enough = open_files.1.max(OPEN_FILES);
        if setrlimit(Resource::RLIMIT_NOFILE, enough, enough).is_err() {
            setrlimit(Resource::RLIMIT_NOFILE, open_files.1, open_files.1)?;
        }
        let score = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
        let spared = score.trim().starts_with('-');
        Ok(Spawner {
            open_files,
            spared,
            policy,
            init: out_of_the_way(program_init::program()?)?,
            abilities: OnceLock::new(),
            store: OnceLock::new(),
        })
    }

    fn abilities(&self) -> &Abilities {
        self.abilities.get_or_init(|| Abilities::find(&self.policy))
    }

    /// The measures that are taken.
    pub fn measures(&self) -> &[Measure] {
        &self.abilities().taken
    }

    /// The measures of the policy that this machine can't take.
    pub fn lacking(&self) -> &[Measure] {
        &self.abilities().lacking
    }

    /// Does the policy let programs be started on this machine?
    pub fn allowed(&self) -> Result<(), String> {
        if self.policy.lacking == Lacking::Refuse && !self.lacking().is_empty() {
            return Err(lacks(self.lacking()));
        }
        Ok(())
    }

    /// The limits of a program for which `asked` is asked.
    pub fn limits(&self, asked: &Limits) -> Result<Limits, String> {
        if !asked.is_empty() && !self.measures().contains(&Measure::Limits) {
            return Err(
                "limits were asked for, and this host can't set any (see tao host show)".to_owned(),
            );
        }
        let limits = self.policy.limits.lowered(asked);
        limits.map_err(|error| error.to_string())
    }

    /// What is left of a program that has ended goes with it.
    pub fn clean_up(&self, process: &HostedProcess) {
        if let (Some(groups), Some(group)) = (&self.abilities().groups, process.group()) {
            groups.end(group);
        }
    }

    /// Mounts of the copies that the program is to find in place of files.
    fn mounts_of(&self, program: &Composition) -> io::Result<Vec<(OwnedFd, CString)>> {
        if program.pinned.is_empty() {
            return Ok(Vec::new());
        }
        let refused = |why: String| {
            io::Error::other(format!(
                "the program can't be started with measured copies of its {}: {why}",
                match program.script {
                    Some(_) => "script and libraries",
                    None => "libraries",
                }
            ))
        };
        if !self.measures().contains(&Measure::Namespaces) {
            let sentence = "this needs mounts of its own (namespaces), which this host can't give";
            return Err(refused(sentence.to_owned()));
        }
        let store = self
            .store
            .get_or_init(|| Store::new().map_err(|error| error.to_string()));
        let store = store.as_ref().map_err(|error| refused(error.clone()))?;
        let mount = |file: &Pinned| -> io::Result<_> {
            let mounted = out_of_the_way(store.mount(file.sha256, &file.bytes)?)?;
            let path = file.path.clone().into_os_string().into_vec();
            Ok((mounted, CString::new(path)?))
        };
        program.pinned.iter().map(mount).collect()
    }

    /// Starts the program, with its channel on 3 and 4, if it is a pair of pipes, and nothing else open.
    pub fn spawn(&self, program: &Composition, launch: Launch<'_>) -> io::Result<Spawned> {
        // Again: who had 3 or 4 when the host started may have given it up.
        reserve()?;
        let abilities = self.abilities();
        let wants = |measure| abilities.taken.contains(&measure);
        let executable = out_of_the_way(program.executable.file.try_clone()?)?;
        let pinned = self.mounts_of(program)?;
        let (hosts, programs) = match launch.socket {
            None => {
                let (hosts, programs) = channel()?;
                (Some(hosts), Some(programs))
            }
            Some(_) => (None, None),
        };
        // The kernel opens the program before it closes what is marked close-on-exec.
        let mut command = Command::new(format!("/proc/self/fd/{}", executable.as_raw_fd()));
        let mut name = launch.path;
        if let Some(script) = &program.script {
            // As the kernel would have it.
            name = &script.interpreter.path;
            command.args(&script.interpreter.argument).arg(&script.path);
        }
        command.args(launch.args).current_dir(launch.dir);
        command.env_clear().env("PATH", PATH).env("LANG", "C.UTF-8");
        let variables = launch.environment.iter();
        command.envs(variables.filter_map(|variable| variable.split_once('=')));
        let kind = if launch.socket.is_some() {
            "unix"
        } else {
            "pipe"
        };
        let pipes = Path::new("tao::RPC+tao::FDMessageChannel(3, 4)");
        command.env(client::CHANNEL_TYPE_VARIABLE, kind);
        command.env(client::SPEC_VARIABLE, launch.socket.unwrap_or(pipes));
        let [stdin, stdout, stderr] = launch
            .stdio
            .map(|fd| fd.map_or_else(Stdio::null, Stdio::from));
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        let become_user = geteuid()
            .is_root()
            .then(|| (launch.uid.as_raw(), launch.gid.as_raw()));
        // The first process of the program's own is not one of its.
        let extra = u64::from(wants(Measure::Processes));
        let (group, files) = match &abilities.groups {
            Some(groups) => {
                let (group, files) = groups.make(&launch.limits, extra)?;
                (Some(group), Some(files))
            }
            None => (None, None),
        };
        let (reported, report) = pipe2(OFlag::O_CLOEXEC)?;
        let setup = || -> io::Result<_> {
            let files = files.map(|files| -> io::Result<_> {
                Ok(GroupFiles {
                    folder: out_of_the_way(files.folder)?,
                    processes: out_of_the_way(files.processes)?,
                })
            });
            Ok(spawn_child::Setup {
                channel: programs,
                open_files: self.open_files,
                become_user,
                spared: self.spared,
                measures: spawn_child::Measures {
                    list: abilities.taken.clone(),
                    filter: abilities.filter.clone(),
                    settings: settings()?,
                },
                domain: Domain::new(wants(Measure::Scopes), self.policy.files.as_ref(), &pinned)?,
                pinned,
                group: files.transpose()?,
                init: self.init.try_clone()?,
                report: out_of_the_way(report)?,
                execution: Execution::of(&command, name)?,
            })
        };
        let spawned = setup().and_then(|setup| {
            spawn_child::set_up(&mut command, setup);
            HostedProcess::start(command, reported, wants(Measure::Processes))
        });
        match spawned {
            Ok(process) => Ok(Spawned {
                process: process.with_group(group),
                pipes: hosts,
            }),
            Err(error) => {
                if let (Some(groups), Some(group)) = (&abilities.groups, &group) {
                    groups.end(group);
                }
                Err(error)
            }
        }
    }
}
