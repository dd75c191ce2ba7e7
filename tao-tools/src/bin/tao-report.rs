//! `tao-report [BLOB]`: a hosted program that tries what its host offers and prints one
//! line of JSON. With BLOB (hex), also tries to unseal that.

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

#[macro_use]
extern crate printable;

use std::process::ExitCode;

use anyhow::Context as _;
use tao::{
    attestation::{now, verify},
    client::{Parent, SealPolicy},
    logic::{Form, Pred, Term},
};
use tao_tools::report::{Attested, Report, Sealed, Seals, Unsealed, Verified};

const SECRET: &[u8] = b"a secret of tao-report";

fn seal_round_trip(host: &Parent, policy: SealPolicy) -> anyhow::Result<Sealed> {
    let sealed = host.seal(SECRET, policy)?;
    let (data, found) = host.unseal(&sealed)?;
    Ok(Sealed {
        ok: data.as_slice() == SECRET && found == policy,
        sealed: hex::encode(sealed),
    })
}

fn unseal(host: &Parent, blob: &str) -> anyhow::Result<Unsealed> {
    let sealed = hex::decode(blob).context("the blob is not hex")?;
    Ok(match host.unseal(&sealed) {
        Ok((data, policy)) => Unsealed {
            ok: true,
            policy: Some(policy.as_str().to_owned()),
            ours: Some(data.as_slice() == SECRET),
            error: None,
        },
        Err(error) => Unsealed {
            ok: false,
            policy: None,
            ours: None,
            error: Some(error.to_string()),
        },
    })
}

fn attest(host: &Parent) -> anyhow::Result<Attested> {
    let args = vec![Term::Str("ready".into())];
    let form = Form::Pred(Pred {
        name: "Report".parse()?,
        args,
    });
    let attestation = host.attest(None, None, None, &form)?;
    let verdict = match verify(&attestation, now()?) {
        Ok(verified) => Verified {
            verified: true,
            speaker: Some(verified.speaker.to_string()),
            root: Some(verified.root.to_string()),
            chain: Some(verified.length),
            reason: None,
        },
        Err(error) => Verified {
            verified: false,
            speaker: None,
            root: None,
            chain: None,
            reason: Some(error.to_string()),
        },
    };
    Ok(Attested {
        hex: hex::encode(attestation),
        verdict,
    })
}

fn report() -> anyhow::Result<Report> {
    let host = Parent::from_env()?;
    let blob = std::env::args().nth(1);
    Ok(Report {
        name: host.tao_name()?.to_string(),
        random_bytes: host.random_bytes(32)?.len(),
        seal: Seals {
            own: seal_round_trip(host, SealPolicy::Own)?,
            few: seal_round_trip(host, SealPolicy::Few)?,
            any: seal_round_trip(host, SealPolicy::Any)?,
        },
        attestation: attest(host)?,
        unseal: blob.map(|blob| unseal(host, &blob)).transpose()?,
    })
}

fn printed() -> anyhow::Result<String> {
    serde_json::to_string(&report()?).context("the report cannot be written as JSON")
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if commands::arguments::say_version("tao-report", &arguments) {
        return ExitCode::SUCCESS;
    }
    match printed() {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tao-report: {}", printable::line(format_args!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}
