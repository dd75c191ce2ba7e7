//! What calls of a hosted program cost, as ratios measured in one run on one machine: against
//! a bare echo of the same frames between two processes over the same kind of pipes.
//!
//! `cargo run --release --example tao-bench -- SOCKET` (a host's admin.sock): one line of JSON.

use std::{
    io::{PipeReader, PipeWriter, Read as _, Write as _},
    os::fd::AsFd,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde_json::{Value, json};
use tao::{
    admin::{Admin, Start},
    attestation::verify,
    client::{Parent, SealPolicy},
    guard::{DatalogGuard, Guard as _},
    host::limits::Limits,
    keys::{Crypter, Secret, SignatureFormat, Signer},
    logic::{Form, Pred},
};

const WINDOW: Duration = Duration::from_millis(400);

/// Microseconds of one call: the best of three windows.
fn cost<T>(mut call: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<f64> {
    let mut best = f64::MAX;
    for _ in 0..3 {
        let started = Instant::now();
        let mut calls = 0_u32;
        while started.elapsed() < WINDOW {
            for _ in 0..8 {
                std::hint::black_box(call()?);
            }
            calls += 8;
        }
        best = best.min(started.elapsed().as_secs_f64() * 1e6 / f64::from(calls));
    }
    Ok(best)
}

/// The other end of the echo: requests of `ask` bytes, answers of `answer` bytes.
fn echo(ask: usize, answer: usize) -> anyhow::Result<()> {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let (mut request, answer) = (vec![0; ask], vec![7; answer]);
    while input.read_exact(&mut request).is_ok() {
        output.write_all(&answer)?;
        output.flush()?;
    }
    Ok(())
}

/// Microseconds of one echo.
fn bare(ask: usize, answer: usize) -> anyhow::Result<f64> {
    let (theirs, mut to): (PipeReader, PipeWriter) = std::io::pipe()?;
    let (mut from, writer) = std::io::pipe()?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["echo", &ask.to_string(), &answer.to_string()])
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::from(writer))
        .spawn()?;
    let (request, mut back) = (vec![1; ask], vec![0; answer]);
    let measured = cost(|| {
        to.write_all(&request)?;
        Ok(from.read_exact(&mut back)?)
    });
    drop(to);
    child.wait()?;
    measured
}

fn statement() -> anyhow::Result<Form> {
    let name = "Ready".parse()?;
    Ok(Form::Pred(Pred {
        name,
        args: Vec::new(),
    }))
}

/// What a hosted program measures.
fn inside() -> anyhow::Result<Value> {
    let host = Parent::from_env()?;
    let form = statement()?;
    let (small, large) = (vec![7; 32], vec![7; 65_536]);
    let sealed_small = host.seal(&small, SealPolicy::Own)?;
    let sealed_large = host.seal(&large, SealPolicy::Own)?;
    let attest = || host.attest_as(SignatureFormat::Original, None, None, None, &form);
    let rollback = |label: &str| host.rollback_protected_seal(label, b"x", SealPolicy::Own);
    let alone = cost(|| Ok(rollback("alone")?))?;
    let started = Instant::now();
    let mut together = 0_u32;
    while started.elapsed() < 3 * WINDOW {
        std::thread::scope(|scope| {
            for caller in 0..64 {
                scope.spawn(move || rollback(&format!("caller {caller}")).map(drop));
            }
        });
        together += 64;
    }
    let together = started.elapsed().as_secs_f64() * 1e6 / f64::from(together);
    Ok(json!({
        "name": cost(|| Ok(host.tao_name()?))?,
        "random": cost(|| Ok(host.random_bytes(32)?))?,
        "seal": cost(|| Ok(host.seal(&small, SealPolicy::Own)?))?,
        "unseal": cost(|| Ok(host.unseal(&sealed_small)?))?,
        "seal_64k": cost(|| Ok(host.seal(&large, SealPolicy::Own)?))?,
        "unseal_64k": cost(|| Ok(host.unseal(&sealed_large)?))?,
        "attest": cost(|| Ok(attest()?))?,
        "attestation": hex::encode(attest()?),
        "rollback_alone": alone,
        "rollback_64_callers": together,
    }))
}

