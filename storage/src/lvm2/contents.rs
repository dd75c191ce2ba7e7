//! The bytes of a logical volume, read from the devices below it: nothing is mapped.

use std::io::{self, Read, Seek, SeekFrom};

use super::tables::{Mapping, Node, Target};
use crate::disk::Disk;

/// What the tables count in.
const SECTOR: u64 = 512;

/// A logical volume as a disk of its own.
pub struct Contents<'d> {
    devices: Vec<(Node, &'d mut dyn Disk)>,
    targets: Vec<Target>,
    at: u64,
}

/// A part of the volume is on none of the devices that are read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a part of the logical volume {0} is on another device than those that are read")]
pub struct OtherDevice(String);

/// It does not fit into numbers of 64 bits. The tables were checked for that.
fn too_long() -> io::Error {
    io::Error::other("the logical volume is longer than a device can be")
}

impl<'d> Contents<'d> {
    /// What `mapping` would show, of which all is on `devices`.
    ///
    /// # Errors
    /// A part of it is on another device.
    pub fn of(
        mapping: &Mapping,
        devices: Vec<(Node, &'d mut dyn Disk)>,
    ) -> Result<Self, OtherDevice> {
        let mut places = mapping.targets.iter().flat_map(|target| &target.on);
        if places.any(|(place, _)| devices.iter().all(|(node, _)| node != place)) {
            return Err(OtherDevice(mapping.name.clone()));
        }
        Ok(Self {
            devices,
            targets: mapping.targets.clone(),
            at: 0,
        })
    }

    fn size(&self) -> Option<u64> {
        let Some(last) = self.targets.last() else {
            return Some(0);
        };
        last.start.checked_add(last.length)?.checked_mul(SECTOR)
    }

    /// Where the next byte is, and how many follow it there. No target: the end.
    fn place(&self) -> Option<Option<Place>> {
        for target in &self.targets {
            let start = target.start.checked_mul(SECTOR)?;
            let length = target.length.checked_mul(SECTOR)?;
            match self.at.checked_sub(start) {
                Some(within) if within < length => {
                    return Some(Some(place_in(target, within, length)?));
                }
                _ => {}
            }
        }
        Some(None)
    }
}

/// Bytes that follow one another on a device.
struct Place {
    node: Node,
    offset: u64,
    run: u64,
}

/// As the kernel's dm-linear and dm-stripe count.
fn place_in(target: &Target, within: u64, length: u64) -> Option<Place> {
    let (stripe, before, within, run) = match target.on.len() {
        1 => (0, 0, within, length.checked_sub(within)?),
        count => {
            let chunk = target.chunk.checked_mul(SECTOR)?;
            let number = within.checked_div(chunk)?;
            let within = within.checked_rem(chunk)?;
            let count = u64::try_from(count).ok()?;
            let row = number.checked_div(count)?;
            let stripe = usize::try_from(number.checked_rem(count)?).ok()?;
            (
                stripe,
                row.checked_mul(chunk)?,
                within,
                chunk.checked_sub(within)?,
            )
        }
    };
    let (node, sector) = target.on.get(stripe)?;
    let begins = sector.checked_mul(SECTOR)?.checked_add(before)?;
    Some(Place {
        node: *node,
        offset: begins.checked_add(within)?,
        run,
    })
}

impl Read for Contents<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(place) = self.place().ok_or_else(too_long)? else {
            return Ok(0);
        };
        let most = usize::try_from(place.run)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let mut devices = self.devices.iter_mut();
        let found = devices.find(|(node, _)| *node == place.node);
        let (Some((_, disk)), Some(part)) = (found, buffer.get_mut(..most)) else {
            return Err(io::Error::other(
                "a device of the logical volume is missing",
            ));
        };
        disk.seek(SeekFrom::Start(place.offset))?;
        let length = disk.read(part)?;
        let after = self.at.checked_add(length as u64);
        self.at = after.ok_or_else(too_long)?;
        Ok(length)
    }
}

