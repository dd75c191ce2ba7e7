//! `tao host start`: a host on any Linux machine, for development (`--soft`), or as a hosted
//! program of another host (`--stacked`).

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use argh::FromArgs;
use tao::{
    admin::Admin,
    client::Parent,
    domain::Domain,
    keys::{Hidden, Secret, random},
};
use tao::{guard::GuardSource, state_file};
use tao_host::{
    HostConfig, PolicyWords, ProgramPolicy, Root, SoftRoot, StackedRoot, lacking, serve,
};

use super::stderr_log;

/// How long a host in the background may take until it answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// Start a host in the foreground (or --background). The host of a machine that taoboot
/// boots starts automatically.
#[derive(FromArgs)]
#[argh(subcommand, name = "start")]
pub struct Start {
    /// rest on nothing but a key in a file: for development. The host's name says so.
    #[argh(switch)]
    soft: bool,
    /// rest on the Tao host that started this very program
    #[argh(switch)]
    stacked: bool,
    /// directory for the host's secret, counters and local rules (default: /var/lib/tao; for others
    /// than root $XDG_STATE_HOME/tao or ~/.local/state/tao)
    #[argh(option, default = "PathBuf::new()")]
    state: PathBuf,
    /// what may be started: liberal (anything), conservative (nothing), local (what tao guard
    /// add allows), domain (what the rules in --domain allow) (default: liberal)
    #[argh(option, default = "\"liberal\".to_owned()")]
    guard: String,
    /// directory of a domain (tao domain init), for its rules and policy key
    #[argh(option)]
    domain: Option<PathBuf>,
    /// group that may use the host's socket too, by number, for what the guard lets
    /// user(NUMBER) do (default: only root and this user)
    #[argh(option)]
    admin_group: Option<u32>,
    /// how programs are kept apart: best (what this machine can do), declare (what it cannot
    /// do is said in their names), strict (without all of it nothing is started), none
    /// (default: best)
    #[argh(option, default = "\"best\".to_owned()")]
    isolation: String,
    /// programs get no network
    #[argh(switch)]
    no_network: bool,
    /// arguments are part of a program's name
    #[argh(switch)]
    name_arguments: bool,
    /// programs that need dynamic libraries: accept (the libraries are not measured), measure
    /// (loader and libraries are measured and in the name), refuse (default: accept)
    #[argh(option)]
    libraries: Option<String>,
    /// the same as --libraries refuse
    #[argh(switch)]
    static_only: bool,
    /// scripts: refuse, or measure (interpreter and script are measured and in the name)
    /// (default: refuse)
    #[argh(option, default = "\"refuse\".to_owned()")]
    scripts: String,
    /// environment variables that are asked for: refuse, name (they are part of the program's
    /// name), accept (those that change only how things are shown, such as TERM and LANG, are not part of
    /// it; all others are) (default: refuse)
    #[argh(option, default = "\"refuse\".to_owned()")]
    environment: String,
    /// the most memory of a program, in bytes or with K, M, G or T (default: three quarters of
    /// the machine's)
    #[argh(option)]
    memory: Option<String>,
    /// the most processes and threads of a program (default: 4096)
    #[argh(option)]
    processes: Option<u64>,
    /// the most processor time of a program, in per cent of one processor (default: no limit)
    #[argh(option)]
    cpu: Option<String>,
    /// the most that is measured for one program with its script, loader and libraries; what is
    /// larger is not started (default: 256M; at most 1G)
    #[argh(option)]
    largest: Option<String>,
    /// a file or directory that programs may read and execute; may be given several times. With
    /// this or --write they may use no others (default: what the files' permissions allow)
    #[argh(option)]
    read: Vec<PathBuf>,
    /// a file or directory that programs may also change
    #[argh(option)]
    write: Vec<PathBuf>,
    /// who programs run as: own (a user of its own for each program, if the host is root),
    /// caller (whoever has one started), or a user's name or number, or UID:GID (default: own)
    #[argh(option)]
    user: Option<String>,
    /// a device of the machine that programs may use, such as /dev/kvm; may be given several
    /// times (default: only those that hold nothing, such as /dev/null)
    #[argh(option)]
    device: Vec<PathBuf>,
    /// start a process of its own and return as soon as the host answers
    #[argh(switch)]
    background: bool,
}

impl Start {
    fn guard(&self) -> anyhow::Result<GuardSource> {
        ensure!(
            self.domain.is_none() || self.guard == "domain",
            "--domain does nothing with --guard {}: say --guard domain too, so that the domain's rules decide",
            self.guard
        );
        Ok(match self.guard.as_str() {
            "liberal" => GuardSource::Liberal,
            "conservative" => GuardSource::Conservative,
            "local" => GuardSource::Local(self.state.join("rules")),
            "domain" => {
                let dir = self.domain.as_deref().context(
                    "--guard domain needs --domain DIR, a directory that tao domain init made",
                )?;
                Domain::load(dir)?.guard_source()
            }
            other => bail!("--guard {other}: expected liberal, conservative, local or domain"),
        })
    }

