//! How hosted programs are kept apart from each other and from the host, and what is part
//! of their names.

/// One measure. Each is applied to a program before its first instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// No capability, not even for root's programs, and no way to get one.
    Capabilities,
    /// Mounts, host name and System V IPC of its own.
    Namespaces,
    /// No network but a loopback of its own.
    Network,
    /// Landlock: no tracing of and no signals to other programs, no abstract sockets of
    /// others, no device nodes.
    Landlock,
    /// No system calls that look into other processes or change the machine.
    Seccomp,
}

impl Measure {
    /// All measures.
    pub const ALL: [Measure; 5] = [
        Measure::Capabilities,
        Measure::Namespaces,
        Measure::Network,
        Measure::Landlock,
        Measure::Seccomp,
    ];

    /// The measure's name for people and in names of programs.
    pub const fn name(self) -> &'static str {
        match self {
            Measure::Capabilities => "capabilities",
            Measure::Namespaces => "namespaces",
            Measure::Network => "network",
            Measure::Landlock => "landlock",
            Measure::Seccomp => "seccomp",
        }
    }
}

/// What to do where this machine can't do a measure.
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

/// How programs are started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramPolicy {
    /// The measures to take.
    pub measures: Vec<Measure>,
    /// Where one can't be taken.
    pub lacking: Lacking,
    /// The arguments are part of the name: `.Program([...]).Args("-v", "file")`.
    pub name_arguments: bool,
    /// Only programs that need no dynamic libraries: libraries are not measured.
    pub static_only: bool,
}

impl Default for ProgramPolicy {
    /// Everything but a network of its own, where it can be had.
    fn default() -> Self {
        let wanted = |measure: &Measure| *measure != Measure::Network;
        ProgramPolicy {
            measures: Measure::ALL.into_iter().filter(wanted).collect(),
            lacking: Lacking::default(),
            name_arguments: false,
            static_only: false,
        }
    }
}

impl ProgramPolicy {
    /// Is the measure to be taken?
    pub fn wants(&self, measure: Measure) -> bool {
        self.measures.contains(&measure)
    }
}
