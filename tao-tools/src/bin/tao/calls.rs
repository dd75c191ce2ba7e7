//! `tao seal`, `tao unseal`, `tao attest`, `tao random`: the Tao's calls for a shell script that
//! runs as a hosted program, or for a program's child.

use std::{
    io::{IsTerminal as _, Read as _, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, ensure};
use argh::FromArgs;
use tao::{
    client::{Parent, SealPolicy},
    logic::Form,
    wire::MAX_FRAME,
};
use zeroize::Zeroizing;

/// Most bytes of one input: what fits a frame, with room for what sealing and the message add.
const MOST: usize = MAX_FRAME - 4096;

/// Most random bytes of one call; more are asked for piece by piece.
const PIECE: usize = 64 * 1024;

/// Seal standard input so that only this program (or by --policy another) gets it back; the
/// sealed bytes go to standard output. For programs that run under a host.
#[derive(FromArgs)]
#[argh(subcommand, name = "seal")]
pub struct Seal {
    /// who may unseal: self (this program on this host), few (the same for now), any (any
    /// program of this host) (default: self)
    #[argh(option, default = "\"self\".to_owned()")]
    policy: String,
    /// seal under this counter: the next seal with the same counter makes this one worthless
    #[argh(option)]
    counter: Option<String>,
}

/// Unseal standard input; the data go to standard output. For programs that run under a host.
#[derive(FromArgs)]
#[argh(subcommand, name = "unseal")]
pub struct Unseal {
    /// the data were sealed with tao seal --counter
    #[argh(switch)]
    counter: bool,
}

/// Print an attestation, in hex, that this program says a statement such as 'Ready("yes")'. For
/// programs that run under a host.
#[derive(FromArgs)]
#[argh(subcommand, name = "attest")]
pub struct Attest {
    /// print the bytes themselves instead of hex
    #[argh(switch)]
    binary: bool,
    /// the statement: a formula of the auth logic
    #[argh(positional)]
    statement: String,
}

/// Print random bytes of the host, in hex. For programs that run under a host.
#[derive(FromArgs)]
#[argh(subcommand, name = "random")]
pub struct Random {
    /// print the bytes themselves instead of hex
    #[argh(switch)]
    binary: bool,
    /// how many bytes
    #[argh(positional)]
    length: usize,
}

/// Standard input, as a secret.
fn input() -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let stdin = std::io::stdin();
    ensure!(
        !stdin.is_terminal(),
        "standard input is a terminal: give the data by a pipe or a file, as in `tao seal <FILE`"
    );
    let mut data = Zeroizing::new(Vec::new());
    let limit = u64::try_from(MOST)?.saturating_add(1);
    let read = stdin.take(limit).read_to_end(&mut data);
    read.context("standard input")?;
    ensure!(
        data.len() <= MOST,
        "standard input has more than {MOST} bytes, the most that one call takes; seal a key and encrypt the rest with it"
    );
    Ok(data)
}

fn print(bytes: &[u8]) -> anyhow::Result<ExitCode> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .context("standard output")?;
    Ok(ExitCode::SUCCESS)
}

fn print_hex(bytes: &[u8]) -> anyhow::Result<ExitCode> {
    print(format!("{}\n", hex::encode(bytes)).as_bytes())
}

pub fn seal(command: &Seal) -> anyhow::Result<ExitCode> {
    let policy = SealPolicy::from_name(&command.policy)
        .with_context(|| format!("--policy {}: expected self, few or any", command.policy))?;
    let (host, data) = (Parent::from_env()?, input()?);
    print(&match &command.counter {
        Some(label) => host.rollback_protected_seal(label, &data, policy)?,
        None => host.seal(&data, policy)?,
    })
}

pub fn unseal(command: &Unseal) -> anyhow::Result<ExitCode> {
    let (host, sealed) = (Parent::from_env()?, input()?);
    let (data, _) = if command.counter {
        host.rollback_protected_unseal(&sealed)?
    } else {
        host.unseal(&sealed)?
    };
    print(&data)
}

pub fn attest(command: &Attest) -> anyhow::Result<ExitCode> {
    let statement: Form = command.statement.parse().with_context(|| {
        format!(
            "{}: not a statement of the auth logic, such as 'Ready(\"yes\")'",
            command.statement
        )
    })?;
    let attestation = Parent::from_env()?.attest(None, None, None, &statement)?;
    if command.binary {
        print(&attestation)
    } else {
        print_hex(&attestation)
    }
}

pub fn random(command: &Random) -> anyhow::Result<ExitCode> {
    ensure!(command.length > 0, "0 bytes: ask for 1 at least");
    let host = Parent::from_env()?;
    let mut left = command.length;
    while left > 0 {
        let length = left.min(PIECE);
        let bytes = host.random_bytes(length)?;
        if command.binary {
            print(&bytes)?;
        } else {
            print(hex::encode(&*bytes).as_bytes())?;
        }
        left = left.saturating_sub(length);
    }
    if command.binary {
        Ok(ExitCode::SUCCESS)
    } else {
        print(b"\n")
    }
}
