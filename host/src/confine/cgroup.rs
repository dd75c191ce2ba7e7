//! A control group (cgroup v2) for each program: limits, and an end for everything in it.
//!
//! Groups are `tao/HOST/PROGRAM` below the hierarchy's root, or below the host's own group
//! where only that was given to it (systemd: `Delegate=yes`). A group that has processes
//! cannot limit its children, so programs are in leaves only.

use std::{
    fs::{self, OpenOptions},
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::confine::{cgroup_mount, numbers::out_of_the_way};
use tao::limits::Limits;

/// Period of processor limits in microseconds, the kernel's own default.
const PERIOD: u64 = 100_000;
/// What is switched on for the groups of programs.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

/// Where the groups of this host's programs are made.
pub(crate) struct Groups {
    base: PathBuf,
    /// Limits of everything can be set.
    pub controllers: bool,
    /// Keeps a hierarchy that the host has mounted for itself.
    _mounted: Option<OwnedFd>,
    next: AtomicU64,
    /// Groups that still had processes when they were to be removed.
    left: Mutex<Vec<PathBuf>>,
    /// For the next program: to make one takes as long as some of the start's other steps
    /// together.
    spare: Mutex<Option<(Group, GroupFiles)>>,
}

/// What of a control group is needed to get into it.
pub(crate) struct GroupFiles {
    /// Its directory.
    pub directory: OwnedFd,
    /// Its list of processes.
    pub processes: OwnedFd,
}

/// A program's group.
pub(crate) struct Group {
    path: PathBuf,
}

impl Groups {
    /// Finds a place where this process may make groups. An error says why there is none.
    pub(crate) fn find() -> io::Result<Self> {
        let (root, mounted) = match cgroup_mount::mount_points()?.into_iter().next() {
            Some(root) => (root, None),
            None => {
                let (path, mounted) = cgroup_mount::mount_detached()?;
                (path, Some(mounted))
            }
        };
        let base = at_top(&root).or_else(|_| below_own(&root))?;
        let switched_on = fs::read_to_string(base.join("cgroup.controllers"))?;
        let has = |name: &&str| switched_on.split_whitespace().any(|found| found == *name);
        Ok(Self {
            controllers: CONTROLLERS.iter().all(has),
            base,
            _mounted: mounted,
            next: AtomicU64::new(1),
            left: Mutex::default(),
            spare: Mutex::default(),
        })
    }

    /// Makes a group with these limits for a program that is about to start.
    pub(crate) fn make(&self, limits: &Limits) -> io::Result<(Group, GroupFiles)> {
        let (group, files) = match self.spare().take() {
            Some(spare) => spare,
            None => self.empty()?,
        };
        if self.controllers {
            set(&group.path, limits).inspect_err(|_| self.remove(group.path.clone()))?;
        }
        Ok((group, files))
    }

    /// Makes the next one, when nobody waits for it.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        if self.spare().is_none() {
            let group = self.empty()?;
            *self.spare() = Some(group);
        }
        Ok(())
    }

    /// It is a whole group or none.
    fn spare(&self) -> MutexGuard<'_, Option<(Group, GroupFiles)>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn empty(&self) -> io::Result<(Group, GroupFiles)> {
        self.remove_left();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.base.join(number.to_string());
        fs::create_dir(&path)?;
        let opened = |path: &Path| -> io::Result<GroupFiles> {
            let join = OpenOptions::new()
                .write(true)
                .open(path.join("cgroup.procs"))?;
            Ok(GroupFiles {
                directory: out_of_the_way(fs::File::open(path)?.into())?,
                processes: out_of_the_way(join.into())?,
            })
        };
        let files = opened(&path).inspect_err(|_| self.remove(path.clone()))?;
        Ok((Group { path }, files))
    }

    /// Ends what is left of a program and gives its group up.
    pub(crate) fn end(&self, group: &Group) {
        if let Err(error) = group.kill() {
            log::warn!("{}: {error}", group.path.display());
        }
        self.remove(group.path.clone());
    }

    /// Processes may take a moment to end; then the group is removed later.
    fn remove(&self, path: PathBuf) {
        if fs::remove_dir(&path).is_err() {
            let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            left.push(path);
        }
    }

    fn remove_left(&self) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.retain(|path| fs::remove_dir(path).is_err());
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        let spare = self.spare().take();
        if let Some((group, _)) = spare {
            self.remove(group.path);
        }
        self.remove_left();
        // With something left in it, the next host does it.
        drop(fs::remove_dir(&self.base));
    }
}

