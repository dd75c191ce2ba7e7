//! `image extract`: unpacking an image that may be hostile.
//!
//! All names are checked before anything is written: an absolute path, a ".." and a
//! path through a symbolic link could each write outside the directory (the class of
//! CVE-2015-1197 in GNU cpio). The directory must be new or empty, and every step
//! down is opened with O_NOFOLLOW, so that a link put there meanwhile is not
//! followed either.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fchmod, makedev, mkdirat, mknodat};
use nix::unistd::{geteuid, symlinkat};

use super::super::archive::{Entry, Part};
use super::super::options::Extract;
use super::{
    BLOCK, CHAR, DIRECTORY, REGULAR, SYMLINK, TYPE, load, parts, path_in_root, print, shown,
};

/// An entry to write and its content.
type Item<'a> = (&'a Entry, &'a [u8]);

/// Unpacks the image. Owners, times and set-id bits are not restored; device nodes
/// only by root.
///
/// # Errors
/// The image cannot be read or is hostile (nothing is written then), the directory is
/// not empty, or the system refuses.
pub fn run(extract: &Extract) -> Result<()> {
    let image = load(&extract.image)?;
    let parts = parts(&extract.image, &image)?;
    let items =
        check(&parts).with_context(|| format!("{} is not unpacked", extract.image.display()))?;
    let directory = match &extract.to {
        Some(directory) => directory.clone(),
        None => {
            let mut name = extract.image.clone().into_os_string();
            name.push(".d");
            PathBuf::from(name)
        }
    };
    let root = new_directory(&directory)?;
    let mut skipped = 0_usize;
    for (path, (entry, data)) in &items {
        let written = write(&root, path, entry, data)
            .with_context(|| format!("cannot write {} in {}", shown(path), directory.display()))?;
        skipped = skipped.saturating_add(usize::from(!written));
    }
    // Last, children first: a directory that its owner may not write in would stop
    // what comes into it.
    for (path, (entry, _)) in items.iter().rev() {
        if entry.mode & TYPE == DIRECTORY {
            let place = open_directory(&root, path)?;
            fchmod(&place, permissions(entry.mode))
                .with_context(|| format!("cannot set the mode of {}", shown(path)))?;
        }
    }
    let left = match skipped {
        0 => String::new(),
        count => format!(", {count} device nodes, sockets or pipes left out"),
    };
    print(&format!(
        "{}: {} entries{left}\n",
        directory.display(),
        items.len().saturating_sub(skipped)
    ))
}

/// The entries by path, the last one of each counting, if all of them are safe.
fn check<'a>(parts: &'a [Part<'_>]) -> Result<BTreeMap<Vec<u8>, Item<'a>>> {
    let mut items: BTreeMap<Vec<u8>, Item<'a>> = BTreeMap::new();
    for part in parts {
        for (entry, data) in part.entries.iter().zip(part.contents()) {
            let name = &entry.name;
            if name.starts_with(b"/") {
                bail!("the entry {} has an absolute path", shown(name));
            }
            let path = path_in_root(name);
            if path.is_empty() {
                continue;
            }
            if path
                .split(|&byte| byte == b'/')
                .any(|part| matches!(part, b"" | b"." | b".."))
            {
                bail!(
                    "the entry {} has an empty, \".\" or \"..\" component",
                    shown(name)
                );
            }
            items.insert(path.to_vec(), (entry, data));
        }
    }
    for path in items.keys() {
        for (end, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            let (parent, _) = path.split_at(end);
            let kind = match items.get(parent).map(|(entry, _)| entry.mode & TYPE) {
                None | Some(DIRECTORY) => continue,
                Some(SYMLINK) => "a symbolic link",
                Some(_) => "not a directory",
            };
            bail!(
                "the entry {} runs through {}, which is {kind}",
                shown(path),
                shown(parent)
            );
        }
    }
    Ok(items)
}

/// Makes the directory, or takes an empty one.
fn new_directory(directory: &Path) -> Result<OwnedFd> {
    match fs::create_dir(directory) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let mut entries = fs::read_dir(directory).with_context(|| {
                format!("{} is not a directory to unpack to", directory.display())
            })?;
            if entries.next().is_some() {
                bail!(
                    "{} is not empty; name a new directory with --to",
                    directory.display()
                );
            }
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot make {}", directory.display()));
        }
    }
    let opened =
        File::open(directory).with_context(|| format!("cannot open {}", directory.display()))?;
    Ok(opened.into())
}

/// Writes one entry; false if it is of a kind that is left out.
fn write(root: &OwnedFd, path: &[u8], entry: &Entry, data: &[u8]) -> Result<bool> {
    let slash = path.iter().rposition(|&byte| byte == b'/');
    let (parent, name) = match slash.map(|slash| path.split_at(slash)) {
        Some((parent, [_, name @ ..])) => (parent, name),
        _ => (&b""[..], path),
    };
    if entry.mode & TYPE == DIRECTORY {
        open_directory(root, path)?;
        return Ok(true);
    }
    let place = open_directory(root, parent)?;
    match entry.mode & TYPE {
        REGULAR => {
            let flags = OFlag::O_WRONLY
                | OFlag::O_CREAT
                | OFlag::O_EXCL
                | OFlag::O_NOFOLLOW
                | OFlag::O_CLOEXEC;
            let mut file = File::from(openat(&place, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
            file.write_all(data)?;
            file.set_permissions(fs::Permissions::from_mode(entry.mode & 0o777))?;
        }
        SYMLINK => symlinkat(data, &place, name)?,
        kind @ (CHAR | BLOCK) if geteuid().is_root() => {
            let flag = if kind == CHAR {
                SFlag::S_IFCHR
            } else {
                SFlag::S_IFBLK
            };
            let device = makedev(entry.rdev.0.into(), entry.rdev.1.into());
            mknodat(&place, name, flag, permissions(entry.mode), device)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Opens a directory below `root` step by step, making what is missing.
fn open_directory(root: &OwnedFd, path: &[u8]) -> Result<OwnedFd> {
    let mut place = root.try_clone()?;
    for name in path
        .split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty())
    {
        match mkdirat(&place, name, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        place = openat(&place, name, flags, Mode::empty())?;
    }
    Ok(place)
}

fn permissions(mode: u32) -> Mode {
    Mode::from_bits_truncate(mode & 0o777)
}
