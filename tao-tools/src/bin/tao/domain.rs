//! `tao domain`: make a domain, look at it, say what it trusts.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use anyhow::{Context as _, bail};
use argh::FromArgs;
use serde_json::json;
use sha2::{Digest, Sha256};
use tao::{
    domain::{Domain as TaoDomain, GuardKind, NewDomain},
    guard::{Guard, authorized},
    logic::{Prin, SubPrin},
};
use tao_host::{PolicyWords, measured_name};

use super::password;

/// Make a domain (a policy key and the rules it signs), look at it, or say what it trusts.
#[derive(FromArgs)]
#[argh(subcommand, name = "domain")]
pub struct Domain {
    #[argh(subcommand)]
    command: DomainCommand,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum DomainCommand {
    Init(Init),
    Show(Show),
    AddProgram(AddProgram),
    AddHost(AddHost),
}

/// Make a domain: a new policy key, its certificate, and first rules.
#[derive(FromArgs)]
#[argh(subcommand, name = "init")]
struct Init {
    /// its name (default: Tao domain)
    #[argh(option, default = "\"Tao domain\".to_owned()")]
    name: String,
    /// kind of rules: datalog or acl (default: datalog)
    #[argh(option, default = "\"Datalog\".to_owned()")]
    guard: String,
    /// file with the password for the policy key, - for standard input (default: ask)
    #[argh(option)]
    password_file: Option<PathBuf>,
    /// protect the policy key so that the original can sign with it too: weaker
    #[argh(switch)]
    original_keys: bool,
    /// the directory
    #[argh(positional)]
    dir: PathBuf,
}

/// Print a domain: name, policy key, rules.
#[derive(FromArgs)]
#[argh(subcommand, name = "show")]
struct Show {
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// the directory
    #[argh(positional)]
    dir: PathBuf,
}

/// Trust a program: measure its file and sign a rule for it.
#[derive(FromArgs)]
#[argh(subcommand, name = "add-program")]
struct AddProgram {
    /// file with the policy key's password, - for standard input (default: ask)
    #[argh(option)]
    password_file: Option<PathBuf>,
    /// for a list (ACLs): the host on which the program may run
    #[argh(option)]
    host: Option<String>,
    /// what the host does with dynamic libraries: accept, or measure (then this machine's are
    /// part of the rule) (default: accept)
    #[argh(option, default = "\"accept\".to_owned()")]
    libraries: String,
    /// what the host does with scripts: refuse, or measure (then this machine's interpreter is
    /// part of the rule) (default: refuse)
    #[argh(option, default = "\"refuse\".to_owned()")]
    scripts: String,
    /// the domain's directory
    #[argh(positional)]
    dir: PathBuf,
    /// the programs' files
    #[argh(positional)]
    programs: Vec<PathBuf>,
}

/// Trust a host by its name, as tao host show prints it.
#[derive(FromArgs)]
#[argh(subcommand, name = "add-host")]
struct AddHost {
    /// file with the policy key's password, - for standard input (default: ask)
    #[argh(option)]
    password_file: Option<PathBuf>,
    /// the domain's directory
    #[argh(positional)]
    dir: PathBuf,
    /// the host's name
    #[argh(positional)]
    host: String,
}

/// Changes the rules of a domain and signs them.
pub fn change(
    dir: &Path,
    password_file: Option<&Path>,
    change: impl FnOnce(&TaoDomain, &mut dyn Guard) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let domain = TaoDomain::load(dir)?;
    let mut guard = domain.guard()?;
    change(&domain, guard.as_mut())?;
    let password = password::read(password_file, "Password of the policy key")?;
    domain.save(guard.as_ref(), &domain.unlock(&password)?)?;
    Ok(())
}

fn measured(program: &Path) -> anyhow::Result<[u8; 32]> {
    let hash = || -> std::io::Result<_> {
        let mut file = BufReader::with_capacity(64 * 1024, File::open(program)?);
        let mut hash = Sha256::new();
        loop {
            let bytes = file.fill_buf()?;
            if bytes.is_empty() {
                return Ok(hash.finalize().into());
            }
            hash.update(bytes);
            let length = bytes.len();
            file.consume(length);
        }
    };
    hash().with_context(|| program.display().to_string())
}

fn init(command: &Init) -> anyhow::Result<()> {
    // As in the original's words, or in those of taoboot.toml and tao host start.
    let guard_kind = match command.guard.as_str() {
        "Datalog" | "datalog" => GuardKind::Datalog,
        "ACLs" | "acl" => GuardKind::Acl,
        other => bail!("--guard {other}: expected datalog or acl"),
    };
    let password = password::read(command.password_file.as_deref(), "New password")?;
    if command.password_file.is_none() {
        let again = password::read(None, "The same again")?;
        anyhow::ensure!(*password == *again, "the passwords differ");
    }
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let domain = TaoDomain::create(
        &command.dir,
        &NewDomain {
            name: &command.name,
            guard_kind,
            password: &password,
            original_keys: command.original_keys,
            today: i64::try_from(since.as_secs() / 86_400)?,
        },
    )?;
    println!("{}", domain.policy_key.name()?);
    Ok(())
}

fn show(command: &Show) -> anyhow::Result<()> {
    let domain = TaoDomain::load(&command.dir)?;
    let (key, guard) = (domain.policy_key.name()?.to_string(), domain.guard()?);
    if command.json {
        let shown = json!({
            "name": domain.name,
            "policy_key": key,
            "guard": guard.subprincipal().to_string(),
            "rules": guard.rules(),
        });
        println!("{shown}");
    } else {
        println!(
            "{}: policy key {key}, guard {}",
            domain.name,
            domain.guard_kind.name()
        );
        guard.rules().iter().for_each(|rule| println!("{rule}"));
    }
    Ok(())
}

/// Is it a file that a host would start? A signed rule for any other would only look like one.
fn startable(program: &Path, scripts: &str) -> anyhow::Result<()> {
    let mut start = Vec::new();
    let file = std::fs::File::open(program).with_context(|| program.display().to_string())?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, 4), &mut start)
        .with_context(|| program.display().to_string())?;
    let program = program.display();
    if start.starts_with(b"#!") {
        anyhow::ensure!(
            scripts == "measure",
            "{program} is a script, and a host with --scripts {scripts} starts none: use --scripts measure here and for the host"
        );
    } else if start != b"\x7fELF" {
        bail!("{program} is neither an ELF program nor a script (#!): no host would start it");
    }
    Ok(())
}