impl Seek for Contents<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size().and_then(|size| size.checked_add_signed(by)),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::disk;

    const NODE: Node = Node {
        major: 254,
        minor: 0,
        sectors: 64,
    };

    fn mapping(targets: Vec<Target>) -> Mapping {
        Mapping {
            name: "vg-lv".into(),
            uuid: "LVM-".into(),
            read_only: false,
            targets,
        }
    }

    fn target(start: u64, length: u64, chunk: u64, on: &[u64]) -> Target {
        let on = on.iter().map(|sector| (NODE, *sector)).collect();
        Target {
            start,
            length,
            chunk,
            on,
        }
    }

    /// Every sector has its number in each of its bytes.
    fn numbered() -> Cursor<Vec<u8>> {
        Cursor::new((0..64_u8).flat_map(|sector| [sector; 512]).collect())
    }

    #[test]
    fn sectors_are_where_the_kernels_targets_have_them() {
        let mut disk = numbered();
        let mapping = mapping(vec![
            target(0, 2, 0, &[40]),
            target(2, 8, 2, &[10, 20]),
            target(10, 1, 0, &[5]),
        ]);
        let mut contents = Contents::of(&mapping, vec![(NODE, &mut disk)]).unwrap();
        assert_eq!(disk::size(&mut contents).unwrap(), 11 * 512);
        let read = disk::read(&mut contents, 0, 11 * 512).unwrap();
        let sectors: Vec<u8> = read.chunks(512).map(|sector| sector[0]).collect();
        assert_eq!(sectors, [40, 41, 10, 11, 20, 21, 12, 13, 22, 23, 5]);
        assert!(read.chunks(512).all(|sector| sector == [sector[0]; 512]));
        // Over the border of a chunk, and at the end.
        let read = disk::read(&mut contents, 3 * 512 + 511, 2).unwrap();
        assert_eq!(read, [11, 20]);
        assert!(disk::read(&mut contents, 11 * 512 - 1, 2).is_err());
        contents.seek(SeekFrom::Start(1 << 40)).unwrap();
        assert_eq!(contents.read(&mut [0; 8]).unwrap(), 0);
    }

    #[test]
    fn parts_come_from_the_device_that_each_is_on() {
        let (mut one, mut other) = (numbered(), Cursor::new(vec![0xff; 64 * 512]));
        let mut elsewhere = target(2, 1, 0, &[7]);
        elsewhere.on[0].0.minor = 1;
        let second = elsewhere.on[0].0;
        // A striped part over both.
        let mut striped = target(3, 4, 1, &[20, 30]);
        striped.on[1].0 = second;
        let mapping = mapping(vec![target(0, 2, 0, &[40]), elsewhere, striped]);
        let devices: Vec<(_, &mut dyn Disk)> = vec![(NODE, &mut one), (second, &mut other)];
        let mut contents = Contents::of(&mapping, devices).unwrap();
        let read = disk::read(&mut contents, 0, 7 * 512).unwrap();
        let sectors: Vec<u8> = read.chunks(512).map(|sector| sector[0]).collect();
        assert_eq!(sectors, [40, 41, 0xff, 20, 0xff, 21, 0xff]);
    }

    #[test]
    fn what_is_on_another_device_or_beyond_all_numbers_is_not_read() {
        let mut disk = numbered();
        let mut elsewhere = target(0, 2, 0, &[4]);
        elsewhere.on[0].0.minor = 1;
        assert!(Contents::of(&mapping(vec![elsewhere]), vec![(NODE, &mut disk)]).is_err());
        for odd in [
            target(0, u64::MAX, 0, &[4]),
            target(0, 8, 0, &[u64::MAX]),
            target(0, 8, 0, &[1, 2]),
            target(0, 8, u64::MAX, &[1, 2]),
            target(0, 8, 0, &[]),
        ] {
            let mapping = mapping(vec![odd]);
            let mut contents = Contents::of(&mapping, vec![(NODE, &mut disk)]).unwrap();
            assert!(contents.read(&mut [0; 8]).is_err());
        }
    }
}
