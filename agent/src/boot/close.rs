//! Lets go of everything that a boot has opened, so that no key survives its failure.

use nix::mount::{MntFlags, umount2};
use std::{fs, io, path::Path};

use super::{arrays, mapper, mounts, swap};
use crate::unlock::close_mapping;

/// Unmounts root, turns swap off and closes its mapping and the volumes', as far as they are there. Gives what did
/// not work, in words; each is tried whatever became of the others.
pub(super) fn close(volumes: &[String]) -> Vec<String> {
    let mut warnings = Vec::new();
    match umount2(mounts::SYSROOT, MntFlags::MNT_DETACH) {
        // Not mounted, or not even made.
        Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => {}
        Err(error) => warnings.push(format!("cannot unmount the root file system: {error}")),
    }
    if swap::mapping().exists()
        && let Err(error) = swap::close()
    {
        warnings.push(format!("cannot close swap: {error}"));
    }
    // They lie on the volume, which is in use as long as they are there.
    let logical = mapper::unmap_logical_volumes();
    warnings.extend(logical.iter().map(ToString::to_string));
    for volume in volumes {
        if Path::new("/dev/mapper").join(volume).exists()
            && let Err(error) = close_mapping(volume)
        {
            warnings.push(format!("cannot close the volume: {error}"));
        }
    }
    warnings.extend(arrays::stop_all(Path::new("/sys")));
    warnings
}

/// What may hold a key still, as the kernel says: mappings by their names, and areas of swap.
pub(super) fn left_open() -> Vec<String> {
    open_in(Path::new("/sys/block"), Path::new("/proc/swaps"))
}

fn open_in(block: &Path, swaps: &Path) -> Vec<String> {
    let unknown = |path: &Path, error: io::Error| vec![format!("{}: {error}", path.display())];
    let mut open = match mappings(block) {
        Ok(names) => names,
        // A boot that failed before it was mounted has no mappings either.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => unknown(block, error),
    };
    match fs::read_to_string(swaps) {
        // The first line is a heading.
        Ok(text) => open.extend(text.lines().skip(1).map(|line| {
            let device = line.split_whitespace().next().unwrap_or(line);
            format!("swap on {device}")
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => open.extend(unknown(swaps, error)),
    }
    open.sort();
    open
}

fn mappings(block: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(block)? {
        match fs::read_to_string(entry?.path().join("dm/name")) {
            Ok(name) => names.push(format!("mapping {}", name.trim_end())),
            // A disk.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_still_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let open = || open_in(&path("block"), &path("swaps"));
        assert!(open().is_empty());
        fs::create_dir_all(path("block/vda")).unwrap();
        fs::write(path("swaps"), "Filename Type Size Used Priority\n").unwrap();
        assert!(open().is_empty());
        fs::create_dir_all(path("block/dm-0/dm")).unwrap();
        fs::write(path("block/dm-0/dm/name"), "root\n").unwrap();
        fs::write(path("swaps"), "Filename\n/dev/dm-1 partition 1 0 -2\n").unwrap();
        assert_eq!(open(), ["mapping root", "swap on /dev/dm-1"]);
        fs::write(path("file"), "").unwrap();
        assert_eq!(open_in(&path("file"), &path("swaps")).len(), 2);
    }
}
