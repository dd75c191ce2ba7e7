//! `tao run`: start a program under the host, stay until it ends, end as it did.

use std::{
    os::fd::AsFd,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitCode, ExitStatus},
};

use anyhow::Context as _;
use argh::FromArgs;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
};
use serde_json::json;
use tao::admin::{Admin, AdminError, HostedProgram, Start};
use tao::limits::{Limits, parse_cpu, parse_memory};

/// Start a program under the Tao host and wait for it. Input, output and signals are the
/// program's, and so is the exit status (128 and the signal's number if a signal ended it;
/// 125 if it could not be started; 124 if it was, and how it ended is not known).
#[derive(FromArgs)]
#[argh(subcommand, name = "run")]
pub struct Run {
    /// print name, process and end of the program as one line of JSON on standard error
    #[argh(switch)]
    json: bool,
    /// start it in the background: print its process and name, and return. Its input is
    /// empty; the last of its output is kept for tao logs.
    #[argh(switch)]
    detach: bool,
    /// the most memory it may use, in bytes or with K, M, G or T (default: what the host's
    /// policy allows)
    #[argh(option)]
    memory: Option<String>,
    /// the most processes and threads it may have
    #[argh(option)]
    processes: Option<u64>,
    /// the most processor time it may use, in per cent of one processor, such as 50%
    #[argh(option)]
    cpu: Option<String>,
    /// an environment variable, as NAME=VALUE; may be given several times, where the host's
    /// policy takes them
    #[argh(option)]
    env: Vec<String>,
    /// how the program reaches the host: pipe (a pair of pipes that it inherits), unix (a socket
    /// that it connects to) (default: pipe)
    #[argh(option, default = "\"pipe\".to_owned()")]
    channel: String,
    /// the program, an ELF file or, where the host's policy allows it, a script, and its arguments
    #[argh(positional, greedy)]
    command: Vec<String>,
}

const FORWARDED: [Signal; 6] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// The exit status where a program was started and its end is not known: the host has ended, too.
const END_UNKNOWN: u8 = 124;

pub fn run(socket: &Path, command: &Run) -> anyhow::Result<ExitCode> {
    let Some((program, arguments)) = command.command.split_first() else {
        anyhow::bail!("no program is named; tao run PROGRAM [ARGUMENTS]");
    };
    let mut signals = SigSet::empty();
    FORWARDED.into_iter().for_each(|signal| signals.add(signal));
    signals
        .thread_block()
        .context("signals cannot be forwarded")?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .context("signals cannot be forwarded")?;

    let mut admin = Admin::connect(socket)?;
    let path = find(program)?;
    let dir = std::env::current_dir().context("the working directory")?;
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let program = admin.start(&Start {
        path: &path,
        args: arguments,
        dir: dir
            .to_str()
            .context("the working directory's name is not UTF-8")?,
        environment: &command.env,
        socket: match command.channel.as_str() {
            "pipe" => false,
            "unix" => true,
            other => anyhow::bail!("--channel {other}: expected pipe or unix"),
        },
        limits: Limits {
            memory: command.memory.as_deref().map(parse_memory).transpose()?,
            processes: command.processes,
            cpu: command.cpu.as_deref().map(parse_cpu).transpose()?,
        },
        stdio: (!command.detach).then(|| [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()]),
    })?;
    if command.detach {
        let (pid, name) = (program.pid, program.subprin.to_string());
        if command.json {
            println!("{}", json!({"pid": pid, "program": name}));
        } else {
            println!("{pid}  {name}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let status = match wait(socket, &mut admin, &program, &signals) {
        Ok(status) => status,
        Err(error) => {
            let pid = program.pid;
            eprintln!(
                "tao: the program was started as process {pid}, and how it ended is not known: {}",
                commands::sentence(error.chain())
            );
            return Ok(ExitCode::from(END_UNKNOWN));
        }
    };
    let status = ExitStatus::from_raw(status);
    if command.json {
        let line = json!({
            "program": program.subprin.to_string(),
            "pid": program.pid,
            "exit_code": status.code(),
            "signal": status.signal(),
        });
        eprintln!("{line}");
    }
    Ok(exit_code(status))
}

/// The program's own exit status; 128 and the signal's number if a signal ended it.
pub fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or(status.signal().map(|signal| signal.saturating_add(128)))
        .and_then(|code| u8::try_from(code).ok());
    // A status is one or the other, and both have room in a byte.
    ExitCode::from(code.unwrap_or(END_UNKNOWN))
}

/// A shell does not look into the present directory either, which surprises everybody once.
fn absent(program: &str) -> String {
    if Path::new(program).is_file() {
        format!("{program}: no such program in PATH; the one in this directory is ./{program}")
    } else {
        format!("{program}: no such program in PATH")
    }
}

/// A name without a slash is looked for in PATH, as a shell does; a path is made absolute,
/// because the host's working directory is another.
fn find(program: &str) -> anyhow::Result<String> {
    let found = if program.contains('/') {
        std::path::absolute(program).with_context(|| program.to_owned())?
    } else {
        let path = std::env::var_os("PATH")
            .with_context(|| format!("{program}: PATH is not set; name the program's path"))?;
        std::env::split_paths(&path)
            .map(|dir| dir.join(program))
            .find(|file| file.is_file())
            .with_context(|| absent(program))?
    };
    let found = std::path::absolute(found).context("the program's path")?;
    found
        .into_os_string()
        .into_string()
        .map_err(|path| anyhow::anyhow!("{}: the program's path is not UTF-8", path.display()))
}

/// Waits for the program's end and passes signals on to it, by way of the host: only the
/// host knows for sure which process that is.
fn wait(
    socket: &Path,
    admin: &mut Admin,
    program: &HostedProgram,
    signals: &SignalFd,
) -> anyhow::Result<i32> {
    admin.begin_wait(program)?;
    loop {
        let mut descriptors = [
            PollFd::new(admin.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut descriptors, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error).context("waiting for the program"),
        }
        let [ended, _] = &descriptors;
        if ended.any() == Some(true) {
            return Ok(admin.finish_wait()?);
        }
        while let Some(signal) = signals
            .read_signal()
            .context("signals cannot be forwarded")?
        {
            let signal = i32::try_from(signal.ssi_signo)
                .ok()
                .and_then(|number| Signal::try_from(number).ok())
                .with_context(|| format!("signal {} is not known", signal.ssi_signo))?;
            // It may have ended this moment; then the next round says how.
            match Admin::connect(socket).and_then(|mut admin| admin.signal(program.pid, signal)) {
                Ok(()) | Err(AdminError::Refused(_)) => {}
                Err(error) => eprintln!("tao: {signal} was not passed on: {error}"),
            }
        }
    }
}
