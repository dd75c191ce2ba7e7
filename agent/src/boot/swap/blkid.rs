//! Every signature that libblkid finds on a device: file systems, RAID members, partition tables.
//!
//! The library is in the image already, because libcryptsetup needs it; it knows far more than
//! [`crate::boot::devices::superblock`], whose few kinds are those that a root can lie on.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, c_char, c_int, c_uint},
    fs::File,
    io,
    os::fd::AsRawFd,
    path::Path,
    ptr::{self, NonNull},
};

/// More signatures than any device has; the library is not trusted to end.
const MOST: usize = 64;
// blkid/blkid.h.
const SUBLKS_TYPE: c_int = 1 << 5;
const SUBLKS_MAGIC: c_int = 1 << 9;
/// A damaged file system is somebody's data too.
const SUBLKS_BADCSUM: c_int = 1 << 10;
/// GPT also where its protective MBR is missing.
const PARTS_FORCE_GPT: c_int = 1 << 1;
const PARTS_MAGIC: c_int = 1 << 3;

/// `struct blkid_struct_probe`, of which only the library knows the fields.
#[repr(C)]
struct ProbeStruct {
    _fields: [u8; 0],
}

// Linked by libcryptsetup-rs-sys, through libcryptsetup's pkg-config file.
unsafe extern "C" {
    fn blkid_new_probe() -> *mut ProbeStruct;
    fn blkid_free_probe(probe: *mut ProbeStruct);
    fn blkid_probe_set_device(
        probe: *mut ProbeStruct,
        descriptor: c_int,
        offset: i64,
        size: i64,
    ) -> c_int;
    fn blkid_probe_enable_superblocks(probe: *mut ProbeStruct, enable: c_int) -> c_int;
    fn blkid_probe_set_superblocks_flags(probe: *mut ProbeStruct, flags: c_int) -> c_int;
    fn blkid_probe_enable_partitions(probe: *mut ProbeStruct, enable: c_int) -> c_int;
    fn blkid_probe_set_partitions_flags(probe: *mut ProbeStruct, flags: c_int) -> c_int;
    fn blkid_probe_set_sectorsize(probe: *mut ProbeStruct, size: c_uint) -> c_int;
    fn blkid_do_probe(probe: *mut ProbeStruct) -> c_int;
    fn blkid_probe_lookup_value(
        probe: *mut ProbeStruct,
        name: *const c_char,
        data: *mut *const c_char,
        length: *mut usize,
    ) -> c_int;
}

/// The kinds of all signatures on a device, in libblkid's words: `vfat`, `swap`,
/// `linux_raid_member`, `gpt`, ...
pub fn signatures(device: &Path) -> io::Result<Vec<String>> {
    let file = File::open(device)?;
    let mut kinds = Vec::new();
    // A partition table says where it is in sectors: one made on a disk of 4096 bytes a sector is
    // looked for on each disk.
    for sector in [None, Some(4096)] {
        for kind in Probe::new(&file, sector)?.kinds()? {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
    }
    Ok(kinds)
}

struct Probe<'a> {
    probe: NonNull<ProbeStruct>,
    /// The library reads from it until the probe is freed.
    _file: &'a File,
}

impl<'a> Probe<'a> {
    fn new(file: &'a File, sector: Option<c_uint>) -> io::Result<Self> {
        // SAFETY: takes nothing; what it returns is checked and freed in `drop`.
        let probe = NonNull::new(unsafe { blkid_new_probe() })
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let this = Probe { probe, _file: file };
        let superblocks = SUBLKS_TYPE | SUBLKS_MAGIC | SUBLKS_BADCSUM;
        // SAFETY: the probe is valid until `drop`; the descriptor is open as long as `file` is
        // borrowed, which is longer; offset and size of 0 mean the whole device.
        let results = unsafe {
            let probe = this.probe.as_ptr();
            [
                blkid_probe_set_device(probe, file.as_raw_fd(), 0, 0),
                sector.map_or(0, |size| blkid_probe_set_sectorsize(probe, size)),
                blkid_probe_enable_superblocks(probe, 1),
                blkid_probe_set_superblocks_flags(probe, superblocks),
                blkid_probe_enable_partitions(probe, 1),
                blkid_probe_set_partitions_flags(probe, PARTS_FORCE_GPT | PARTS_MAGIC),
            ]
        };
        if results.iter().all(|result| *result == 0) {
            Ok(this)
        } else {
            Err(io::Error::other("libblkid cannot look at it"))
        }
    }

    fn kinds(&self) -> io::Result<Vec<String>> {
        let mut kinds = Vec::new();
        for _ in 0..MOST {
            // SAFETY: the probe is valid until `drop`.
            match unsafe { blkid_do_probe(self.probe.as_ptr()) } {
                0 => {
                    let kind = self.value(c"TYPE").or_else(|| self.value(c"PTTYPE"));
                    kinds.push(kind.unwrap_or_else(|| "something unnamed".into()));
                }
                1 => return Ok(kinds),
                _ => return Err(io::Error::other("libblkid cannot read it")),
            }
        }
        Ok(kinds)
    }

    fn value(&self, name: &CStr) -> Option<String> {
        let mut data = ptr::null();
        // SAFETY: the name is zero-terminated, `data` is written to, and a null length is allowed.
        let found = unsafe {
            blkid_probe_lookup_value(
                self.probe.as_ptr(),
                name.as_ptr(),
                &mut data,
                ptr::null_mut(),
            )
        };
        if found != 0 || data.is_null() {
            return None;
        }
        // SAFETY: values are zero-terminated and stay until the next call on this probe.
        let value = unsafe { CStr::from_ptr(data) };
        Some(value.to_string_lossy().into_owned())
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        // SAFETY: from blkid_new_probe, freed once.
        unsafe { blkid_free_probe(self.probe.as_ptr()) }
    }
}
