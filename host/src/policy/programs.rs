//! How hosted programs are kept apart from each other and from the host, and what is part
//! of their names.

use std::path::PathBuf;

use tao::limits::Limits;

/// What is measured for one program at most, unless the policy says otherwise: larger than
/// nearly all programs, and hashed in a second.
pub const LARGEST: u64 = 256 << 20;
/// The most that a policy may say: copies of it all lie in memory.
pub const MOST_LARGEST: u64 = 1 << 30;

/// One kind of confinement. Each is applied to a program before its first instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// No capability, not even for root's programs, and no way to get one.
    Capabilities,
    /// Mounts, host name and System V IPC of its own; the kernel's settings read-only; devices
    /// and the state of hosts hidden.
    Namespaces,
    /// Processes of its own: it sees no others, and what it leaves behind ends with it.
    Processes,
    /// No network but a loopback of its own.
    Network,
    /// Landlock: no tracing of other programs, no device nodes, and only the files of the
    /// policy (Linux 5.13).
    Landlock,
    /// Landlock: no signals to other programs, no abstract sockets of others (Linux 6.12).
    Scopes,
    /// No system calls that look into other processes or change the machine.
    Seccomp,
    /// Limits of memory, processes and processor time (cgroup v2).
    Limits,
    /// A user of its own for each program, by its name: for a host that is root.
    Users,
}

impl Confinement {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Capabilities,
        Self::Namespaces,
        Self::Processes,
        Self::Network,
        Self::Landlock,
        Self::Scopes,
        Self::Seccomp,
        Self::Limits,
        Self::Users,
    ];

    /// The name for people and in names of programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Capabilities => "capabilities",
            Self::Namespaces => "namespaces",
            Self::Processes => "processes",
            Self::Network => "network",
            Self::Landlock => "landlock",
            Self::Scopes => "scopes",
            Self::Seccomp => "seccomp",
            Self::Limits => "limits",
            Self::Users => "users",
        }
    }
}

/// What to do where this machine cannot confine a program in one of these ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lacking {
    /// Start programs without it. `tao host show` says so.
    #[default]
    Accept,
    /// Start programs without it, and say so in their names: `.Lacking("seccomp")`.
    Declare,
    /// Start nothing.
    Refuse,
}

/// Files that programs may use, by directory or file; everything below a directory belongs to it.
/// Programs always have /proc, and the devices that hold nothing (/dev/null, /dev/urandom).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileRules {
    /// May be read and executed.
    pub read: Vec<PathBuf>,
    /// May be changed, made and deleted as well.
    pub write: Vec<PathBuf>,
}

/// What becomes of programs that need dynamic libraries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Libraries {
    /// They are started; their libraries are whatever is on the disk. With
    /// [`Lacking::Declare`] their names say so: `.Lacking("libraries")`.
    #[default]
    Unmeasured,
    /// They are started with copies of loader and libraries that were measured, which are
    /// in the name: `.Libraries("libc.so.6", [...])`.
    Measured,
    /// They are refused: static programs only.
    Refused,
}

/// What becomes of scripts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scripts {
    /// They are refused.
    #[default]
    Refused,
    /// Interpreter and script are measured and in the name:
    /// `.Program([interpreter]).Script([script])`.
    Measured,
}

/// What becomes of environment variables that are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Environment {
    /// They are refused: all programs have the same environment.
    #[default]
    Refused,
    /// They are part of the name: `.Env("NAME=VALUE")`.
    Named,
    /// They are the caller's affair, as arguments are.
    Unnamed,
}

/// Who programs run as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunAs {
    /// A user of its own for each program ([`Confinement::Users`]).
    #[default]
    Own,
    /// Whoever has one started.
    Caller,
    /// This user, and this group.
    User {
        /// The user's number.
        uid: u32,
        /// The group's.
        gid: u32,
    },
}

/// How programs are started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramPolicy {
    /// How programs are confined.
    pub confinements: Vec<Confinement>,
    /// Where one cannot be taken.
    pub lacking: Lacking,
    /// The arguments are part of the name: `.Program([...]).Args("-v", "file")`.
    pub name_arguments: bool,
    /// Programs that need dynamic libraries.
    pub libraries: Libraries,
    /// Scripts.
    pub scripts: Scripts,
    /// Environment variables.
    pub environment: Environment,
    /// The most that a program may use; who starts one may ask for less.
    pub limits: Limits,
    /// The most bytes that are measured for one program, with its script, loader and libraries.
    pub largest: u64,
    /// The files that programs may use; `None` for no rules but the files' permissions.
    pub files: Option<FileRules>,
    /// Who they run as.
    pub run_as: RunAs,
    /// Devices that they have besides those that hold nothing; the files' permissions count.
    pub devices: Vec<PathBuf>,
}

impl Default for ProgramPolicy {
    /// Everything but a network of its own, where it can be had.
    fn default() -> Self {
        let wanted = |confinement: &Confinement| *confinement != Confinement::Network;
        Self {
            confinements: Confinement::ALL.into_iter().filter(wanted).collect(),
            lacking: Lacking::default(),
            name_arguments: false,
            libraries: Libraries::default(),
            scripts: Scripts::default(),
            environment: Environment::default(),
            limits: Limits::of_this_machine(),
            largest: LARGEST,
            files: None,
            run_as: RunAs::default(),
            devices: Vec::new(),
        }
    }
}

impl ProgramPolicy {
    /// Are programs to be confined in this way?
    pub fn wants(&self, confinement: Confinement) -> bool {
        self.confinements.contains(&confinement)
    }
}
