//! `$grub_platform` of this machine: what kind of firmware starts GRUB.

use std::path::Path;

/// The value of `$grub_platform`, from the kernel's directory of system information (`/sys`).
/// `None`: the directory does not tell.
pub fn platform(sys: &Path) -> Option<&'static str> {
    let firmware = sys.join("firmware");
    if firmware.join("efi").is_dir() {
        return Some("efi");
    }
    // A directory that is there and does not have it: /sys is mounted.
    firmware.is_dir().then_some("pc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_directory_is_not_a_bios() {
        let sys = tempfile::tempdir().unwrap();
        assert_eq!(platform(sys.path()), None);
        std::fs::create_dir(sys.path().join("firmware")).unwrap();
        assert_eq!(platform(sys.path()), Some("pc"));
        std::fs::create_dir(sys.path().join("firmware/efi")).unwrap();
        assert_eq!(platform(sys.path()), Some("efi"));
    }
}
