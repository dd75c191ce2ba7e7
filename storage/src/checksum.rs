//! The checksums of the formats: they find accidents, not forgers.
//!
//! LVM and btrfs have cyclic redundancy checks of 32 bits, reflected; md adds words.

/// The polynomial of LVM (and of zip).
const IEEE: [u32; 256] = table(0xedb8_8320);

/// The polynomial of btrfs (Castagnoli's).
const CASTAGNOLI: [u32; 256] = table(0x82f6_3b78);

/// What LVM begins with, where others begin with all ones.
const LVM_FIRST: u32 = 0xf597_a6cf;

#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "counts to 256 and to 8, at compile time"
)]
const fn table(polynomial: u32) -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = (value >> 1) ^ (polynomial & 0_u32.wrapping_sub(value & 1));
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

fn crc(table: &[u32; 256], first: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(first, |value, byte| {
        let [low, ..] = value.to_le_bytes();
        #[expect(clippy::indexing_slicing, reason = "a byte is less than 256")]
        let change = table[usize::from(low ^ byte)];
        (value >> 8) ^ change
    })
}

/// Of an LVM label, a metadata area or its text.
pub fn lvm(bytes: &[u8]) -> u32 {
    crc(&IEEE, LVM_FIRST, bytes)
}

/// CRC-32C, of a btrfs superblock.
pub fn crc32c(bytes: &[u8]) -> u32 {
    !crc(&CASTAGNOLI, !0, bytes)
}

/// Of an md superblock of format 0.90: all words but the checksum's own, folded once.
pub fn md_v0(block: &[u8]) -> u32 {
    folded(block, 152)
}

/// Of an md superblock of format 1 with its roles.
pub fn md_v1(block: &[u8]) -> u32 {
    folded(block, 216)
}

/// The words of at most 4 KiB, less the one at `own`: their sum is far from 64 bits.
fn folded(block: &[u8], own: usize) -> u32 {
    let (words, rest) = block.as_chunks::<4>();
    let mut sum = match rest {
        [low, high, ..] => u64::from(u16::from_le_bytes([*low, *high])),
        _ => 0,
    };
    for (at, word) in (0_usize..).step_by(4).zip(words) {
        if at != own {
            sum = sum.wrapping_add(u32::from_le_bytes(*word).into());
        }
    }
    let [low, high] = [sum & 0xffff_ffff, sum >> 32];
    // Cut to 32 bits, as the kernel does.
    low.wrapping_add(high) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_values_of_the_catalogue_come_out() {
        assert_eq!(!crc(&IEEE, !0, b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
