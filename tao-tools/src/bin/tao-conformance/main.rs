//! `tao-conformance SOCKET`: black-box tests of the Tao host that listens there, whichever
//! it is. A line for each property: `ok` or `FAIL`, the property in a sentence, and what was
//! found. Exit status 0 if all hold.
//!
//! It starts itself as hosted programs of that host, with other arguments.

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

#[macro_use]
extern crate printable;

mod apart;
mod asked;
mod channel;
mod driver;
mod inside;
mod policy;
mod report;
mod storage;

use std::{io::Write as _, path::Path, process::ExitCode};

use anyhow::Context as _;
use tao::client::{Parent, SealPolicy};

use report::Report;

const DATA: &[u8] = b"conformance";

fn seal_policy(name: &str) -> anyhow::Result<SealPolicy> {
    SealPolicy::from_name(name).with_context(|| format!("no such policy: {name}"))
}

/// What a hosted part prints.
fn hosted(words: &[&str]) -> anyhow::Result<String> {
    Ok(match words {
        ["name"] => Parent::from_env()?.tao_name()?.to_string(),
        ["seal", name] => hex::encode(Parent::from_env()?.seal(DATA, seal_policy(name)?)?),
        ["unseal", blob] => {
            let (data, _) = Parent::from_env()?.unseal(&hex::decode(blob)?)?;
            String::from_utf8_lossy(&data).into_owned()
        }
        ["secret", name] => hex::encode(Parent::from_env()?.shared_secret(32, seal_policy(name)?)?),
        ["extend"] => {
            let host = Parent::from_env()?;
            host.extend_tao_name(&".Extended()".parse()?)?;
            host.tao_name()?.to_string()
        }
        ["channel", case] => {
            channel::play(case).map_err(anyhow::Error::msg)?;
            String::new()
        }
        ["descriptors"] => {
            let mut numbers = apart::numbers_in("/proc/self/fd")?;
            // The directory's own descriptor is not open any more.
            let is_open =
                |number: &u32| std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok();
            numbers.retain(is_open);
            let text: Vec<String> = numbers.iter().map(u32::to_string).collect();
            text.join(" ")
        }
        ["fact", question @ ..] => apart::fact(question)?,
        ["wait", more @ ..] => {
            match more {
                ["channel"] => println!("{}", policy::channel()?),
                _ => println!("ready"),
            }
            std::io::stdout().flush()?;
            loop {
                std::thread::sleep(std::time::Duration::from_secs(60));
            }
        }
        _ => anyhow::bail!("usage: tao-conformance SOCKET (a host's admin.sock)"),
    })
}

fn run(words: &[&str]) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    match words {
        ["inside"] => {
            inside::run(&mut report)?;
            return Ok(ExitCode::SUCCESS);
        }
        ["exit", code] => return Ok(ExitCode::from(code.parse::<u8>()?)),
        [socket] if socket.contains('/') => driver::run(Path::new(socket), &mut report)?,
        words => {
            println!("{}", hosted(words)?);
            return Ok(ExitCode::SUCCESS);
        }
    }
    let (held, failed) = report.counts();
    println!("{held} properties hold, {failed} do not");
    Ok(ExitCode::from(u8::from(failed > 0)))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if commands::arguments::say_version("tao-conformance", &arguments) {
        return ExitCode::SUCCESS;
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run(&words).unwrap_or_else(|error| {
        // The driver reads standard output only.
        println!("{error:#}");
        ExitCode::FAILURE
    })
}
