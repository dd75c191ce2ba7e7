//! From the order to start a program to its first answer from the host, beside a plain fork,
//! exec and the same conversation over two pipes.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    os::{fd::AsFd as _, unix::fs::OpenOptionsExt as _},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context as _;
use sha2::{Digest, Sha256};
use tao::limits::Limits;
use tao::{
    admin::{Admin, Start},
    wire::{
        Inbox,
        messages::{RequestHeader, TaoResponse},
        proto2, rpc,
    },
};

use crate::{
    clock::{in_turns, turn},
    pipes::pipe,
    rows::Rows,
};

/// Length of the program.
const LENGTH: usize = 1 << 20;
/// Starts in one turn.
const STARTS: u32 = 10;
const LIMIT: f64 = 3.0;

/// Measures the program, filled up to 1 MiB.
pub fn measure(socket: &Path, program: &Path, rows: &mut Rows) -> anyhow::Result<()> {
    let mut bytes = fs::read(program).with_context(|| program.display().to_string())?;
    anyhow::ensure!(
        bytes.len() <= LENGTH,
        "{}: larger than 1 MiB",
        program.display()
    );
    bytes.resize(LENGTH, 0);
    let directory = socket.parent().context("the socket's directory")?;
    let padded = directory.join("program");
    OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o755)
        .open(&padded)?
        .write_all(&bytes)?;
    let mut admin = Admin::connect(socket)?;
    let first = in_turns(
        || {
            several(|| {
                // Changed just now: the host cannot know it yet.
                File::open(&padded)?.set_modified(SystemTime::now())?;
                hosted(&mut admin, &padded)
            })
        },
        || several(|| plain(&padded)),
    )?;
    // The host keeps the measured copy of a file that has settled.
    std::thread::sleep(Duration::from_secs(4));
    hosted(&mut admin, &padded)?;
    let again = in_turns(
        || several(|| hosted(&mut admin, &padded)),
        || several(|| plain(&padded)),
    )?;
    fs::remove_file(&padded)?;
    let hashing = turn(|| Ok(Sha256::digest(&bytes)))?;
    for (when, pair) in [("for the first time", first), ("again", again)] {
        let note = format!(
            "{:.2} ms / {:.2} ms; SHA-256 of it {:.2} ms",
            pair.ours / 1e3,
            pair.floor / 1e3,
            hashing / 1e3
        );
        let name = format!("first answer of 1 MiB started {when} / fork+exec+pipe");
        rows.target(name, pair.ratio, "", LIMIT, &note);
    }
    Ok(())
}

/// Microseconds of one.
fn several(mut start: impl FnMut() -> anyhow::Result<f64>) -> anyhow::Result<f64> {
    let mut total = 0.0;
    for _ in 0..STARTS {
        total += start()?;
    }
    Ok(total * 1e6 / f64::from(STARTS))
}

/// By the host: the program has its answer when it prints. Seconds; its end is not measured.
fn hosted(admin: &mut Admin, program: &Path) -> anyhow::Result<f64> {
    let started = Instant::now();
    let (mut output, stdout) = std::io::pipe()?;
    let null = File::open("/dev/null")?;
    let program = admin.start(&Start {
        path: program.to_str().context("the program's path")?,
        args: &["name".to_owned()],
        dir: "/",
        environment: &[],
        socket: false,
        limits: Limits::default(),
        stdio: Some([null.as_fd(), stdout.as_fd(), std::io::stderr().as_fd()]),
    })?;
    drop(stdout);
    output.read_exact(&mut [0])?;
    let elapsed = started.elapsed().as_secs_f64();
    admin.begin_wait(&program)?;
    anyhow::ensure!(admin.finish_wait()? == 0, "the hosted program failed");
    Ok(elapsed)
}

/// By fork and exec; this process answers.
fn plain(program: &Path) -> anyhow::Result<f64> {
    let started = Instant::now();
    let (mut requests, their_requests) = pipe()?;
    let (their_answers, mut answers) = pipe()?;
    let (mut output, stdout) = std::io::pipe()?;
    // Standard input and error are the channel.
    let spec = "tao::RPC+tao::FDMessageChannel(0, 2)";
    let mut child = Command::new(program)
        .arg("name")
        .env(tao::client::CHANNEL_TYPE_VARIABLE, "pipe")
        .env(tao::client::SPEC_VARIABLE, spec)
        .stdin(Stdio::from(their_answers))
        .stderr(Stdio::from(their_requests))
        .stdout(Stdio::from(stdout))
        .spawn()?;
    let mut inbox = Inbox::default();
    let header: RequestHeader = loop {
        if let Some(message) = inbox.next_message()? {
            break proto2::read(inbox.parts(&message).0)?;
        }
        let count = requests.read(inbox.space())?;
        anyhow::ensure!(count > 0, "the program asks nothing");
        inbox.filled(count);
    };
    let (mut answer, data) = (Vec::new(), Some(vec![7; 100]));
    let response = TaoResponse {
        data,
        ..TaoResponse::default()
    };
    rpc::write_response(&mut answer, header, &response);
    answers.write_all(&answer)?;
    output.read_exact(&mut [0])?;
    let elapsed = started.elapsed().as_secs_f64();
    anyhow::ensure!(child.wait()?.success(), "the program failed");
    Ok(elapsed)
}
