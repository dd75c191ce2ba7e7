//! One host for each state directory: two would each write what the other does not know of, and what
//! one of them has superseded would open under the other.

use std::{
    fs::File,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};
use tao::state_file;

/// How long a host that was just killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(3);

/// The lock on a host's state directory, from when there is one until the host ends. It is the directory
/// itself that is locked (flock(2)): nothing is written, and nothing is left behind.
#[derive(Clone, Debug, Default)]
pub struct StateLock {
    dir: Option<PathBuf>,
    held: Arc<Mutex<Option<Flock<File>>>>,
}

impl StateLock {
    /// The lock of this directory, which is not taken yet; `None`: there is nothing to lock.
    pub fn new(dir: Option<&Path>) -> Self {
        Self {
            dir: dir.map(Path::to_owned),
            held: Arc::default(),
        }
    }

    /// Takes it, if this has not been done and if there is a directory. What is mounted over the directory
    /// meanwhile is locked as well.
    ///
    /// # Errors
    /// Another host has it.
    pub fn take(&self) -> io::Result<()> {
        let Some(dir) = &self.dir else {
            return Ok(());
        };
        let directory = match File::open(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        // A panic elsewhere leaves a lock that is held or none.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let found = directory.metadata()?;
        if let Some(held) = &*held {
            let held = held.metadata()?;
            if (held.dev(), held.ino()) == (found.dev(), found.ino()) {
                return Ok(());
            }
        }
        *held = Some(wait_for(directory, dir)?);
        Ok(())
    }

    /// Makes the directory if it is missing, and takes the lock: nothing is written without it.
    ///
    /// # Errors
    /// Another host has it, or there cannot be a directory.
    pub fn make_and_take(&self) -> io::Result<()> {
        if let Some(dir) = &self.dir {
            state_file::make_directory(dir)?;
        }
        self.take()
    }

    /// Gives it up: the host has ended.
    pub fn release(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn wait_for(mut directory: File, dir: &Path) -> io::Result<Flock<File>> {
    let begin = Instant::now();
    loop {
        match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => return Ok(locked),
            Err((file, Errno::EWOULDBLOCK)) if begin.elapsed() < PATIENCE => {
                directory = file;
                std::thread::sleep(Duration::from_millis(10));
            }
            Err((_, Errno::EWOULDBLOCK)) => {
                return Err(io::Error::other(format!(
                    "another Tao host uses the state directory {}; each host needs one of its own",
                    dir.display()
                )));
            }
            Err((_, error)) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_host_and_the_next_when_that_one_ends() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let (one, two) = (StateLock::new(Some(&state)), StateLock::new(Some(&state)));
        // Nothing to share yet.
        one.take().unwrap();
        two.take().unwrap();
        one.make_and_take().unwrap();
        one.take().unwrap();
        let error = two.make_and_take().unwrap_err().to_string();
        assert!(error.contains("another Tao host uses"), "{error}");
        one.release();
        two.take().unwrap();
    }
}
