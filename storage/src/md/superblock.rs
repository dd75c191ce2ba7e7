//! What a superblock of the kernel's md driver says, whatever its format.

use std::fmt;

/// The UUID of an array.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArrayId(pub [u8; 16]);

impl ArrayId {
    /// From hexadecimal digits with any punctuation between them, as mdadm.conf(5) has it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut digits = text.chars().filter(|letter| !":- .".contains(*letter));
        let mut bytes = [0; 16];
        for byte in &mut bytes {
            let high = digits.next()?.to_digit(16)?;
            let low = digits.next()?.to_digit(16)?;
            *byte = u8::try_from((high << 4) | low).ok()?;
        }
        digits.next().is_none().then_some(Self(bytes))
    }
}

/// As mdadm and udev print it.
impl fmt::Display for ArrayId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in (0..).zip(self.0) {
            if index > 0 && index % 4 == 0 {
                formatter.write_str(":")?;
            }
            write!(formatter, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ArrayId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The format, which says where the superblock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// At the end, in the order of bytes of the machine that made it.
    V0_90,
    /// At the end.
    V1_0,
    /// At the beginning.
    V1_1,
    /// At 4 KiB.
    V1_2,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::V0_90, Self::V1_0, Self::V1_1, Self::V1_2];

    /// Major and minor number, as the kernel is told them when an array is assembled.
    pub const fn numbers(self) -> (u8, u8) {
        match self {
            Self::V0_90 => (0, 90),
            Self::V1_0 => (1, 0),
            Self::V1_1 => (1, 1),
            Self::V1_2 => (1, 2),
        }
    }

    /// The sector of the superblock on a device of `sectors`. `None`: the device is too small for one.
    pub const fn sector(self, sectors: u64) -> Option<u64> {
        match self {
            Self::V0_90 => (sectors & !127).checked_sub(128),
            // The end less 8 KiB, at a multiple of 4 KiB.
            Self::V1_0 => match sectors.checked_sub(16) {
                Some(sector) => Some(sector & !7),
                None => None,
            },
            Self::V1_1 if sectors >= 8 => Some(0),
            Self::V1_2 if sectors >= 16 => Some(8),
            Self::V1_1 | Self::V1_2 => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::V0_90 => "0.90",
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        })
    }
}

/// How the members make an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// One behind the other.
    Linear,
    /// Stripes.
    Raid0,
    /// Copies.
    Raid1,
    /// Stripes, and parity on one device.
    Raid4,
    /// Stripes and parity.
    Raid5,
    /// Stripes and parity twice.
    Raid6,
    /// Stripes of copies.
    Raid10,
    /// Containers, multipath, faulty: none that a machine boots from.
    Other(i32),
}

impl Level {
    /// From its number.
    pub const fn from_number(number: i32) -> Self {
        match number {
            -1 => Self::Linear,
            0 => Self::Raid0,
            1 => Self::Raid1,
            4 => Self::Raid4,
            5 => Self::Raid5,
            6 => Self::Raid6,
            10 => Self::Raid10,
            other => Self::Other(other),
        }
    }

    /// The kernel module that it needs, as modprobe finds it.
    pub const fn module(self) -> Option<&'static str> {
        match self {
            Self::Linear => Some("linear"),
            Self::Raid0 => Some("raid0"),
            Self::Raid1 => Some("raid1"),
            Self::Raid4 | Self::Raid5 | Self::Raid6 => Some("raid456"),
            Self::Raid10 => Some("raid10"),
            Self::Other(_) => None,
        }
    }
}

/// As mdadm prints it.
impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linear => formatter.write_str("linear"),
            Self::Raid0 => formatter.write_str("raid0"),
            Self::Raid1 => formatter.write_str("raid1"),
            Self::Raid4 => formatter.write_str("raid4"),
            Self::Raid5 => formatter.write_str("raid5"),
            Self::Raid6 => formatter.write_str("raid6"),
            Self::Raid10 => formatter.write_str("raid10"),
            Self::Other(number) => write!(formatter, "level {number}"),
        }
    }
}

/// What a device is in an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A member, in this slot.
    Active(u32),
    /// Waits for one to fail.
    Spare,
    /// Was taken out.
    Faulty,
    /// Holds the journal of a RAID 4, 5 or 6.
    Journal,
}

/// A superblock. Sizes are in sectors of 512 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// Its format.
    pub format: Format,
    /// The array's UUID.
    pub array: ArrayId,
    /// The array's name, with the machine's before a colon; 0.90 has none.
    pub name: String,
    /// When the array was made: seconds since 1970, and for format 1 microseconds above bit 40.
    pub created: u64,
    /// Level.
    pub level: Level,
    /// The level's own number for how blocks are laid out.
    pub layout: u32,
    /// Sectors on one member before the next has its turn.
    pub chunk: u32,
    /// Members of a complete array.
    pub members: u32,
    /// Sectors used of each member; 0 where each gives what it has.
    pub size: u64,
    /// Where the data begins on this device.
    pub data_offset: u64,
    /// What there is for data on this device.
    pub data_size: u64,
    /// Counts the changes of the array's state.
    pub events: u64,
    /// This device's number in the array: not its slot.
    pub number: u32,
    /// This device's own UUID; 0.90 has none.
    pub device: Option<ArrayId>,
    /// The role of each number, as this device knows it.
    pub roles: Vec<Role>,
    /// The array is becoming another: level, chunk or members change.
    pub reshaping: bool,
    /// The array has a journal, without which it is not whole.
    pub journal: bool,
    /// Features that the kernel must know, and this reader does not.
    pub unknown_features: u32,
}

impl Superblock {
    /// What this device says that it is.
    pub fn role(&self) -> Role {
        self.role_of(self.number)
    }

    /// What this superblock says of a number.
    pub fn role_of(&self, number: u32) -> Role {
        // A number that is no index here has no role in the array, as one beyond the list.
        let index = usize::try_from(number).ok();
        let role = index.and_then(|index| self.roles.get(index));
        role.copied().unwrap_or(Role::Faulty)
    }
}
