//! Where the tests keep what they build: the cache, and one directory for each scenario.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// How many machines may run at once, over all test processes: more only slow each other
/// down under emulation until they run into their time limits.
const MACHINES_AT_ONCE: usize = 2;
/// Between two looks for a free slot.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// The root of the workspace.
pub fn workspace_root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_path_buf()
}

/// Directory of everything the boots leave behind: `$TAOBOOT_VM_DIR` or `target/vm`.
pub fn vm_directory() -> Result<PathBuf> {
    let path = match std::env::var_os("TAOBOOT_VM_DIR") {
        Some(path) => PathBuf::from(path),
        None => workspace_root().join("target/vm"),
    };
    fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
    path.canonicalize()
        .with_context(|| format!("cannot resolve {}", path.display()))
}

/// Directory of disk images that later runs can use again.
pub fn cache_directory() -> Result<PathBuf> {
    let path = vm_directory()?.join("cache");
    fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(path)
}

/// An empty directory for the scenario `name`; what an earlier run left there is removed.
pub fn scenario_directory(name: &str) -> Result<PathBuf> {
    let path = vm_directory()?.join(name);
    if path.exists() {
        fs::remove_dir_all(&path).with_context(|| format!("cannot empty {}", path.display()))?;
    }
    fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(path)
}

/// The right to run one machine; given back when dropped, also by a killed process.
#[derive(Debug)]
pub struct MachineSlot {
    _lock: Flock<fs::File>,
}

/// Waits until fewer than [`MACHINES_AT_ONCE`] machines run. Of those who wait the first that looks gets the
/// slot that is free, whichever it is.
pub fn machine_slot() -> Result<MachineSlot> {
    loop {
        for number in 0..MACHINES_AT_ONCE {
            match Flock::lock(slot_file(number)?, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(MachineSlot { _lock: lock }),
                Err((_, Errno::EWOULDBLOCK)) => {}
                Err((_, error)) => return Err(error).context("cannot lock a machine slot"),
            }
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

fn slot_file(number: usize) -> Result<fs::File> {
    let path = vm_directory()?.join(format!("slot-{number}.lock"));
    fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))
}

/// One builder at a time for the cached file `name`: the others wait and find it made.
pub fn cache_lock(name: &str) -> Result<Flock<fs::File>> {
    let path = cache_directory()?.join(format!("{name}.lock"));
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, error)| error)
        .with_context(|| format!("cannot lock {}", path.display()))
}
