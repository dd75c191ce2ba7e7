//! How many members an array can do without.

use super::superblock::{Level, Superblock};

/// Can the array be started without the members in the slots of `missing`?
pub fn is_enough(superblock: &Superblock, missing: &[u32]) -> bool {
    let count = u32::try_from(missing.len()).unwrap_or(u32::MAX);
    if superblock.members == 0 || count >= superblock.members {
        return false;
    }
    match superblock.level {
        Level::Linear | Level::Raid0 => count == 0,
        Level::Raid1 => true,
        Level::Raid4 | Level::Raid5 => count <= 1,
        Level::Raid6 => count <= 2,
        Level::Raid10 => has_all_copies(superblock, missing),
        Level::Other(_) => false,
    }
}

/// RAID 10: of each set of members that hold the same blocks one is there (the kernel's `_enough`).
fn has_all_copies(superblock: &Superblock, missing: &[u32]) -> bool {
    let near = superblock.layout & 0xff;
    let far = (superblock.layout >> 8) & 0xff;
    let members = superblock.members;
    let copies = near.saturating_mul(far);
    if copies == 0 || copies > members {
        return false;
    }
    if missing.is_empty() {
        return true;
    }
    // The sets begin at every multiple of `near`, in a ring; after as many as there are members they repeat.
    let mut first = 0_u32;
    for _ in 0..members {
        let mut slots =
            (0..copies).filter_map(|index| first.checked_add(index)?.checked_rem(members));
        if slots.all(|slot| missing.contains(&slot)) {
            return false;
        }
        let next = first
            .checked_add(near)
            .and_then(|next| next.checked_rem(members));
        first = next.unwrap_or(0);
        if first == 0 {
            break;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::md::{ArrayId, Format};

    fn superblock(level: Level, layout: u32, members: u32) -> Superblock {
        Superblock {
            format: Format::V1_2,
            array: ArrayId([0; 16]),
            name: String::new(),
            created: 0,
            level,
            layout,
            chunk: 0,
            members,
            size: 0,
            data_offset: 0,
            data_size: 0,
            events: 0,
            number: 0,
            device: None,
            roles: vec![],
            reshaping: false,
            journal: false,
            unknown_features: 0,
        }
    }

    #[test]
    fn each_level_does_without_as_many_as_it_promises() {
        let cases = [
            (Level::Linear, 3, 0),
            (Level::Raid0, 3, 0),
            (Level::Raid1, 3, 2),
            (Level::Raid4, 3, 1),
            (Level::Raid5, 3, 1),
            (Level::Raid6, 5, 2),
            (Level::Other(-4), 3, 0),
        ];
        for (level, members, most) in cases {
            let superblock = superblock(level, 0, members);
            for count in 1..=members {
                let missing: Vec<u32> = (0..count).collect();
                assert_eq!(
                    is_enough(&superblock, &missing),
                    count <= most,
                    "{level} {count}"
                );
            }
            assert_eq!(is_enough(&superblock, &[]), level != Level::Other(-4));
        }
        assert!(!is_enough(&superblock(Level::Raid1, 0, 0), &[]));
    }

    #[test]
    fn raid10_needs_one_of_each_set_of_copies() {
        let near2 = superblock(Level::Raid10, 0x102, 4);
        assert!(is_enough(&near2, &[0, 2]) && is_enough(&near2, &[1, 3]));
        assert!(!is_enough(&near2, &[0, 1]) && !is_enough(&near2, &[2, 3]));
        // Three members, two far copies: every neighbour holds the other's.
        let far2 = superblock(Level::Raid10, 0x201, 3);
        assert!(is_enough(&far2, &[1]));
        assert!(!is_enough(&far2, &[0, 2]) && !is_enough(&far2, &[0, 1]));
        for layout in [0, 0x100, 0x2, 0x104, 0xffff] {
            assert!(
                !is_enough(&superblock(Level::Raid10, layout, 3), &[]),
                "{layout:#x}"
            );
        }
    }
}
