//! Are the files of a predicted launch really there?

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use nix::libc;
use sha2::{Digest, Sha256};

use super::protocol::MeasuredFile;

/// tboot, kernel, initramfs and some modules.
const MAX_FILES: usize = 64;

/// Checks that each file lies below `boot`, itself and not through a link, and has the content
/// that was predicted.
///
/// # Errors
/// One sentence that names the file.
pub(super) fn check(files: &[MeasuredFile], boot: &Path) -> Result<(), String> {
    if files.is_empty() || files.len() > MAX_FILES {
        return Err(format!(
            "a launch has 1 to {MAX_FILES} files, the request names {}",
            files.len()
        ));
    }
    files.iter().try_for_each(|file| check_one(file, boot))
}

fn check_one(file: &MeasuredFile, boot: &Path) -> Result<(), String> {
    let shown: String = file.path.chars().take(200).collect();
    let path = Path::new(&file.path);
    let real = fs::canonicalize(path).map_err(|error| format!("{shown:?}: {error}"))?;
    if real != path || !real.starts_with(boot) {
        return Err(format!(
            "{shown:?} is not a file in {}: a launch is sealed for files that lie there, named without links",
            boot.display()
        ));
    }
    let digest = digest(path).map_err(|error| format!("{shown:?}: {error}"))?;
    if digest.eq_ignore_ascii_case(&file.sha256) {
        return Ok(());
    }
    let expected: String = file.sha256.chars().take(64).collect();
    Err(format!(
        "{shown:?} was changed after the launch was predicted: its SHA-256 is {digest}, predicted was {expected:?}; predict again"
    ))
}

fn digest(path: &Path) -> io::Result<String> {
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("is no regular file"));
    }
    let mut hash = Hasher(Sha256::new());
    io::copy(&mut file, &mut hash)?;
    Ok(hex::encode(hash.0.finalize()))
}

struct Hasher(Sha256);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(path: &Path, content: &[u8]) -> MeasuredFile {
        MeasuredFile {
            path: path.to_str().unwrap().into(),
            sha256: hex::encode(Sha256::digest(content)),
        }
    }

    #[test]
    fn only_a_file_below_boot_with_the_predicted_content_passes() {
        let root = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(root.path()).unwrap();
        let boot = root.join("boot");
        fs::create_dir_all(boot.join("grub")).unwrap();
        fs::write(boot.join("vmlinuz"), b"kernel").unwrap();
        fs::write(root.join("outside"), b"kernel").unwrap();
        std::os::unix::fs::symlink(root.join("outside"), boot.join("link")).unwrap();
        let check = |file| check(&[file], &boot);
        assert_eq!(check(named(&boot.join("vmlinuz"), b"kernel")), Ok(()));
        for (path, words) in [
            (boot.join("vmlinuz"), "was changed"),
            (root.join("outside"), "not a file in"),
            (boot.join("link"), "not a file in"),
            (boot.join("grub/../vmlinuz"), "not a file in"),
            (boot.join("grub"), "no regular file"),
            (boot.join("nothing"), "No such file"),
        ] {
            let error = check(named(&path, b"other")).unwrap_err();
            assert!(error.contains(words), "{path:?}: {error}");
        }
        assert!(super::check(&[], &boot).is_err());
    }
}