/// What the host will call the program. Without libraries and interpreter any file will do:
/// it may be for another machine.
fn name(program: &Path, command: &AddProgram) -> anyhow::Result<SubPrin> {
    if command.libraries == "accept" && command.scripts == "refuse" {
        return Ok(SubPrin::program(&measured(program)?)?);
    }
    let words = PolicyWords {
        libraries: Some(command.libraries.clone()),
        scripts: Some(command.scripts.clone()),
        // Whatever the hosts measure: here it is the administrator's own program.
        largest: Some("1G".to_owned()),
        ..PolicyWords::default()
    };
    let program = std::path::absolute(program).with_context(|| program.display().to_string())?;
    Ok(measured_name(&program, &words.policy()?)?)
}

fn add_programs(command: &AddProgram) -> anyhow::Result<()> {
    anyhow::ensure!(!command.programs.is_empty(), "no program is named");
    let host = match &command.host {
        Some(host) => Some(host.parse::<Prin>().with_context(|| host.clone())?),
        None => None,
    };
    let mut programs = Vec::new();
    for program in &command.programs {
        startable(program, &command.scripts)?;
        programs.push(name(program, command)?);
    }
    change(
        &command.dir,
        command.password_file.as_deref(),
        |domain, guard| {
            for program in &programs {
                match (domain.guard_kind, &host) {
                    (GuardKind::Datalog, Some(_)) => bail!(
                        "--host does nothing in a domain with rules: they trust a program on every trusted host (tao domain add-host)"
                    ),
                    (GuardKind::Datalog, None) => {
                        guard.add_rule(&format!("TrustedProgramHash(ext{program})"))?;
                    }
                    (GuardKind::Acl, Some(host)) => {
                        let rule = authorized(&host.extended(program), "Execute", &[]);
                        guard.add_rule(&rule.to_string())?;
                    }
                    (GuardKind::Acl, None) => bail!("a list needs --host: it has no rules"),
                }
            }
            Ok(())
        },
    )?;
    for (program, file) in programs.iter().zip(&command.programs) {
        println!("{program}  {}", file.display());
    }
    let domain = TaoDomain::load(&command.dir)?;
    let trusts = ["TrustedHost(", "TrustedOS("];
    let is_host = |rule: &String| trusts.iter().any(|fact| rule.starts_with(fact));
    if domain.guard_kind == GuardKind::Datalog && !domain.guard()?.rules().iter().any(is_host) {
        eprintln!(
            "tao: the domain trusts no host yet, so its programs run nowhere: tao domain add-host {} NAME, with the name that tao host show prints",
            command.dir.display()
        );
    }
    Ok(())
}

fn add_host(command: &AddHost) -> anyhow::Result<()> {
    let host: Prin = command.host.parse().context(command.host.clone())?;
    let password_file = command.password_file.as_deref();
    change(&command.dir, password_file, |domain, guard| {
        let rule = match domain.guard_kind {
            GuardKind::Datalog => format!("TrustedHost({host})"),
            GuardKind::Acl => authorized(&host, "Host", &[]).to_string(),
        };
        Ok(guard.add_rule(&rule)?)
    })
}

pub fn domain(command: &Domain) -> anyhow::Result<ExitCode> {
    match &command.command {
        DomainCommand::Init(command) => init(command)?,
        DomainCommand::Show(command) => show(command)?,
        DomainCommand::AddProgram(command) => add_programs(command)?,
        DomainCommand::AddHost(command) => add_host(command)?,
    }
    Ok(ExitCode::SUCCESS)
}
