//! What the caller gives a new program: its words, its surroundings, its files.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::fd::{BorrowedFd, OwnedFd},
    path::Path,
};

use nix::unistd::{Gid, Uid};

use crate::{
    confine::{
        numbers::{COPIES, out_of_the_way},
        own_directory::OwnDirectory,
    },
    measure::{
        composition::{Composition, Loader},
        credentials::Credentials,
    },
    start::execution::Execution,
};
use tao::client;
use tao::limits::Limits;

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
    /// Who it is to run as.
    pub uid: Uid,
    /// The group.
    pub gid: Gid,
    /// Its own directory, if it has one.
    pub own_directory: Option<OwnDirectory>,
    /// The rights of who asked, over the working directory.
    pub caller: Option<&'a Credentials>,
    /// The most it may use.
    pub limits: Limits,
    /// The socket by which it reaches the host; a pair of pipes if there is none.
    pub socket: Option<&'a Path>,
}

/// What is executed, and with what.
pub(crate) fn execution<'a>(
    program: &Composition,
    launch: &Launch<'_>,
    executable: BorrowedFd<'a>,
) -> io::Result<Execution<'a>> {
    let mut arguments = vec![launch.path.to_owned()];
    if let Some(script) = &program.script {
        // As the kernel would have it, which gives a script that was opened by a descriptor by
        // that too.
        arguments = vec![script.interpreter.path.clone()];
        arguments.extend(script.interpreter.argument.clone());
        arguments.push(copy(&script.place));
    }
    arguments.extend_from_slice(launch.args);
    if let Some(loader) = &program.loader {
        arguments = loaded(loader, arguments);
    }
    let (kind, spec) = match launch.socket {
        Some(socket) => {
            let path = socket.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
            ("unix", path)
        }
        None => ("pipe", "tao::RPC+tao::FDMessageChannel(3, 4)"),
    };
    let home = match &launch.own_directory {
        Some(directory) => directory
            .place
            .to_str()
            .ok_or(io::ErrorKind::InvalidFilename)?,
        None => "/",
    };
    let fixed = [
        ("PATH", PATH),
        ("LANG", "C.UTF-8"),
        ("HOME", home),
        (client::CHANNEL_TYPE_VARIABLE, kind),
        (client::SPEC_VARIABLE, spec),
    ];
    let mut environment: BTreeMap<&str, &str> = fixed.into();
    let asked = launch.environment.iter();
    environment.extend(asked.filter_map(|variable| variable.split_once('=')));
    // The channel is the host's, whatever is asked for.
    environment.extend(fixed.into_iter().skip(3));
    let variables = environment.into_iter();
    // The kernel opens the program before it closes what is marked close-on-exec.
    Execution::new(
        executable,
        arguments,
        variables.map(|(name, value)| format!("{name}={value}")),
    )
}

/// The path by which the program itself, and it alone, reaches a copy: no directory in it can be
/// renamed or mounted over by others, and none is a link of theirs.
fn copy(place: &str) -> String {
    format!("/proc/self/fd/{COPIES}/{place}")
}

/// The arguments with which the loader loads the program and its libraries from the copies:
/// by a path of a file's own (DT_RPATH, DT_RUNPATH) it looks for nothing.
fn loaded(loader: &Loader, arguments: Vec<String>) -> Vec<String> {
    let mut words = vec![copy(&loader.program)];
    let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
    option("--library-path", copy(loader.directory));
    // The first, without a name, is the program.
    let mut owners = vec![String::new()];
    owners.extend(loader.libraries.iter().map(|place| copy(place)));
    owners.push(String::new());
    option("--inhibit-rpath", owners.join(":"));
    let mut arguments = arguments.into_iter();
    let name = arguments.next().filter(|_| loader.tells_name);
    if let Some(name) = name {
        option("--argv0", name);
    }
    words.push(copy(&loader.program));
    words.extend(arguments);
    words
}

/// Standard input, output and error; /dev/null where there is none.
pub(crate) fn stdio(given: [Option<OwnedFd>; 3]) -> io::Result<[OwnedFd; 3]> {
    let one = |fd: Option<OwnedFd>| {
        out_of_the_way(match fd {
            Some(fd) => fd,
            None => File::options()
                .read(true)
                .write(true)
                .open("/dev/null")?
                .into(),
        })
    };
    let [stdin, stdout, stderr] = given;
    Ok([one(stdin)?, one(stdout)?, one(stderr)?])
}
