//! Files of /sys and /proc, read with bounds.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{
    device::{self, Device, Driver, Kind},
    error::StackError,
};
use crate::{device_number::Number, mountinfo::Mount};

/// The kernel's attributes are at most a page.
const LONGEST_ATTRIBUTE: u64 = 4096;
const LONGEST_MOUNTINFO: u64 = 16 << 20;
/// Entries of a directory that is looked through: all block devices.
const MOST_ENTRIES: usize = 65_536;
/// Devices that a disk hangs on, one on another.
const MOST_DRIVERS: usize = 32;

/// /sys and /proc below a directory.
pub struct Sysfs {
    sys: PathBuf,
    mountinfo: PathBuf,
}

impl Sysfs {
    pub fn below(root: &Path) -> Result<Self, StackError> {
        let sys = root.join("sys");
        let canonical = sys.canonicalize();
        Ok(Self {
            sys: canonical.map_err(|source| StackError::Read { path: sys, source })?,
            mountinfo: root.join("proc/self/mountinfo"),
        })
    }

    pub fn mountinfo(&self) -> Result<String, StackError> {
        text(&self.mountinfo, LONGEST_MOUNTINFO)
    }

    /// The devices of a mount.
    pub fn devices_of(&self, mount: &Mount) -> Result<Vec<Number>, StackError> {
        if mount.number.major != 0 {
            return Ok(vec![mount.number]);
        }
        // A file system on several devices has a number of its own, and says one of them.
        let none = || StackError::NoDevice {
            place: mount.place.clone(),
            source_name: mount.source.clone(),
            kind: mount.kind.clone(),
        };
        let node = mount.source.strip_prefix("/dev/").ok_or_else(none)?;
        let name = match node.strip_prefix("mapper/") {
            Some(mapping) => self.of_mapping(mapping)?.ok_or_else(none)?,
            None if node.contains('/') => return Err(none()),
            None => node.to_owned(),
        };
        if mount.kind == "btrfs" {
            return self.of_btrfs(&name)?.ok_or_else(none);
        }
        let block = self.sys.join("class/block").join(&name);
        if !block.exists() {
            return Err(none());
        }
        Ok(vec![number(&block.join("dev"))?])
    }