    fn programs(&self) -> anyhow::Result<ProgramPolicy> {
        let mut words = PolicyWords {
            isolation: Some(self.isolation.clone()),
            network: Some(!self.no_network),
            name_arguments: Some(self.name_arguments),
            libraries: self.libraries.clone(),
            scripts: Some(self.scripts.clone()),
            environment: Some(self.environment.clone()),
            memory: self.memory.clone(),
            processes: self.processes,
            cpu: self.cpu.clone(),
            largest: self.largest.clone(),
            read: self.read.clone(),
            write: self.write.clone(),
            user: self.user.as_deref().map(user).transpose()?,
            devices: self.device.clone(),
        };
        if self.static_only {
            let other = self.libraries.as_deref().filter(|word| *word != "refuse");
            if let Some(word) = other {
                bail!("--static-only and --libraries {word} contradict each other");
            }
            words.libraries = Some("refuse".to_owned());
        }
        Ok(words.policy()?)
    }

    /// The secret of a soft host: a file that only its owner reads.
    fn soft_secret(&self) -> anyhow::Result<Secret> {
        let path = self.state.join("secret");
        let mut secret = Secret::default();
        let read = state_file::read(&path, 32).with_context(|| path.display().to_string())?;
        match read.map(zeroize::Zeroizing::new) {
            Some(file) => {
                ensure!(
                    file.len() == secret.len(),
                    "{}: {} bytes instead of 32",
                    path.display(),
                    file.len()
                );
                secret.copy_from_slice(&file);
            }
            None => {
                random(&mut *secret)?;
                state_file::replace(&path, &*secret).with_context(|| path.display().to_string())?;
            }
        }
        Ok(secret)
    }
}

/// A user's name becomes numbers, as the machine has them now.
fn user(word: &str) -> anyhow::Result<String> {
    let is_number = word.starts_with(|first: char| first.is_ascii_digit());
    if is_number || ["own", "caller"].contains(&word) {
        return Ok(word.to_owned());
    }
    let found = nix::unistd::User::from_name(word).with_context(|| format!("--user {word}"))?;
    let found = found.with_context(|| format!("--user {word}: there is no such user"))?;
    Ok(format!("{}:{}", found.uid, found.gid))
}

pub fn start(socket: &Path, command: &mut Start) -> anyhow::Result<ExitCode> {
    if command.state.as_os_str().is_empty() {
        command.state = super::places::state()?;
    }
    let socket_dir = socket
        .parent()
        .filter(|_| socket.file_name().is_some_and(|name| name == "admin.sock"))
        .context("--socket: a host's socket is called admin.sock")?;
    ensure!(
        command.soft != command.stacked,
        "say on what the host is to rest: --soft or --stacked"
    );
    // Before anything is made: what is wrong with the command line.
    let guard = command.guard()?;
    let programs = command.programs()?;
    if command.background {
        // In sight: what is said later goes to a file.
        return background(socket, command);
    }
    stderr_log::install();
    // What this machine cannot do is said now and not when the first program is started.
    lacking(&programs).context("no program could be started")?;
    let subprin = guard.subprincipal()?;
    let (root, host_secret): (Box<dyn Root>, Secret) = if command.soft {
        (Box::new(SoftRoot), command.soft_secret()?)
    } else {
        let (root, secret) = StackedRoot::new(Parent::from_env()?, &subprin, &command.state)?;
        (Box::new(root), secret)
    };
    serve(HostConfig {
        root,
        host_secret: Hidden::with(|| host_secret),
        socket_dir: socket_dir.to_owned(),
        admin_group: command.admin_group,
        state_dir: Some(command.state.clone()),
        guard,
        programs,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Starts the same command without --background, and waits until it answers.
fn background(socket: &Path, command: &Start) -> anyhow::Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    ensure!(
        command.soft,
        "a stacked host is a hosted program: its parent keeps it in the background (tao run --detach)"
    );
    if Admin::connect(socket).is_ok() {
        bail!("another Tao host listens at {}", socket.display());
    }
    let log_path = command.state.join("host.log");
    let log = state_file::log(&log_path).with_context(|| log_path.display().to_string())?;
    let arguments = std::env::args_os().skip(1);
    let mut child = Command::new(std::env::current_exe().context("this program's own path")?)
        .args(arguments.filter(|argument| argument != "--background"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .process_group(0)
        .spawn()
        .context("the host's process")?;
    let begin = Instant::now();
    loop {
        if let Ok(mut admin) = Admin::connect(socket) {
            let host = admin.describe()?;
            if !host.lacking.is_empty() {
                eprintln!(
                    "tao: this machine cannot confine programs completely: it lacks {}",
                    host.lacking.join(", ")
                );
            }
            println!("{}", admin.host_name()?);
            return Ok(ExitCode::SUCCESS);
        }
        let ended = child.try_wait().context("the host's process")?;
        if ended.is_some() || begin.elapsed() > PATIENCE {
            let said = std::fs::read_to_string(&log_path).with_context(|| {
                format!(
                    "the host does not start, and its log cannot be read: {}",
                    log_path.display()
                )
            })?;
            bail!(
                "the host does not start: {}",
                said.lines().last().unwrap_or("it said nothing")
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
