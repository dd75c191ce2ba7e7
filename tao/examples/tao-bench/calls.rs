//! Calls of a hosted program, each beside a bare echo of the same frames.

use std::{
    cell::RefCell,
    fs::{self, File},
    io::{BufRead as _, BufReader, PipeReader, PipeWriter, Write as _},
    os::fd::AsFd,
    path::Path,
};

use anyhow::Context as _;
use tao::limits::Limits;
use tao::{
    admin::{Admin, Start},
    keys::{Crypter, Secret, Signer},
};

use crate::{
    clock::{Pair, in_turns, turn},
    echo::Echo,
    hosted::{CALLERS, statement},
    rows::Rows,
};

/// A hosted program that makes calls when it is told to.
pub struct Hosted {
    orders: PipeWriter,
    answers: BufReader<PipeReader>,
}

impl Hosted {
    pub fn start(socket: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        let (stdin, orders) = std::io::pipe()?;
        let (answers, stdout) = std::io::pipe()?;
        Admin::connect(socket)?.start(&Start {
            path: program.to_str().context("this program's path")?,
            args: &["hosted".to_owned()],
            dir: "/",
            environment: &[],
            socket: false,
            limits: Limits::default(),
            stdio: Some([stdin.as_fd(), stdout.as_fd(), std::io::stderr().as_fd()]),
        })?;
        Ok(Self {
            orders,
            answers: BufReader::new(answers),
        })
    }

    fn ask(&mut self, line: &str) -> anyhow::Result<String> {
        self.orders.write_all(format!("{line}\n").as_bytes())?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        anyhow::ensure!(!answer.is_empty(), "the hosted program ended at {line:?}");
        Ok(answer.trim_end().to_owned())
    }

    /// What the program says of one turn of calls.
    pub fn turn(&mut self, call: &str) -> anyhow::Result<f64> {
        Ok(self.ask(call)?.parse()?)
    }

    /// An echo of the call's frames.
    fn echo(&mut self, call: &str) -> anyhow::Result<Echo> {
        let lengths = self.ask(&format!("lengths {call}"))?;
        let (ask, answer) = lengths.split_once(' ').context(lengths.clone())?;
        Echo::start((ask.parse()?, answer.parse()?))
    }

    /// A call beside an echo and `more` work, done once an echo.
    fn beside_echo<T>(
        &mut self,
        call: &str,
        mut more: impl FnMut() -> anyhow::Result<T>,
    ) -> anyhow::Result<Pair> {
        let mut echo = self.echo(call)?;
        in_turns(
            || self.turn(call),
            || {
                // Both in one turn: what an answer with that work in it costs at least.
                turn(|| {
                    echo.call()?;
                    more()
                })
            },
        )
    }
}

/// Measures all calls.
pub fn measure(socket: &Path, state: &Path, rows: &mut Rows) -> anyhow::Result<()> {
    let mut hosted = Hosted::start(socket)?;
    for (call, name) in [
        ("name", "GetTaoName"),
        ("random", "GetRandomBytes(32)"),
        ("seal", "Seal of 32 bytes"),
        ("unseal", "Unseal of 32 bytes"),
    ] {
        let pair = hosted.beside_echo(call, || Ok(()))?;
        put(rows, name, "echo", &pair, 2.0);
    }
    let crypter = Crypter::new(&Secret::new([1; 32]));
    let large = vec![7; 65_536];
    let seal = || Ok(crypter.seal_with(large.len(), |out| out.extend_from_slice(&large))?);
    let sealed = seal()?;
    let pair = hosted.beside_echo("seal 64k", seal)?;
    put(rows, "Seal of 64 KiB", "AEAD + echo", &pair, 2.0);
    let pair = hosted.beside_echo("unseal 64k", || Ok(crypter.open(&sealed)?))?;
    put(rows, "Unseal of 64 KiB", "AEAD + echo", &pair, 2.0);
    let (signer, data) = (Signer::new(Secret::new([1; 32]))?, statement()?.encode());
    let pair = hosted.beside_echo("attest", || Ok(signer.sign("context", &data)?))?;
    put(rows, "Attest", "signature + echo", &pair, 1.3);
    rollback(&mut hosted, state, rows)
}

fn put(rows: &mut Rows, name: &str, floor: &str, pair: &Pair, limit: f64) {
    let note = format!("{:.1} us / {:.1} us", pair.ours, pair.floor);
    rows.target(format!("{name} / {floor}"), pair.ratio, "", limit, &note);
}

/// One caller beside many; and what one durable write of a small file costs in that directory.
fn rollback(hosted: &mut Hosted, state: &Path, rows: &mut Rows) -> anyhow::Result<()> {
    let hosted = RefCell::new(hosted);
    let turn_of = |call: &str| hosted.borrow_mut().turn(call);
    let pair = in_turns(|| turn_of("rollback"), || turn_of("rollback 64"))?;
    let (file, new) = (state.join("bench"), state.join("bench.new"));
    let write = || {
        let mut to = File::create(&new)?;
        to.write_all(&[7; 300])?;
        to.sync_all()?;
        fs::rename(&new, &file)?;
        Ok(File::open(state)?.sync_all()?)
    };
    let disk = in_turns(|| turn_of("rollback"), || turn(write))?;
    fs::remove_file(&file)?;
    let note = format!(
        "{:.0} us / {:.0} us; durable, on {}",
        disk.ours,
        disk.floor,
        file_system(state)?
    );
    rows.figure(
        "rollback-protected seal / durable write",
        disk.ratio,
        "",
        &note,
    );
    let note = format!("{:.0} us / {:.0} us a call", pair.ours, pair.floor);
    let name = format!("rollback-protected seal: rate of {CALLERS} callers / of one");
    rows.at_least(name, pair.ratio, "", 20.0, &note);
    Ok(())
}

/// The kind of file system under a directory, as /proc/self/mountinfo has it.
fn file_system(directory: &Path) -> anyhow::Result<String> {
    let directory = fs::canonicalize(directory)?;
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let mounted = mounts.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let point = left.split(' ').nth(4)?;
        let kind = right.split(' ').next()?;
        directory.starts_with(point).then_some((point.len(), kind))
    });
    // The longest that fits; of those at the same place the last.
    let found = mounted.max_by_key(|(length, _)| *length);
    Ok(found.context("no file system")?.1.to_owned())
}
