//! Starting a measured program.

use std::{
    ffi::CString,
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    sync::{Arc, OnceLock},
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::resource::{Resource, getrlimit, rlim_t, setrlimit},
    unistd::{Gid, Uid, geteuid, pipe2},
};
use tao::logic::SubPrin;

use crate::{
    confine::{
        landlock::Domain,
        numbers::{out_of_the_way, reserve},
        own_directory::OwnDirectory,
        places::Places,
        users::{UserLease, Users},
    },
    measure::composition::Composition,
    policy::programs::{Confinement, Lacking, ProgramPolicy, RunAs},
    start::{
        abilities::Abilities,
        error::StartError,
        hosted_process::HostedProcess,
        launch::{Launch, execution, stdio},
        program_init,
        spare::Sets,
        spawn_child,
        store::Store,
    },
};
use tao::limits::Limits;

/// Open files that a host should be able to have.
const OPEN_FILES: rlim_t = 65_536;

/// Size of the pipes of a channel; the system uses memory for what is in them only.
const PIPE: i32 = 128 * 1024;

/// A program that was started.
pub struct Spawned {
    /// Its processes, as the host ends them and waits for them.
    pub process: HostedProcess,
    /// The host's ends of the channel, if it is a pair of pipes: requests, responses.
    pub pipes: Option<(File, File)>,
}

