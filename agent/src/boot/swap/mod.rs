//! Swap: a plain dm-crypt mapping with a fresh random key, so that nothing in it can be
//! read after a reboot, by anybody.

mod blkid;
pub mod content;
mod syscall;

use std::{
    fs::OpenOptions,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use libcryptsetup_rs::{
    CryptInit, CryptParamsPlain, CryptParamsPlainRef, LibcryptErr,
    consts::{flags::CryptActivate, vals::EncryptionFormat},
};
use zeroize::Zeroizing;

use crate::boot::devices::BlockDevice;
use crate::unlock::close_mapping;
use content::ContentError;
use syscall::{swap_off, swap_on};

/// Name of the mapping below /dev/mapper.
pub const NAME: &str = "swap";

/// Where the mapping is.
pub(super) fn mapping() -> PathBuf {
    Path::new("/dev/mapper").join(NAME)
}

/// Why there is no swap. None of these stops a boot.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// Something else lies there, or may lie there.
    #[error(
        "no swap on {device}: {reason}; nothing was written: enrol the right swap device, or erase \
         this one with wipefs --all and mkswap"
    )]
    Refused {
        /// The device.
        device: String,
        /// What was found.
        reason: ContentError,
    },
    /// No random key, no mapping, no write.
    #[error("swap on {device}: {step}: {reason}")]
    Failed {
        /// The device.
        device: String,
        /// What was being done.
        step: &'static str,
        /// The system's reason.
        reason: String,
    },
    /// Less than ten pages.
    #[error("{device} has {bytes} bytes: too small for swap")]
    TooSmall {
        /// The device.
        device: String,
        /// Its size.
        bytes: u64,
    },
}

/// Maps `device`, writes the swap signature through the mapping, and turns swap on.
pub fn open(device: &BlockDevice) -> Result<(), SwapError> {
    let node = device.node();
    let name = node.display().to_string();
    let failed = |step: &'static str| {
        let device = name.clone();
        move |reason: String| SwapError::Failed {
            device,
            step,
            reason,
        }
    };
    // A file system, a LUKS header or a partition table is somebody's data, and so is what nobody
    // knows.
    content::check(&node).map_err(|reason| SwapError::Refused {
        device: name.clone(),
        reason,
    })?;
    content::mark(&node).map_err(|e| failed("marker")(e.to_string()))?;
    let mut key = Zeroizing::new([0_u8; 64]);
    getrandom::fill(key.as_mut_slice()).map_err(|e| failed("random key")(e.to_string()))?;
    map(&node, key.as_slice()).map_err(|e| failed("dm-crypt mapping")(e.to_string()))?;
    let mapping = mapping();
    write_signature(&mapping, &name)?;
    swap_on(&mapping).map_err(|e| failed("swapon")(e.to_string()))
}

/// Turns swap off and removes the mapping; for a boot that fails later. The kernel forgets the key.
pub fn close() -> Result<(), SwapError> {
    close_by(|| swap_off(&mapping()), || close_mapping(NAME))
}

fn close_by<E: std::error::Error>(
    off: impl FnOnce() -> nix::Result<()>,
    unmap: impl FnOnce() -> Result<(), E>,
) -> Result<(), SwapError> {
    let failed = |step: &'static str, reason: String| SwapError::Failed {
        device: NAME.into(),
        step,
        reason,
    };
    // Not on yet, when the failure came in between.
    match off() {
        Ok(()) | Err(nix::Error::EINVAL) => {}
        Err(error) => return Err(failed("swapoff", error.to_string())),
    }
    unmap().map_err(|error| failed("close", error.to_string()))
}

fn map(node: &Path, key: &[u8]) -> Result<(), LibcryptErr> {
    let mut device = CryptInit::init(node)?;
    let parameters = CryptParamsPlain {
        hash: "plain".into(),
        offset: content::MARKER_SIZE / 512,
        sector_size: 512,
        size: 0,
        skip: 0,
    };
    let mut parameters: CryptParamsPlainRef<'_> = (&parameters).try_into()?;
    device.context_handle().format::<CryptParamsPlainRef<'_>>(
        EncryptionFormat::Plain,
        ("aes", "xts-plain64"),
        None,
        libcryptsetup_rs::Either::Right(key.len()),
        Some(&mut parameters),
    )?;
    device
        .activate_handle()
        .activate_by_volume_key(Some(NAME), Some(key), CryptActivate::empty())
}

/// What mkswap writes (linux/swap.h, union swap_header): version 1, no bad pages.
fn write_signature(mapping: &Path, device: &str) -> Result<(), SwapError> {
    const PAGE: u64 = 4096;
    let failed = |error: std::io::Error| SwapError::Failed {
        device: device.into(),
        step: "swap signature",
        reason: error.to_string(),
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(mapping)
        .map_err(failed)?;
    let bytes = file.seek(SeekFrom::End(0)).map_err(failed)?;
    if bytes < 10 * PAGE {
        return Err(SwapError::TooSmall {
            device: device.into(),
            bytes,
        });
    }
    file.rewind().map_err(failed)?;
    file.write_all(&signature_page(bytes / PAGE))
        .map_err(failed)?;
    file.sync_data().map_err(failed)?;
    file.rewind().map_err(failed)?;
    let mut back = [0_u8; 8];
    file.read_exact(&mut back).map_err(failed)
}

fn signature_page(pages: u64) -> Vec<u8> {
    let last_page = u32::try_from(pages.saturating_sub(1)).unwrap_or(u32::MAX);
    let mut page = vec![0_u8; 1024];
    page.extend(1_u32.to_le_bytes());
    page.extend(last_page.to_le_bytes());
    page.resize(4086, 0);
    page.extend(b"SWAPSPACE2");
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel keeps a mapping that it swaps to, and the key with it.
    #[test]
    fn swap_is_switched_off_before_its_mapping_is_removed() {
        for (off, unmapped) in [
            (Ok(()), true),
            (Err(nix::Error::EINVAL), true),
            (Err(nix::Error::ENOMEM), false),
        ] {
            let steps = std::cell::RefCell::new(Vec::new());
            let step = |name| steps.borrow_mut().push(name);
            let unmap = || {
                step("unmap");
                Ok::<(), nix::Error>(())
            };
            let switch_off = || {
                step("off");
                off
            };
            let closed = close_by(switch_off, unmap);
            assert_eq!(closed.is_ok(), unmapped);
            let expected = if unmapped {
                &["off", "unmap"][..]
            } else {
                &["off"]
            };
            assert_eq!(*steps.borrow(), expected);
        }
    }

    #[test]
    fn the_signature_is_the_one_that_mkswap_writes() {
        let pages = 256_u64;
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(pages * 4096).unwrap();
        let made = std::process::Command::new("/usr/sbin/mkswap")
            .arg(file.path())
            .output()
            .unwrap();
        assert!(made.status.success());
        let mut theirs = vec![0_u8; 4096];
        file.reopen().unwrap().read_exact(&mut theirs).unwrap();
        theirs[0x40c..0x41c].fill(0); // the UUID, which we leave out: it would be new each boot
        assert_eq!(signature_page(pages), theirs);
    }
}
