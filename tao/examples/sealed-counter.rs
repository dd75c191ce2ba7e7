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

use anyhow::{Context as _, anyhow, ensure};
use tao::state_file;
use tao::{
    anchored::{self, Medium, Refused, Settled},
    client::{CallError, Parent, SealPolicy},
};

/// The counter's label with the host.
const LABEL: &str = "sealed counter";
/// How long a caller waits for the service to begin.
const PATIENCE: Duration = Duration::from_secs(10);
/// A count, sealed.
const LARGEST: u64 = 64 * 1024;

/// The file with the count, and the host's counter, which tells whether it is the newest.
struct Store {
    host: &'static Parent,
    file: PathBuf,
}

impl Store {
    /// The date of what is in the file, and the count.
    fn read(&self) -> anyhow::Result<Option<(u64, u64)>> {
        let file = || self.file.display().to_string();
        let Some(sealed) = state_file::read(&self.file, LARGEST).with_context(file)? else {
            return Ok(None);
        };
        let (plain, _) = self.host.unseal(&sealed).with_context(file)?;
        let (date, value) = plain.split_first_chunk().context("not a count")?;
        let value = value.try_into().context("not a count")?;
        Ok(Some((u64::from_be_bytes(*date), u64::from_be_bytes(value))))
    }
}

impl Medium for Store {
    type Contents = u64;
    type Error = anyhow::Error;

    /// It begins at 0.
    fn value(&mut self) -> anyhow::Result<Option<u64>> {
        match self.host.counter(LABEL) {
            Err(CallError::Refused(why)) if why == "No such counter" => Ok(Some(0)),
            other => Ok(Some(u64::try_from(other?)?)),
        }
    }

    fn create(&mut self) -> anyhow::Result<u64> {
        self.increment()
    }

    fn increment(&mut self) -> anyhow::Result<u64> {
        // In one step; InitCounter would not tell whether it was ours.
        self.host
            .rollback_protected_seal(LABEL, b"", SealPolicy::Own)?;
        Ok(u64::try_from(self.host.counter(LABEL)?)?)
    }

    fn write(&mut self, date: u64, value: &u64) -> anyhow::Result<()> {
        let plain = [date.to_be_bytes(), value.to_be_bytes()].concat();
        let sealed = self.host.seal(&plain, SealPolicy::Own)?;
        state_file::replace(&self.file, &sealed).with_context(|| self.file.display().to_string())
    }
}

struct Counter {
    store: Store,
    value: u64,
    settled: Settled,
}

impl Counter {
    /// The count so far. Without a file it is 0, but only if the host has never counted: to
    /// delete the file, or to put an old one back, does not set the count back.
    fn open(host: &'static Parent, file: &Path) -> anyhow::Result<Self> {
        let file = file.to_owned();
        let mut store = Store { host, file };
        let found = store.read()?;
        let value = found.map(|(_, value)| value).unwrap_or_default();
        let settled = anchored::open(&mut store, found.map(|(date, _)| date), &value);
        let settled = settled.map_err(|refused| store.sentence(&refused))?;
        Ok(Self {
            store,
            value,
            settled,
        })
    }

    /// One more. When this returns the new count is on the disk, and no older one counts.
    fn next(&mut self) -> anyhow::Result<u64> {
        let value = self.value + 1;
        let settled = anchored::change(&mut self.store, self.settled, &value);
        self.settled = settled.map_err(|refused| self.store.sentence(&refused))?;
        self.value = value;
        Ok(value)
    }
}

impl Store {
    fn sentence(&self, refused: &Refused<anyhow::Error>) -> anyhow::Error {
        anyhow!("{}: {refused:#}", self.file.display())
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
