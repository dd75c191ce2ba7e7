//! A service that counts how often it was asked, and whose count survives reboots: nobody
//! can read it, change it or set it back, not even who owns the disk (as far as the host's
//! counters are anchored: `tao host show`).
//!
//! ```text
//! mkdir -m 1777 /var/lib/counter /run/counter # hosted programs have users of their own
//! tao run --detach sealed-counter serve /var/lib/counter/count /run/counter/sock
//! sealed-counter ask /run/counter/sock        # prints 1, then 2, ...
//! ```

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use tao::{
    client::{CallError, Parent, SealPolicy},
    host::state_file,
};

/// The counter's label with the host.
const LABEL: &str = "sealed counter";
/// How long a caller waits for the service to begin.
const PATIENCE: Duration = Duration::from_secs(10);
/// Two counts, sealed.
const LARGEST: u64 = 64 * 1024;

struct Counter {
    host: &'static Parent,
    file: PathBuf,
    /// What is sealed, and where the host's counter stands when it counts.
    value: u64,
    at: i64,
    sealed: Vec<u8>,
}

/// Where the host's counter stands; 0 before it was made.
fn counted(host: &Parent) -> anyhow::Result<i64> {
    match host.counter(LABEL) {
        Err(CallError::Refused(why)) if why == "No such counter" => Ok(0),
        other => Ok(other?),
    }
}

/// The counts in the file: what was sealed last, and what was sealed before it.
fn read(file: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let read = state_file::read(file, LARGEST).with_context(|| file.display().to_string())?;
    let text = String::from_utf8(read.unwrap_or_default())?;
    Ok(text.lines().map(hex::decode).collect::<Result<_, _>>()?)
}

impl Counter {
    /// The count so far. Without a file it is 0, but only if the host has never counted: to
    /// delete the file, or to put an old one back, does not set the count back.
    fn open(host: &'static Parent, file: &Path) -> anyhow::Result<Self> {
        let at = counted(host)?;
        let mut counter = Counter {
            host,
            file: file.to_owned(),
            value: 0,
            at,
            sealed: Vec::new(),
        };
        for sealed in read(file)? {
            let (plain, _) = host.unseal(&sealed)?;
            let (found, value) = plain.split_first_chunk().context("not a count")?;
            if i64::from_be_bytes(*found) == at {
                counter.value = u64::from_be_bytes(value.try_into().context("not a count")?);
                counter.sealed = sealed;
                return Ok(counter);
            }
        }
        ensure!(
            at == 0,
            "{}: no count for where the host's counter stands, {at}; put the newest copy back",
            file.display()
        );
        Ok(counter)
    }

    /// One more. When this returns the new count is on the disk, and no older one counts.
    ///
    /// The new count is stored beside the old one before the host's counter goes up: whenever
    /// the power fails, the one that counts is there. (After a RollbackProtectedSeal whose
    /// answer is lost, neither would be.)
    fn next(&mut self) -> anyhow::Result<u64> {
        let (at, value) = (self.at + 1, self.value + 1);
        let plain = [at.to_be_bytes(), value.to_be_bytes()].concat();
        let sealed = self.host.seal(&plain, SealPolicy::Own)?;
        let text = format!("{}\n{}\n", hex::encode(&sealed), hex::encode(&self.sealed));
        state_file::replace(&self.file, text.trim_end().as_bytes())
            .with_context(|| self.file.display().to_string())?;
        self.host.init_counter(LABEL, at)?;
        (self.at, self.value, self.sealed) = (at, value, sealed);
        Ok(value)
    }
}

fn serve(file: &str, socket: &str) -> anyhow::Result<()> {
    let mut counter = Counter::open(Parent::from_env()?, Path::new(file))?;
    println!("counted {} so far", counter.value);
    if Path::new(socket).exists() {
        fs::remove_file(socket).with_context(|| socket.to_owned())?;
    }
    for stream in UnixListener::bind(socket)
        .with_context(|| socket.to_owned())?
        .incoming()
    {
        let count = counter.next()?;
        if let Err(error) = stream.and_then(|mut stream| writeln!(stream, "{count}")) {
            println!("a caller left without its answer, {count}: {error}");
        }
    }
    Ok(())
}

/// Asks, for as long as a service that was just started may need.
fn ask(socket: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut stream = loop {
        match UnixStream::connect(socket) {
            Ok(stream) => break stream,
            Err(error) if Instant::now() > deadline => {
                return Err(error).with_context(|| socket.to_owned());
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let mut count = String::new();
    stream.read_to_string(&mut count)?;
    ensure!(!count.is_empty(), "{socket}: no count");
    print!("{count}");
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", file, socket] => serve(file, socket),
        ["ask", socket] => ask(socket),
        _ => anyhow::bail!(
            "usage: sealed-counter serve FILE SOCKET, as a hosted program (tao run), or sealed-counter ask SOCKET"
        ),
    }
}
