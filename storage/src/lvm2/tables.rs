//! The device-mapper tables of logical volumes (lvm2's `lib/striped/striped.c`, the kernel's
//! `admin-guide/device-mapper`).

use std::{collections::BTreeMap, fmt};

use super::{
    check,
    choose::Group,
    id,
    volume_group::{Kind, LogicalVolume, On, Segment, Stripe, VolumeGroup},
};

/// device-mapper's DM_NAME_LEN, with the zero byte.
const LONGEST_NAME: usize = 127;

/// A block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Size in sectors of 512 bytes.
    pub sectors: u64,
}

impl fmt::Display for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.major, self.minor)
    }
}

/// A mapping that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Below /dev/mapper, as LVM names it.
    pub name: String,
    /// As LVM gives it: `LVM-` and two UUIDs.
    pub uuid: String,
    /// No writing.
    pub read_only: bool,
    /// In order and without holes.
    pub targets: Vec<Target>,
}

/// A line of a table, in sectors of 512 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where it begins in the mapping.
    pub start: u64,
    /// Its length.
    pub length: u64,
    /// Sectors on one device before the next has its turn; 0 with one device.
    pub chunk: u64,
    /// The devices, with the sector where it begins on each.
    pub on: Vec<(Node, u64)>,
}

impl Target {
    /// The target's type in the kernel.
    pub const fn kind(&self) -> &'static str {
        if self.on.len() == 1 {
            "linear"
        } else {
            "striped"
        }
    }

    /// What the kernel wants to know.
    pub fn parameters(&self) -> String {
        let places = self
            .on
            .iter()
            .map(|(node, sector)| format!("{node} {sector}"));
        let places = places.collect::<Vec<_>>().join(" ");
        if self.on.len() == 1 {
            places
        } else {
            format!("{} {} {places}", self.on.len(), self.chunk)
        }
    }
}

/// As `dmsetup table` prints it.
impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, length, .. } = self;
        write!(
            formatter,
            "{start} {length} {} {}",
            self.kind(),
            self.parameters()
        )
    }
}

/// A logical volume that is not mapped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// It is not in the group.
    #[error("the volume group {group} has no logical volume {volume}")]
    Absent {
        /// Group.
        group: String,
        /// Volume.
        volume: String,
    },
    /// It needs lvm2.
    #[error("the logical volume {volume} has a segment of type {kind}, which needs lvm2: {}", remedy(.kind, .volume))]
    Kind {
        /// Group and volume.
        volume: String,
        /// The type's word.
        kind: String,
    },
    /// Written to directly, the one that uses it would be wrong.
    #[error("the logical volume {volume} is used by {user}, of type {kind}, which needs lvm2: {}", remedy(.kind, .user))]
    Used {
        /// Group and volume.
        volume: String,
        /// Group and the volume that uses it.
        user: String,
        /// How.
        kind: String,
    },
    /// It is not to be used by itself.
    #[error("the logical volume {0} is a part of another")]
    Hidden(String),
    /// It may be locked, in conversion, or worse.
    #[error("the logical volume {volume} has the state {state:?}, which is not known")]
    State {
        /// Group and volume.
        volume: String,
        /// Its word.
        state: String,
    },
    /// The metadata contradicts itself.
    #[error(transparent)]
    Check(#[from] check::CheckError),
    /// The caller did not say where it is.
    #[error("the node of {0} is not known")]
    Node(String),
    /// The device has become smaller.
    #[error("the logical volume {volume} goes to sector {end} of {device}, which has {sectors}")]
    Beyond {
        /// Group and volume.
        volume: String,
        /// Device.
        device: String,
        /// Where it would end.
        end: u64,
        /// Where the device ends.
        sectors: u64,
    },
    /// More sectors than 64 bits count.
    #[error("the logical volume {0} is longer than a device can be")]
    Long(String),
    /// Device-mapper has no room for it.
    #[error("the mapping's name {0} has more than {LONGEST_NAME} characters")]
    Name(String),
    /// Nothing to map.
    #[error("the logical volume {0} has no segment")]
    Empty(String),
}

/// What the administrator can do.
fn remedy(kind: &str, volume: &str) -> String {
    let kind = kind.split('+').next().unwrap_or(kind);
    let convert = match kind {
        "mirror" | "raid1" => format!("lvconvert --mirrors 0 {volume}"),
        "cache" | "cache-pool" => format!("lvconvert --uncache {volume}"),
        "writecache" => format!("lvconvert --splitcache {volume}"),
        "integrity" => format!("lvconvert --raidintegrity n {volume}"),
        "snapshot" => "remove the snapshot (lvremove), or merge it".to_owned(),
        _ => "move it to a linear volume".to_owned(),
    };
    format!("have the program lvm in the image, or {convert}")
}