    /// The kernel's name of a mapping.
    fn of_mapping(&self, mapping: &str) -> Result<Option<String>, StackError> {
        let class = self.sys.join("class/block");
        for name in entries(&class)? {
            let path = class.join(&name).join("dm/name");
            if optional(&path)?.as_deref() == Some(mapping) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// All devices of the btrfs that `name` belongs to.
    fn of_btrfs(&self, name: &str) -> Result<Option<Vec<Number>>, StackError> {
        let all = self.sys.join("fs/btrfs");
        for id in entries(&all)? {
            let devices = all.join(&id).join("devices");
            let Ok(names) = entries(&devices) else {
                continue; // "features" is not a file system
            };
            if names.iter().any(|found| found == name) {
                let numbers = names
                    .iter()
                    .map(|name| number(&devices.join(name).join("dev")));
                return numbers.collect::<Result<_, _>>().map(Some);
            }
        }
        Ok(None)
    }

    /// Follows a link, which has to stay in /sys.
    fn real(&self, path: &Path) -> Result<PathBuf, StackError> {
        let real = path.canonicalize().map_err(|source| StackError::Read {
            path: path.to_owned(),
            source,
        })?;
        if real.starts_with(&self.sys) {
            Ok(real)
        } else {
            Err(StackError::Outside(path.to_owned()))
        }
    }

    pub fn device(&self, wanted: Number) -> Result<Device, StackError> {
        let path = self.real(&self.sys.join(format!("dev/block/{wanted}")))?;
        let name = base(&path);
        let mut below = Vec::new();
        let kind = if let Some(text) = optional(&path.join("partition"))? {
            let disk = path.parent().unwrap_or(&path);
            below.push(number(&disk.join("dev"))?);
            let number = text.parse().map_err(|_| StackError::Says {
                path: path.join("partition"),
                text,
                wanted: "the number of a partition",
            })?;
            Kind::Partition { number }
        } else if let Some(name) = optional(&path.join("dm/name"))? {
            // Only a mapping that was made without one has none.
            let uuid = optional(&path.join("dm/uuid"))?.unwrap_or_default();
            device::mapping(name, uuid)
        } else if let Some(level) = optional(&path.join("md/level"))? {
            Kind::Md {
                level,
                metadata: attribute(&path.join("md/metadata_version"))?,
                uuid: optional(&path.join("md/uuid"))?,
                members: members(&path.join("md/raid_disks"))?,
            }
        } else if path.join("loop").exists() {
            Kind::Loop
        } else {
            Kind::Disk
        };
        let slaves = path.join("slaves");
        if slaves.exists() {
            for slave in entries(&slaves)? {
                let number = number(&self.real(&slaves.join(&slave))?.join("dev"))?;
                below.push(number);
            }
        }
        let sectors = attribute(&path.join("size"))?;
        Ok(Device {
            name,
            sectors: sectors.parse().map_err(|_| StackError::Says {
                path: path.join("size"),
                text: sectors,
                wanted: "a number of sectors",
            })?,
            drivers: if kind == Kind::Disk {
                self.drivers(&path)?
            } else {
                Vec::new()
            },
            kind,
            below,
        })
    }

    /// From the disk's device up to /sys/devices.
    fn drivers(&self, disk: &Path) -> Result<Vec<Driver>, StackError> {
        let device = disk.join("device");
        if !device.exists() {
            return Ok(Vec::new()); // a disk of the memory
        }
        let mut drivers = Vec::new();
        let start = self.real(&device)?;
        let end = self.sys.join("devices");
        let way = start
            .ancestors()
            .take_while(|path| **path != end && path.starts_with(&end));
        for path in way.take(MOST_DRIVERS) {
            let driver = path.join("driver");
            let driver = if driver.exists() {
                Some(self.real(&driver)?)
            } else {
                None
            };
            let module = driver.as_ref().map(|driver| driver.join("module"));
            let module = match module.filter(|module| module.exists()) {
                Some(module) => Some(base(&self.real(&module)?)),
                None => None,
            };
            let found = Driver {
                modalias: optional(&path.join("modalias"))?,
                driver: driver.as_deref().map(base),
                module,
            };
            if found.modalias.is_some() || found.driver.is_some() {
                drivers.push(found);
            }
        }
        Ok(drivers)
    }
}

fn base(path: &Path) -> String {
    let name = path.file_name();
    // A path of /sys that was resolved ends with a name.
    name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn text(path: &Path, longest: u64) -> Result<String, StackError> {
    let read = |file: File| {
        let mut text = String::new();
        file.take(longest).read_to_string(&mut text)?;
        Ok(text)
    };
    File::open(path)
        .and_then(read)
        .map_err(|source| StackError::Read {
            path: path.to_owned(),
            source,
        })
}

fn attribute(path: &Path) -> Result<String, StackError> {
    let text = text(path, LONGEST_ATTRIBUTE)?;
    Ok(text.trim_end_matches('\n').to_owned())
}

/// `None` where the file is not there, or empty.
fn optional(path: &Path) -> Result<Option<String>, StackError> {
    match attribute(path) {
        Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        Err(StackError::Read { source, .. }) if is_absent(&source) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn number(path: &Path) -> Result<Number, StackError> {
    let text = attribute(path)?;
    Number::parse(&text).ok_or_else(|| StackError::Says {
        path: path.to_owned(),
        text,
        wanted: "the number of a device",
    })
}

/// How many members an array has: `2`, or `3 (2)` while the number changes.
fn members(path: &Path) -> Result<u32, StackError> {
    let text = attribute(path)?;
    let first = text.split_whitespace().next().map(str::parse);
    match first {
        Some(Ok(members)) => Ok(members),
        _ => Err(StackError::Says {
            path: path.to_owned(),
            text,
            wanted: "the number of members of an array",
        }),
    }
}

/// Names in a directory, in order.
fn entries(directory: &Path) -> Result<Vec<String>, StackError> {
    let failed = |source| StackError::Read {
        path: directory.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)?.take(MOST_ENTRIES) {
        names.push(
            entry
                .map_err(failed)?
                .file_name()
                .to_string_lossy()
                .into_owned(),
        );
    }
    names.sort();
    Ok(names)
}
