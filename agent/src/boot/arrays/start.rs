//! Tells the kernel to start an array, by its files in /sys (Documentation/admin-guide/md.rst).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use storage::md::Format;

/// Why an array was not started.
#[derive(Debug, thiserror::Error)]
pub(in crate::boot) enum StartError {
    /// The kernel knows no arrays.
    #[error(
        "md{0} cannot be started: the kernel has no md driver: build the image with `--module raid1` (or raid10, raid456: the array's level), or with --host-only"
    )]
    NoDriver(u32),
    /// A file of /sys.
    #[error("md{number} cannot be started: {path}: {source}")]
    Refused {
        number: u32,
        path: PathBuf,
        source: io::Error,
    },
}

/// Makes `/dev/mdNUMBER` of these devices (kernel's names) and starts it. The kernel reads the rest from
/// their superblocks.
pub(super) fn start(
    sys: &Path,
    number: u32,
    format: Format,
    members: &[&str],
) -> Result<(), StartError> {
    let refused = |path: PathBuf| {
        move |source| StartError::Refused {
            number,
            path,
            source,
        }
    };
    let new_array = sys.join("module/md_mod/parameters/new_array");
    if !new_array.exists() {
        return Err(StartError::NoDriver(number));
    }
    fs::write(&new_array, format!("md{number}")).map_err(refused(new_array.clone()))?;
    let array = sys.join(format!("block/md{number}/md"));
    let set = |file: &str, value: &str| {
        let path = array.join(file);
        fs::write(&path, value).map_err(refused(path))
    };
    let started = set("metadata_version", &format.to_string())
        .and_then(|()| {
            members.iter().try_for_each(|member| {
                let path = sys.join("class/block").join(member).join("dev");
                let device = fs::read_to_string(&path).map_err(refused(path))?;
                set("new_dev", device.trim_end())
            })
        })
        .and_then(|()| set("array_state", "active"));
    if started.is_err() {
        // The first failure is the one to report.
        drop(set("array_state", "clear"));
    }
    started
}

/// Stops every array: in the initramfs no other program makes any. Gives what did not work, in words.
pub(in crate::boot) fn stop_all(sys: &Path) -> Vec<String> {
    let blocks = match fs::read_dir(sys.join("block")) {
        Ok(blocks) => blocks,
        // A boot that failed before it was mounted has no arrays either.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => return vec![format!("arrays cannot be listed: {error}")],
    };
    let stopped = blocks.map(|block| {
        let state = block?.path().join("md/array_state");
        match fs::OpenOptions::new().write(true).open(&state) {
            Ok(mut file) => io::Write::write_all(&mut file, b"clear"),
            // Not an array.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    });
    stopped
        .filter_map(|stopped: io::Result<()>| stopped.err())
        .map(|error| format!("an array cannot be stopped: {error}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A /sys whose files take what is written to them.
    fn sysfs(number: u32) -> tempfile::TempDir {
        let sys = tempfile::tempdir().unwrap();
        let make = |file: &str, text: &str| {
            let path = sys.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        make("module/md_mod/parameters/new_array", "");
        make("class/block/sda1/dev", "8:1\n");
        make("class/block/sdb1/dev", "8:17\n");
        for file in ["metadata_version", "new_dev", "array_state"] {
            make(&format!("block/md{number}/md/{file}"), "");
        }
        sys
    }

    #[test]
    fn the_kernel_is_told_format_members_and_then_to_start() {
        let sys = sysfs(127);
        let read = |file: &str| fs::read_to_string(sys.path().join(file)).unwrap();
        start(sys.path(), 127, Format::V1_2, &["sda1", "sdb1"]).unwrap();
        assert_eq!(read("module/md_mod/parameters/new_array"), "md127");
        assert_eq!(read("block/md127/md/metadata_version"), "1.2");
        assert_eq!(read("block/md127/md/new_dev"), "8:17");
        assert_eq!(read("block/md127/md/array_state"), "active");
        fs::create_dir(sys.path().join("block/sda")).unwrap();
        fs::write(sys.path().join("block/md127/md/array_state"), "").unwrap();
        assert!(stop_all(sys.path()).is_empty());
        assert_eq!(read("block/md127/md/array_state"), "clear");
        assert!(stop_all(&sys.path().join("none")).is_empty());
    }

    #[test]
    fn an_array_that_cannot_be_started_is_taken_back_and_named() {
        let sys = sysfs(0);
        let error = start(sys.path(), 0, Format::V0_90, &["sda1", "sdz"]).unwrap_err();
        assert!(error.to_string().contains("class/block/sdz/dev"), "{error}");
        let state = sys.path().join("block/md0/md/array_state");
        assert_eq!(fs::read_to_string(state).unwrap(), "clear");
        let empty = tempfile::tempdir().unwrap();
        let error = start(empty.path(), 0, Format::V0_90, &[]).unwrap_err();
        assert!(error.to_string().contains("no md driver"), "{error}");
    }
}
