//! The open volumes that a volume group may be on.

use std::io::Error;

use storage::{Disk, disk, lvm2::Node};

/// An enrolled volume that is open.
pub struct OpenDevice<'d> {
    /// Its mapping's node, for people.
    pub name: String,
    /// Where it is, for the tables of logical volumes.
    pub node: Node,
    /// Its content.
    pub disk: Box<dyn Disk + 'd>,
}

/// The volume with the records, and the further ones that /init opens with it.
pub struct OpenDevices<'d> {
    first: OpenDevice<'d>,
    further: Vec<OpenDevice<'d>>,
}

impl<'d> OpenDevice<'d> {
    /// A device of that number.
    ///
    /// # Errors
    /// It cannot be asked for its size.
    pub fn new(
        name: String,
        (major, minor): (u32, u32),
        mut disk: Box<dyn Disk + 'd>,
    ) -> Result<Self, Error> {
        let sectors = disk::size(&mut disk).map_err(Error::other)? / 512;
        let node = Node {
            major,
            minor,
            sectors,
        };
        Ok(Self { name, node, disk })
    }
}

impl<'d> OpenDevices<'d> {
    /// One volume and nothing else.
    pub const fn of(first: OpenDevice<'d>) -> Self {
        Self {
            first,
            further: Vec::new(),
        }
    }

    /// With another one.
    pub fn push(&mut self, further: OpenDevice<'d>) {
        self.further.push(further);
    }

    /// The volume with the records.
    pub const fn first(&mut self) -> &mut OpenDevice<'d> {
        &mut self.first
    }

    /// The others.
    pub fn further(&mut self) -> impl Iterator<Item = &mut OpenDevice<'d>> {
        self.further.iter_mut()
    }

    /// All of them, the first one first.
    pub fn all(&mut self) -> impl Iterator<Item = &mut OpenDevice<'d>> {
        std::iter::once(&mut self.first).chain(&mut self.further)
    }
}
