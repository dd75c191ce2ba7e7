//! `tao-report [BLOB]`: a hosted program that tries what its host offers and prints one
//! line of JSON. With BLOB (hex), also tries to unseal that.

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

#[macro_use]
extern crate printable;

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};
use tao::{
    attestation::{now, verify},
    client::{Parent, SealPolicy},
    logic::{Form, Pred, Term},
};

const SECRET: &[u8] = b"a secret of tao-report";

fn seal_round_trip(host: &Parent, policy: SealPolicy) -> anyhow::Result<Value> {
    let sealed = host.seal(SECRET, policy)?;
    let (data, found) = host.unseal(&sealed)?;
    Ok(json!({"ok": data.as_slice() == SECRET && found == policy, "sealed": hex::encode(sealed)}))
}

fn unseal(host: &Parent, blob: &str) -> anyhow::Result<Value> {
    let sealed = hex::decode(blob).context("the blob is not hex")?;
    Ok(match host.unseal(&sealed) {
        Ok((data, policy)) => {
            json!({"ok": true, "policy": policy.as_str(), "ours": data.as_slice() == SECRET})
        }
        Err(error) => json!({"ok": false, "error": error.to_string()}),
    })
}

fn attest(host: &Parent) -> anyhow::Result<Value> {
    let args = vec![Term::Str("ready".into())];
    let form = Form::Pred(Pred {
        name: "Report".parse()?,
        args,
    });
    let attestation = host.attest(None, None, None, &form)?;
    let verdict = match verify(&attestation, now()?) {
        Ok(verified) => json!({
            "verified": true,
            "speaker": verified.speaker.to_string(),
            "root": verified.root.to_string(),
            "chain": verified.length,
        }),
        Err(error) => json!({"verified": false, "reason": error.to_string()}),
    };
    Ok(json!({"hex": hex::encode(attestation), "verdict": verdict}))
}

fn report() -> anyhow::Result<Value> {
    let host = Parent::from_env()?;
    let mut report = json!({
        "name": host.tao_name()?.to_string(),
        "random_bytes": host.random_bytes(32)?.len(),
        "seal": {
            "self": seal_round_trip(host, SealPolicy::Own)?,
            "few": seal_round_trip(host, SealPolicy::Few)?,
            "any": seal_round_trip(host, SealPolicy::Any)?,
        },
        "attestation": attest(host)?,
    });
    if let (Some(blob), Some(report)) = (std::env::args().nth(1), report.as_object_mut()) {
        report.insert("unseal".to_owned(), unseal(host, &blob)?);
    }
    Ok(report)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if commands::arguments::say_version("tao-report", &arguments) {
        return ExitCode::SUCCESS;
    }
    match report() {
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