/// Two pipes: the host's ends for requests and responses, which do not block, and the
/// program's for responses and requests.
fn channel() -> io::Result<((File, File), (OwnedFd, OwnedFd))> {
    let (program_reads, host_writes) = pipe2(OFlag::O_CLOEXEC)?;
    let (host_reads, program_writes) = pipe2(OFlag::O_CLOEXEC)?;
    for end in [&host_reads, &host_writes] {
        fcntl(end.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        // A frame of 64 KiB fits as a whole. Where it cannot be had, it comes in pieces.
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

/// Is this process spared by the OOM killer? Not where there is no /proc yet, or no such file
/// in it.
fn is_spared() -> io::Result<bool> {
    match std::fs::read_to_string("/proc/self/oom_score_adj") {
        Ok(score) => Ok(score.trim().starts_with('-')),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Starts programs.
pub struct Spawner {
    /// Limit of open files before the host raised its own; programs get this.
    open_files: (rlim_t, rlim_t),
    /// The host may be spared by the OOM killer; its programs are not.
    spared: bool,
    /// How programs are started.
    pub policy: ProgramPolicy,
    /// What is hidden from them.
    places: Places,
    users: Arc<Users>,
    /// The first process of each program's own.
    init: OwnedFd,
    abilities: OnceLock<Abilities>,
    sets: OnceLock<Sets>,
    /// Copies of libraries, once there are some; or why there cannot be any.
    store: OnceLock<io::Result<Store>>,
}

impl Spawner {
    /// Prepares the host's process.
    pub(crate) fn new(policy: ProgramPolicy, places: Places) -> io::Result<Self> {
        reserve()?;
        let open_files = getrlimit(Resource::RLIMIT_NOFILE)?;
        // Each program takes several descriptors. A host that the kernel's first process
        // started has 4096, and is root; others have what they were given.
        let enough = open_files.1.max(OPEN_FILES);
        if setrlimit(Resource::RLIMIT_NOFILE, enough, enough).is_err() {
            setrlimit(Resource::RLIMIT_NOFILE, open_files.1, open_files.1)?;
        }
        let spared = is_spared()?;
        Ok(Self {
            open_files,
            spared,
            policy,
            users: Users::new(places.state.as_deref()),
            places,
            init: out_of_the_way(program_init::program()?)?,
            abilities: OnceLock::new(),
            sets: OnceLock::new(),
            store: OnceLock::new(),
        })
    }

    fn abilities(&self) -> &Abilities {
        self.abilities
            .get_or_init(|| Abilities::find(&self.policy, &self.init, &self.places))
    }

    /// How programs are confined.
    pub fn confinements(&self) -> &[Confinement] {
        &self.abilities().confinements.list
    }

    /// The confinements of the policy that this machine cannot provide.
    pub fn lacking(&self) -> &[Confinement] {
        &self.abilities().lacking
    }

    /// Does the policy let programs be started on this machine?
    pub fn allowed(&self) -> Result<(), StartError> {
        if self.policy.lacking == Lacking::Refuse && !self.lacking().is_empty() {
            return Err(StartError::Lacking(self.lacking().to_vec()));
        }
        Ok(())
    }

    /// The limits of a program for which `asked` is asked.
    pub fn limits(&self, asked: &Limits) -> Result<Limits, StartError> {
        if !asked.is_empty() && !self.confinements().contains(&Confinement::Limits) {
            return Err(StartError::NoLimits);
        }
        Ok(self.policy.limits.lowered(asked)?)
    }

    /// Who a program of that name runs as, if `caller` has it started; and what keeps a user of its
    /// own from being deleted.
    pub(crate) fn user_of(
        &self,
        program: &SubPrin,
        caller: (Uid, Gid),
    ) -> Result<((Uid, Gid), Option<UserLease>), StartError> {
        match self.policy.run_as {
            RunAs::Own if self.confinements().contains(&Confinement::Users) => {
                let lease = self.users.of(program, caller.0)?;
                Ok(((lease.uid(), lease.gid()), Some(lease)))
            }
            // Where there are no users for them they are the caller's, and `lacking` says so.
            RunAs::Own | RunAs::Caller => Ok((caller, None)),
            RunAs::User { uid, gid } => Ok(((Uid::from_raw(uid), Gid::from_raw(gid)), None)),
        }
    }

    /// The users of the programs' own.
    pub(crate) const fn users(&self) -> &Arc<Users> {
        &self.users
    }

    /// Where the host's state is, if it has any.
    pub(crate) fn state(&self) -> Option<&Path> {
        self.places.state.as_deref()
    }

    /// The directory of a program that has a user of its own, where programs have their own mounts.
    pub(crate) fn own_directory(
        &self,
        user: (Uid, Gid),
    ) -> Result<Option<OwnDirectory>, StartError> {
        let has = |confinement| self.confinements().contains(&confinement);
        let own = self.policy.run_as == RunAs::Own && has(Confinement::Users);
        if !own || !has(Confinement::Namespaces) {
            return Ok(None);
        }
        let Some(state) = self.places.make_state().map_err(StartError::State)? else {
            return Ok(None);
        };
        match OwnDirectory::of(&state, user.0, user.1) {
            Ok(directory) => Ok(Some(directory)),
            // Then its user is one for this time only, too.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(None),
            Err(error) => Err(StartError::OwnDirectory(error)),
        }
    }

    /// What is left of a program that has ended goes with it.
    pub fn clean_up(&self, process: &HostedProcess) {
        if let (Some(groups), Some(group)) = (&self.abilities().groups, process.group()) {
            groups.end(group);
        }
    }

    /// A directory with the copies that the program is to find, if there are any.
    fn copies_of(&self, program: &Composition) -> io::Result<Option<OwnedFd>> {
        if program.copies.is_empty() {
            return Ok(None);
        }
        let refused = |why: String| {
            io::Error::other(format!(
                "the program cannot be started with measured copies of its {}: {why}",
                match program.script {
                    Some(_) => "script and libraries",
                    None => "libraries",
                }
            ))
        };
        let store = self.store.get_or_init(Store::new).as_ref();
        let none = "this host cannot have a file system of its own for them";
        let store = store.map_err(|error| refused(format!("{none}: {error}")))?;
        let directory = store
            .directory_of(&program.copies)
            .map_err(|error| refused(error.to_string()))?;
        Ok(Some(out_of_the_way(directory)?))
    }

    fn domain(
        &self,
        scopes: bool,
        copies: Option<&OwnedFd>,
        own: Option<&(OwnedFd, CString)>,
    ) -> io::Result<Domain> {
        let own: Vec<_> = own.iter().map(|(directory, _)| directory.as_fd()).collect();
        let domain = Domain::new(scopes, self.policy.files.as_ref(), copies, &own)?;
        match self.confinements().contains(&Confinement::Namespaces) {
            true => domain.with_devices(&self.policy.devices),
            false => Ok(domain),
        }
    }

    /// Where sets of processes come from, if programs have their own.
    fn sets(&self) -> io::Result<Option<&Sets>> {
        let Abilities {
            confinements,
            groups,
            ..
        } = self.abilities();
        if !confinements.list.contains(&Confinement::Processes) {
            return Ok(None);
        }
        let init = self.init.try_clone()?;
        let new = || {
            Sets::new(
                confinements.clone(),
                self.places.clone(),
                init,
                self.spared,
                groups.clone(),
            )
        };
        Ok(Some(self.sets.get_or_init(new)))
    }

    /// Starts the program, with its channel on 3 and 4, if it is a pair of pipes, its copies on 5,
    /// if it has any, and nothing else open.
    pub fn spawn(&self, program: &Composition, launch: Launch<'_>) -> io::Result<Spawned> {
        // Again: who had 3 or 4 when the host started may have given it up.
        reserve()?;
        let abilities = self.abilities();
        let directory = self.copies_of(program)?;
        let (hosts, programs) = match launch.socket {
            None => {
                let (hosts, programs) = channel()?;
                (Some(hosts), Some(programs))
            }
            Some(_) => (None, None),
        };
        let executable = program.executed().file.try_clone()?;
        let executable = out_of_the_way(executable)?;
        let execution = execution(program, &launch, executable.as_fd())?;
        let own_directory = launch
            .own_directory
            .map(OwnDirectory::into_parts)
            .transpose()?;
        let sets = self.sets()?;
        let set = sets.map(Sets::take).transpose()?;
        // A set was made with the mounts that there are now, and with what is to be hidden now;
        // without one the program makes its own mounts.
        let alone = set.is_none() && self.confinements().contains(&Confinement::Namespaces);
        let present = match alone {
            true => Some(abilities.confinements.with_present_mounts(&self.places)?),
            false => None,
        };
        let (group, files) = match &abilities.groups {
            Some(groups) => {
                let (group, files) = groups.make(&launch.limits)?;
                (Some(group), Some(files))
            }
            None => (None, None),
        };
        let setup = || -> io::Result<_> {
            let scopes = abilities.confinements.list.contains(&Confinement::Scopes);
            let root = geteuid().is_root();
            Ok(spawn_child::Setup {
                stdio: stdio(launch.stdio)?,
                channel: programs,
                open_files: self.open_files,
                become_user: root.then(|| (launch.uid.as_raw(), launch.gid.as_raw())),
                spared: self.spared,
                confinements: present.as_ref().unwrap_or(&abilities.confinements),
                set: set.as_ref(),
                domain: self.domain(scopes, directory.as_ref(), own_directory.as_ref())?,
                directory,
                caller: launch.caller.filter(|caller| root && !caller.is_own()),
                own_directory,
                group: files,
                dir: CString::new(launch.dir.as_os_str().as_bytes())?,
                execution,
            })
        };
        let started = setup().and_then(|setup| spawn_child::start(&setup));
        let spawned = started.and_then(|pid| HostedProcess::new(pid, set));
        if let Some(sets) = sets {
            sets.prepare();
        }
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
