//! A server that proves what it is, and a client that does not talk to anything else.
//!
//! ```text
//! tao run --detach attested-hello serve 127.0.0.1:7000
//! attested-hello ask 127.0.0.1:7000 NAME [PROGRAM]
//! ```
//!
//! The client sends 32 random bytes. The server answers with an attestation that says
//! `Hello([those bytes], "its greeting")`, so no old answer will do. The client verifies the
//! chain up to the root (a TPM's quote over PCR 17 to 19 on a measured machine), and that
//! the speaker is NAME, the host that `tao host show` prints, extended by PROGRAM if given.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use tao::{
    attestation::{now, verify},
    client::Parent,
    keys::random,
    logic::{Form, Pred, Prin, SubPrin, Term},
};

/// Longest answer that the client reads.
const LARGEST: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer is good for: the clocks of two machines may differ.
const VALID: i64 = 300 * 1_000_000_000;

/// Answers one client.
fn greet(host: &Parent, mut stream: TcpStream) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut challenge = [0; 32];
    stream.read_exact(&mut challenge)?;
    let greeting = format!("hello from {}", host.tao_name()?);
    let hello = Form::Pred(Pred {
        name: "Hello".parse()?,
        args: vec![
            Term::Bytes(challenge.to_vec().into()),
            Term::Str(greeting.as_str().into()),
        ],
    });
    let now = now()?;
    let attestation = host.attest(None, Some(now - VALID), Some(now + VALID), &hello)?;
    stream.write_all(&attestation)?;
    Ok(())
}

fn serve(address: &str) -> anyhow::Result<()> {
    let host = Parent::from_env()?;
    let listener = TcpListener::bind(address).with_context(|| address.to_owned())?;
    println!("{} listens at {}", host.tao_name()?, listener.local_addr()?);
    for stream in listener.incoming() {
        if let Err(error) = stream
            .map_err(Into::into)
            .and_then(|stream| greet(host, stream))
        {
            println!("a client: {error:#}");
        }
    }
    Ok(())
}

/// Connects, for as long as a server that was just started may need.
fn connect(address: &str) -> std::io::Result<TcpStream> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(address) {
            Err(error)
                if error.kind() == ErrorKind::ConnectionRefused && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(50));
            }
            other => return other,
        }
    }
}

fn ask(address: &str, host: &Prin, program: Option<&SubPrin>) -> anyhow::Result<()> {
    let mut challenge = [0; 32];
    random(&mut challenge)?;
    let mut stream = connect(address).with_context(|| address.to_owned())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&challenge)?;
    let mut answer = Vec::new();
    stream.take(LARGEST).read_to_end(&mut answer)?;
    let verified = verify(&answer, now()?).context("the server's answer")?;
    ensure!(
        verified.speaker.is_within(host),
        "expected an answer from a program of {host}, found one from {}",
        verified.speaker
    );
    if let Some(program) = program {
        let expected = host.extended(program);
        ensure!(
            verified.speaker == expected,
            "expected an answer from {expected}, found one from {}",
            verified.speaker
        );
    }
    let Form::Pred(hello) = &*verified.statement.message else {
        bail!("expected a greeting, found {}", verified.statement.message);
    };
    match hello.args.as_slice() {
        [Term::Bytes(found), Term::Str(greeting)]
            if hello.name == *"Hello" && **found == challenge =>
        {
            println!("{}", String::from_utf8_lossy(greeting.as_bytes()));
            println!(
                "proved by {} attestations, resting on {}",
                verified.length, verified.root
            );
            Ok(())
        }
        _ => bail!(
            "expected an answer to this question, found {}",
            verified.statement.message
        ),
    }
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", address] => serve(address),
        ["ask", address, name] => ask(address, &name.parse()?, None),
        ["ask", address, name, program] => ask(address, &name.parse()?, Some(&program.parse()?)),
        _ => bail!(
            "usage: attested-hello serve ADDRESS, as a hosted program, or attested-hello ask ADDRESS NAME [PROGRAM]"
        ),
    }
}
