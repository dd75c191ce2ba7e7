//! BTRFS_IOC_SCAN_DEV (include/uapi/linux/btrfs.h), which nix does not wrap.
#![allow(unsafe_code)]

use std::{fs::OpenOptions, io, os::fd::AsRawFd, os::unix::ffi::OsStrExt, path::Path};

/// Where btrfs listens; it is there when the module is.
const CONTROL: &str = "/dev/btrfs-control";
/// `BTRFS_PATH_NAME_MAX` and its terminating zero.
const LONGEST: usize = 4088;

/// `struct btrfs_ioctl_vol_args`.
#[repr(C)]
struct VolumeArguments {
    fd: i64,
    name: [u8; LONGEST],
}

nix::ioctl_write_ptr!(scan_device, 0x94, 4, VolumeArguments);

/// Tells btrfs that the device holds a part of a file system.
pub(super) fn announce(device: &Path) -> io::Result<()> {
    let bytes = device.as_os_str().as_bytes();
    let mut arguments = Box::new(VolumeArguments {
        fd: 0,
        name: [0; LONGEST],
    });
    // One byte stays zero.
    if bytes.len() >= LONGEST || bytes.contains(&0) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    for (to, from) in arguments.name.iter_mut().zip(bytes) {
        *to = *from;
    }
    let control = OpenOptions::new().read(true).write(true).open(CONTROL)?;
    // SAFETY: the descriptor is open during the call, and the structure has the kernel's layout and size.
    unsafe { scan_device(control.as_raw_fd(), &raw const *arguments) }?;
    Ok(())
}