fn guard_with(facts: u32) -> anyhow::Result<(f64, f64, f64)> {
    let mut source = DatalogGuard::new();
    source.add_rule("forall P: forall H: forall E: Host(H) and Hash(E) and Subprin(P, H, E) implies Authorized(P, \"Execute\")")?;
    source.add_rule("Host(key([aa]))")?;
    for number in 0..facts {
        source.add_rule(&format!(
            "Hash(ext.Program([{}]))",
            hex::encode(number.to_be_bytes())
        ))?;
    }
    let file = source.serialized().unwrap_or_default();
    let started = Instant::now();
    let guard = DatalogGuard::from_serialized(&file)?;
    let loaded = started.elapsed().as_secs_f64();
    let mut times = Vec::new();
    for number in 0..2000 {
        let hash = hex::encode((number % facts).to_be_bytes());
        let query = format!("Authorized(key([aa]).Program([{hash}]), \"Execute\")").parse()?;
        let started = Instant::now();
        anyhow::ensure!(guard.query(&query)?, "{query} does not hold");
        times.push(started.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    let at = |place: usize| times.get(place).copied().unwrap_or_default();
    Ok((loaded, at(1000), at(1980)))
}

fn driver(socket: &Path) -> anyhow::Result<Value> {
    let program = std::env::current_exe()?;
    let (mut reader, writer) = std::io::pipe()?;
    let null = std::fs::File::open("/dev/null")?;
    Admin::connect(socket)?.start(&Start {
        path: program.to_str().context("this program's path")?,
        args: &["inside".to_owned()],
        dir: "/",
        environment: &[],
        socket: false,
        limits: Limits::default(),
        stdio: Some([null.as_fd(), writer.as_fd(), std::io::stderr().as_fd()]),
    })?;
    drop(writer);
    let mut output = String::new();
    reader.read_to_string(&mut output)?;
    let hosted: Value = serde_json::from_str(&output).with_context(|| output.clone())?;
    let us = |name: &str| hosted.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
    // Sizes of the frames of each call, headers included.
    let (echo, echo_64k) = (bare(60, 120)?, bare(65_600, 65_700)?);
    let signer = Signer::new(Secret::new([1; 32]))?;
    let crypter = Crypter::new(&Secret::new([1; 32]));
    let (data, large) = (statement()?.encode(), vec![7; 65_536]);
    let sign = cost(|| Ok(signer.sign("context", &data)?))?;
    let signed = signer.sign("context", &data)?;
    let check = cost(|| Ok(signer.verifier().verify("context", &data, &signed)?))?;
    let aead = cost(|| Ok(crypter.seal_with(large.len(), |out| out.extend_from_slice(&large))?))?;
    let attestation = hosted
        .get("attestation")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let attestation = hex::decode(attestation)?;
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed()?.as_nanos())?;
    let verified = verify(&attestation, now)?;
    let verify_cost = cost(|| Ok(verify(&attestation, now)?))?;
    let signatures = f64::from(u32::try_from(verified.length)?);
    let ((_, one, _), (loaded, p50, p99)) = (guard_with(1)?, guard_with(100_000)?);
    Ok(json!({
        "microseconds": hosted.as_object().map(|all| {
            all.iter().filter(|(name, _)| *name != "attestation").collect::<std::collections::BTreeMap<_, _>>()
        }),
        "echo_us": echo,
        "echo_64k_us": echo_64k,
        "sign_us": sign,
        "aead_64k_us": aead,
        "ratios": {
            "name": us("name") / echo,
            "random": us("random") / echo,
            "seal": us("seal") / echo,
            "unseal": us("unseal") / echo,
            "seal_64k": us("seal_64k") / (echo_64k + aead),
            "unseal_64k": us("unseal_64k") / (echo_64k + aead),
            "attest": us("attest") / (echo + sign),
            "rollback_64_callers_speedup": us("rollback_alone") / us("rollback_64_callers"),
            "verify_per_signature": verify_cost / (signatures * check),
            "guard_p99_to_one_fact_p50": p99 / one,
        },
        "guard_100k": {"load_seconds": loaded, "p50_us": p50, "p99_us": p99},
    }))
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let measured = match words.as_slice() {
        ["echo", ask, answer] => return echo(ask.parse()?, answer.parse()?),
        ["inside"] => inside()?,
        [socket] => driver(Path::new(socket))?,
        _ => anyhow::bail!("usage: tao-bench SOCKET"),
    };
    println!("{measured}");
    Ok(())
}