impl Group {
    /// SIGKILL for every process of the group at once (Linux 5.14).
    pub(crate) fn kill(&self) -> io::Result<()> {
        fs::write(self.path.join("cgroup.kill"), "1")
    }
}

fn set(group: &Path, limits: &Limits) -> io::Result<()> {
    let named = |file: &str, value: String| {
        let path = group.join(file);
        fs::write(&path, value)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    };
    if let Some(bytes) = limits.memory {
        named("memory.max", bytes.to_string())?;
        // Missing where the kernel has no swap; then there is nothing to forbid.
        let swap = group.join("memory.swap.max");
        if swap.exists() {
            fs::write(swap, "0")?;
        }
    }
    // A program that has used up its memory ends as a whole, not in some part.
    named("memory.oom.group", "1".to_owned())?;
    if let Some(processes) = limits.processes {
        named("pids.max", processes.to_string())?;
    }
    if let Some(share) = limits.cpu {
        named(
            "cpu.max",
            format!("{} {PERIOD}", share.saturating_mul(PERIOD / 100)),
        )?;
    }
    Ok(())
}

/// Switches on what can be.
fn switch_on(group: &Path) {
    for controller in CONTROLLERS {
        let file = group.join("cgroup.subtree_control");
        if let Err(error) = fs::write(&file, format!("+{controller}")) {
            log::debug!("{}: +{controller}: {error}", file.display());
        }
    }
}

/// `tao/HOST` at the root: for a host that is root.
fn at_top(root: &Path) -> io::Result<PathBuf> {
    let shared = root.join("tao");
    make_dir(&shared)?;
    switch_on(root);
    switch_on(&shared);
    own_dir(&shared)
}

/// Below the group that this process is in, if nobody else is in it.
fn below_own(root: &Path) -> io::Result<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let own = root.join(own.ok_or(io::ErrorKind::NotFound)?);
    let leaf = own.join("tao-host");
    make_dir(&leaf)?;
    let this = std::process::id().to_string();
    let members = fs::read_to_string(own.join("cgroup.procs"))?;
    if members.lines().any(|member| member != this) {
        drop(fs::remove_dir(&leaf));
        return Err(io::Error::other(
            "the host's control group has other processes",
        ));
    }
    fs::write(leaf.join("cgroup.procs"), &this)?;
    let shared = own.join("tao");
    make_dir(&shared)?;
    switch_on(&own);
    switch_on(&shared);
    own_dir(&shared)
}

/// A group for this host, named by its process; what hosts left that have ended is removed,
/// with everything in it.
fn own_dir(shared: &Path) -> io::Result<PathBuf> {
    static HOSTS: AtomicU64 = AtomicU64::new(0);
    let this = std::process::id();
    // Numbers of processes mean something within one PID namespace only.
    let numbering = fs::metadata("/proc/self/ns/pid")?.ino();
    for entry in fs::read_dir(shared)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let mut parts = name.split('-').map(|part| part.parse::<u64>().ok());
        let ours = parts.next() == Some(Some(numbering));
        let host = parts
            .next()
            .flatten()
            .filter(|host| *host != u64::from(this));
        if ours && host.is_some_and(|host| !alive(host)) {
            remove_all(&entry.path());
        }
    }
    let number = HOSTS.fetch_add(1, Ordering::Relaxed);
    let own = shared.join(format!("{numbering}-{this}-{number}"));
    // A process of the same number may have left one.
    if own.exists() {
        remove_all(&own);
    }
    make_dir(&own)?;
    switch_on(&own);
    Ok(own)
}

fn alive(process: u64) -> bool {
    Path::new("/proc").join(process.to_string()).exists()
}

fn remove_all(group: &Path) {
    for program in fs::read_dir(group).into_iter().flatten().flatten() {
        let path = program.path();
        if path.is_dir() {
            // Missing before Linux 5.14; then only empty groups can be removed.
            drop(fs::write(path.join("cgroup.kill"), "1"));
            drop(fs::remove_dir(path));
        }
    }
    drop(fs::write(group.join("cgroup.kill"), "1"));
    drop(fs::remove_dir(group));
}

fn make_dir(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_become_the_kernels_words() {
        let dir = tempfile::tempdir().unwrap();
        fs::File::create(dir.path().join("memory.swap.max")).unwrap();
        let limits = Limits {
            memory: Some(1 << 26),
            processes: Some(10),
            cpu: Some(150),
        };
        set(dir.path(), &limits).unwrap();
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("memory.max"), "67108864");
        assert_eq!(read("memory.swap.max"), "0");
        assert_eq!(read("memory.oom.group"), "1");
        assert_eq!(read("pids.max"), "10");
        assert_eq!(read("cpu.max"), "150000 100000");
    }
}
