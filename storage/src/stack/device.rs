//! A block device, as /sys describes it.

use crate::device_number::Number;

/// A block device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The kernel's name: `sda1`, `dm-0`.
    pub name: String,
    /// Size in sectors of 512 bytes.
    pub sectors: u64,
    /// What it is.
    pub kind: Kind,
    /// The devices that it is made of.
    pub below: Vec<Number>,
    /// Of a disk: its own driver first, then those of what it hangs on.
    pub drivers: Vec<Driver>,
}

/// What a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A part of a disk.
    Partition {
        /// Its number in the disk's table.
        number: u32,
    },
    /// A volume that device-mapper encrypts.
    Crypt {
        /// Its name below /dev/mapper.
        name: String,
        /// LUKS1, LUKS2, PLAIN, ...
        format: String,
        /// The UUID in the header, with its hyphens; `PLAIN` has none.
        uuid: Option<String>,
    },
    /// A logical volume.
    Lvm {
        /// Its name below /dev/mapper.
        name: String,
        /// The two UUIDs, with `LVM-` before them.
        uuid: String,
    },
    /// Another mapping.
    Mapper {
        /// Its name below /dev/mapper.
        name: String,
        /// The UUID that its maker gave it; it can be empty.
        uuid: String,
    },
    /// An array.
    Md {
        /// `raid1`, ...
        level: String,
        /// `1.2`, ...
        metadata: String,
        /// Where the kernel says it.
        uuid: Option<String>,
        /// How many it has when it is whole, spares not counted.
        members: u32,
    },
    /// A file as a device.
    Loop,
    /// A disk.
    Disk,
}

/// A device on the way from a disk to the processor, and what drives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// What modprobe finds its module by; some devices have none.
    pub modalias: Option<String>,
    /// The driver's name.
    pub driver: Option<String>,
    /// Its module; a driver that is built in may have none.
    pub module: Option<String>,
}

/// What device-mapper's UUID says of a mapping (`CRYPT-LUKS2-<UUID without hyphens>-<name>`).
pub fn mapping(name: String, uuid: String) -> Kind {
    if uuid.starts_with("LVM-") {
        return Kind::Lvm { name, uuid };
    }
    let Some(rest) = uuid.strip_prefix("CRYPT-") else {
        return Kind::Mapper { name, uuid };
    };
    let (format, rest) = rest.split_once('-').unwrap_or((rest, ""));
    Kind::Crypt {
        name,
        format: format.to_owned(),
        uuid: rest.split('-').next().and_then(hyphenated),
    }
}

fn hyphenated(digits: &str) -> Option<String> {
    if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut rest = digits;
    let mut parts = Vec::new();
    for length in [8, 4, 4, 4, 12] {
        let (part, others) = rest.split_at_checked(length)?;
        parts.push(part);
        rest = others;
    }
    Some(parts.join("-"))
}
