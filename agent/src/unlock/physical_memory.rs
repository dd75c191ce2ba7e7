//! Registers of the machine, read through /dev/mem: where Linux cannot be talked out of a device.
#![allow(unsafe_code)]

use std::{
    fs::{File, OpenOptions},
    io,
    num::NonZeroUsize,
    os::unix::fs::OpenOptionsExt,
};

use nix::{
    libc::O_SYNC,
    sys::mman::{MapFlags, ProtFlags, mmap, munmap},
};

const PAGE: u64 = 4096;

/// Memory-mapped registers.
pub(crate) trait PhysicalMemory {
    /// One register of 32 bits; `address` is a multiple of 4.
    fn read(&self, address: u64) -> io::Result<u32>;
}

/// The machine's own. Refused under kernel lockdown, and where a driver has claimed the page.
pub(crate) struct DevMem;

impl PhysicalMemory for DevMem {
    fn read(&self, address: u64) -> io::Result<u32> {
        // O_SYNC: not cached, so that it is the device that answers.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(O_SYNC)
            .open("/dev/mem")?;
        read_register(&file, address)
    }
}

fn read_register(file: &File, address: u64) -> io::Result<u32> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let length = NonZeroUsize::new(PAGE as usize).ok_or_else(invalid)?;
    let page = i64::try_from(address & !(PAGE - 1)).map_err(|_| invalid())?;
    let offset = usize::try_from(address % PAGE).map_err(|_| invalid())?;
    if offset % 4 != 0 {
        return Err(invalid());
    }
    // SAFETY: a new mapping at an address of the kernel's choice, which nobody else knows.
    let mapping = unsafe {
        mmap(
            None,
            length,
            ProtFlags::PROT_READ,
            MapFlags::MAP_SHARED,
            file,
            page,
        )
    }?;
    // SAFETY: `offset` is a multiple of 4 below the page's length, so the four bytes lie within the
    // mapping and are aligned. Volatile: it is a device's register, each read is one read of it.
    let value = unsafe {
        mapping
            .cast::<u8>()
            .add(offset)
            .cast::<u32>()
            .read_volatile()
    };
    // SAFETY: the mapping made above; nothing refers to it any more.
    unsafe { munmap(mapping, PAGE as usize) }?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_register_is_read_at_its_place_in_its_page() {
        let mut file = tempfile::tempfile().unwrap();
        let mut content = vec![0_u8; 3 * PAGE as usize];
        content[4096 + 0xf00..4096 + 0xf04].copy_from_slice(&[0x14, 0x10, 0x01, 0x00]);
        file.write_all(&content).unwrap();
        assert_eq!(read_register(&file, 4096 + 0xf00).unwrap(), 0x0001_1014);
        assert_eq!(read_register(&file, 0).unwrap(), 0);
        assert!(read_register(&file, 2).is_err());
    }
}