/// The mapping of `volume`. `nodes` says where the group's devices are.
///
/// # Errors
/// If it needs more than linear and striped targets, or does not fit onto the devices.
pub fn mapping(
    group: &Group,
    volume: &str,
    nodes: &BTreeMap<String, Node>,
) -> Result<Mapping, TableError> {
    let metadata = &group.metadata;
    check::overlaps(metadata)?;
    check::circles(metadata)?;
    let full = format!("{}/{volume}", metadata.name);
    let found = metadata.logical.get(volume);
    let found = found.ok_or_else(|| TableError::Absent {
        group: metadata.name.clone(),
        volume: volume.to_owned(),
    })?;
    check_use(metadata, volume, found, &full)?;
    let placing = Placing {
        group,
        full: &full,
        nodes,
    };
    let targets = found.segments.iter().map(|segment| placing.target(segment));
    let name = id::mapping_name(&metadata.name, volume);
    if name.len() > LONGEST_NAME {
        return Err(TableError::Name(name));
    }
    let mapping = Mapping {
        name,
        uuid: id::mapping_uuid(&metadata.id, &found.id),
        read_only: !found.writable,
        targets: targets.collect::<Result<_, _>>()?,
    };
    if mapping.targets.is_empty() {
        return Err(TableError::Empty(full));
    }
    Ok(mapping)
}

/// May the volume be mapped by itself?
fn check_use(
    group: &VolumeGroup,
    name: &str,
    volume: &LogicalVolume,
    full: &str,
) -> Result<(), TableError> {
    for segment in &volume.segments {
        if let Some(kind) = needs_lvm(segment, group) {
            return Err(TableError::Kind {
                volume: full.to_owned(),
                kind,
            });
        }
    }
    for (user, other) in &group.logical {
        for segment in &other.segments {
            if let Kind::Other { word, uses } = &segment.kind
                && uses.iter().any(|used| used == name)
            {
                return Err(TableError::Used {
                    volume: full.to_owned(),
                    user: format!("{}/{user}", group.name),
                    kind: word.clone(),
                });
            }
        }
    }
    if !volume.visible {
        return Err(TableError::Hidden(full.to_owned()));
    }
    match volume.unknown_states.first() {
        None => Ok(()),
        Some(state) => Err(TableError::State {
            volume: full.to_owned(),
            state: state.clone(),
        }),
    }
}

/// The type that needs lvm2, of the segment or of the volume that it is on.
fn needs_lvm(segment: &Segment, group: &VolumeGroup) -> Option<String> {
    match &segment.kind {
        Kind::Other { word, .. } => Some(word.clone()),
        Kind::Striped { stripes, .. } => stripes.iter().find_map(|stripe| match &stripe.on {
            On::Physical(_) => None,
            // pvmove is the only one that puts a volume onto another in this way.
            On::Logical(name) => {
                let below = group.logical.get(name)?;
                let kinds = below
                    .segments
                    .iter()
                    .find_map(|segment| match &segment.kind {
                        Kind::Other { word, .. } => Some(word.clone()),
                        Kind::Striped { .. } => None,
                    });
                Some(kinds.unwrap_or_else(|| format!("striped on {name}")))
            }
        }),
    }
}

/// Where extents are in sectors.
struct Placing<'g> {
    group: &'g Group,
    full: &'g str,
    nodes: &'g BTreeMap<String, Node>,
}

impl Placing<'_> {
    fn long(&self) -> TableError {
        TableError::Long(self.full.to_owned())
    }

    fn sectors(&self, extents: u64) -> Result<u64, TableError> {
        let sectors = extents.checked_mul(self.group.metadata.extent_size);
        sectors.ok_or_else(|| self.long())
    }

    fn target(&self, segment: &Segment) -> Result<Target, TableError> {
        let Kind::Striped { chunk, stripes } = &segment.kind else {
            return Err(self.long());
        };
        let length = self.sectors(segment.extents)?;
        let count = u64::try_from(stripes.len()).map_err(|_| self.long())?;
        let each = length.checked_div(count).ok_or_else(|| self.long())?;
        let on = stripes.iter().map(|stripe| self.place(stripe, each));
        Ok(Target {
            start: self.sectors(segment.start)?,
            length,
            chunk: *chunk,
            on: on.collect::<Result<_, _>>()?,
        })
    }

    fn place(&self, stripe: &Stripe, length: u64) -> Result<(Node, u64), TableError> {
        let (On::Physical(name) | On::Logical(name)) = &stripe.on;
        let volume = self.group.metadata.physical.get(name);
        let device = self.group.devices.get(name);
        let (Some(volume), Some(device)) = (volume, device) else {
            return Err(TableError::Node(name.clone()));
        };
        let node = self.nodes.get(device);
        let node = *node.ok_or_else(|| TableError::Node(device.clone()))?;
        let first = volume
            .first_sector
            .checked_add(self.sectors(stripe.extent)?);
        let first = first.ok_or_else(|| self.long())?;
        let end = first.checked_add(length).ok_or_else(|| self.long())?;
        if end > node.sectors {
            return Err(TableError::Beyond {
                volume: self.full.to_owned(),
                device: device.clone(),
                end,
                sectors: node.sectors,
            });
        }
        Ok((node, first))
    }
}
