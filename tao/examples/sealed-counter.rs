//! A service that counts how often it was asked, and whose count survives reboots: nobody
//! can read it, change it or set it back, not even who owns the disk (as far as the host's
//! counters are anchored: `tao host show`).
//!
//! ```text
//! tao run --detach sealed-counter /var/lib/counter /run/counter.sock
//! socat - UNIX-CONNECT:/run/counter.sock      # prints 1, then 2, ...
//! ```

use std::{
    fs,
    io::Write as _,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use tao::{
    client::{Parent, SealPolicy},
    host::state_file,
};

/// The counter's label with the host.
const LABEL: &str = "sealed counter";
/// Eight bytes, sealed.
const LARGEST: u64 = 64 * 1024;

struct Counter {
    host: &'static Parent,
    file: PathBuf,
    value: u64,
}

impl Counter {
    /// The count so far. Without a file it is 0, but only if the host has never sealed one:
    /// deleting the file does not set the count back.
    fn open(host: &'static Parent, file: &Path) -> anyhow::Result<Self> {
        let read = state_file::read(file, LARGEST).with_context(|| file.display().to_string())?;
        let value = match read {
            Some(sealed) => {
                let (plain, _) = host.rollback_protected_unseal(&sealed)?;
                u64::from_be_bytes(plain.as_slice().try_into().context("not a count")?)
            }
            None => {
                ensure!(
                    host.counter(LABEL).is_err(),
                    "{}: gone, but there was a count; put the newest copy back",
                    file.display()
                );
                0
            }
        };
        Ok(Counter {
            host,
            file: file.to_owned(),
            value,
        })
    }

    /// One more. When this returns the new count is on the disk.
    fn next(&mut self) -> anyhow::Result<u64> {
        let next = self.value + 1;
        let sealed =
            self.host
                .rollback_protected_seal(LABEL, &next.to_be_bytes(), SealPolicy::Own)?;
        state_file::replace(&self.file, &sealed)
            .with_context(|| self.file.display().to_string())?;
        self.value = next;
        Ok(next)
    }
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, socket] = arguments.as_slice() else {
        anyhow::bail!("usage: sealed-counter FILE SOCKET, as a hosted program (tao run)");
    };
    let mut counter = Counter::open(Parent::from_env()?, Path::new(file))?;
    println!("counted {} so far", counter.value);
    if Path::new(socket).exists() {
        fs::remove_file(socket).with_context(|| socket.clone())?;
    }
    for stream in UnixListener::bind(socket)
        .with_context(|| socket.clone())?
        .incoming()
    {
        let count = counter.next()?;
        if let Err(error) = stream.and_then(|mut stream| writeln!(stream, "{count}")) {
            println!("a caller left without its answer, {count}: {error}");
        }
    }
    Ok(())
}
