//! Recognizing, among GRUB's modules, what tboot takes away before it counts and measures them:
//! SINIT modules and the launch control policy's data.
//!
//! The rules are tboot's (`is_sinit_acmod`, `find_lcp_module`): a SINIT module is an authenticated
//! code module of type chipset whose information table says SINIT, whether it fits the platform or
//! not; the policy data is known by its first bytes. (`txt::acm` reads a whole module and refuses a
//! damaged one; what counts here is only what tboot looks at.)

use txt::{
    acm::{INFO_TABLE_UUID, TYPE_CHIPSET, VENDOR_INTEL},
    policy::{DATA_SIGNATURE, DATA_UUID_V1},
};

/// `chipset_acm_type` of a SINIT module; 0 is BIOS's.
const CHIPSET_SINIT: u8 = 1;

/// What tboot does with a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Counts it, and measures it as its policy says.
    Measured,
    /// Takes it away: a SINIT module.
    Sinit,
    /// Takes it away: data of the launch control policy.
    LcpData,
}

/// What tboot does with a module that has this content (decompressed).
pub fn role(content: &[u8]) -> Role {
    if is_sinit(content) {
        Role::Sinit
    } else if content.starts_with(&DATA_SIGNATURE) || content.starts_with(&DATA_UUID_V1) {
        Role::LcpData
    } else {
        Role::Measured
    }
}

/// The first bytes that tell what cannot be a SINIT module or policy data, whatever follows.
pub const TELLING_LEN: usize = 32;

/// Is a file that begins like this one to be read whole before its role is known?
pub fn may_be_taken_away(begin: &[u8]) -> bool {
    let looks_like_a_module =
        u16_at(begin, 0) == Some(TYPE_CHIPSET) && u32_at(begin, 16) == Some(VENDOR_INTEL);
    looks_like_a_module || role(begin) == Role::LcpData || begin.len() < TELLING_LEN
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|b| u16::from_le_bytes(*b))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|b| u32::from_le_bytes(*b))
}

/// Is it a SINIT module?
pub fn is_sinit(content: &[u8]) -> bool {
    let table = || {
        // Lengths are in words of four bytes.
        let words = |at| (u32_at(content, at)? as usize).checked_mul(4);
        let (header, size, scratch) = (words(4)?, words(24)?, words(124)?);
        let fits = u16_at(content, 0)? == TYPE_CHIPSET
            && u32_at(content, 16)? == VENDOR_INTEL
            && size == content.len();
        let table = content.get(header.checked_add(scratch)?..)?;
        (fits && table.starts_with(&INFO_TABLE_UUID)).then(|| table.get(16).copied())?
    };
    // Bit 3 marks a revoked module, which tboot takes away all the same.
    table().is_some_and(|kind| kind & !8 == CHIPSET_SINIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with the headers of a SINIT module.
    fn sinit() -> Vec<u8> {
        let mut acm = vec![0u8; 1024];
        acm[0] = 2;
        acm[4..8].copy_from_slice(&161u32.to_le_bytes());
        acm[16..20].copy_from_slice(&VENDOR_INTEL.to_le_bytes());
        acm[24..28].copy_from_slice(&256u32.to_le_bytes());
        acm[124..128].copy_from_slice(&20u32.to_le_bytes());
        let table = (161 + 20) * 4;
        acm[table..table + 16].copy_from_slice(&INFO_TABLE_UUID);
        acm[table + 16] = CHIPSET_SINIT;
        acm
    }

    #[test]
    fn sinit_and_policy_data_are_taken_away() {
        assert_eq!(role(&sinit()), Role::Sinit);
        let mut data = DATA_SIGNATURE.to_vec();
        data.extend([0; 4]);
        assert_eq!(role(&data), Role::LcpData);
        assert_eq!(role(&DATA_UUID_V1), Role::LcpData);
        assert_eq!(role(b"kernel"), Role::Measured);
        assert_eq!(role(b""), Role::Measured);
    }

    #[test]
    fn other_code_modules_are_measured() {
        let mut bios = sinit();
        bios[(161 + 20) * 4 + 16] = 0;
        assert_eq!(role(&bios), Role::Measured);
        for end in 0..1024 {
            assert_eq!(role(&sinit()[..end]), Role::Measured, "{end}");
        }
        let mut longer = sinit();
        longer.push(0);
        assert_eq!(role(&longer), Role::Measured);
    }
}
