//! Is a module for this platform? The comparisons are tboot's (and txt-acminfo's), but the platform
//! is given by its numbers, so that another machine's module can be chosen from anywhere.

use super::{Acm, ChipsetId, ModuleKind, ProcessorId};
use crate::hash::{Digest, HashAlg};

/// A platform's identity, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Platform {
    /// TXT.DIDVID: vendor in bits 0 to 15, device in 16 to 31, revision in 32 to 47.
    pub didvid: Option<u64>,
    /// CPUID leaf 1, EAX: family, model, stepping.
    pub fms: Option<u32>,
    /// IA32_PLATFORM_ID (MSR 0x17).
    pub platform_id: Option<u64>,
    /// TXT.PUBLIC.KEY: SHA-256 of the key that the chipset accepts.
    pub public_key: Option<Digest>,
    /// Chipset that takes modules signed for debugging only.
    pub debug_fused: bool,
}

/// The outcome of one comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was compared.
    pub what: &'static str,
    /// Does it fit?
    pub fits: bool,
    /// What was expected and what is.
    pub text: String,
}

impl Platform {
    /// Compares a module with this identity, as far as that is given.
    pub fn compare(&self, acm: &Acm) -> Vec<Check> {
        let mut checks = vec![
            Check {
                what: "kind",
                fits: acm.info().kind == ModuleKind::Sinit,
                text: format!("SINIT is needed, this is {}", acm.info().kind.name()),
            },
            fuses(acm, self.debug_fused),
        ];
        checks.extend(self.public_key.as_ref().map(|wanted| {
            let found = HashAlg::Sha256.digest(&acm.header().modulus);
            Check {
                what: "key",
                fits: wanted == &found,
                text: format!("the chipset takes key {wanted}, this is signed with {found}"),
            }
        }));
        checks.extend(self.didvid.map(|didvid| chipset(acm, didvid)));
        if self.fms.is_some() || self.platform_id.is_some() {
            checks.push(processor(acm, self.fms, self.platform_id));
        }
        checks
    }
}

fn fuses(acm: &Acm, debug_fused: bool) -> Check {
    let name = |debug| if debug { "debug" } else { "production" };
    let signed = acm.header().is_debug_signed();
    Check {
        what: "fuses",
        fits: signed == debug_fused,
        text: format!(
            "the chipset is fused for {}, this is signed for {}",
            name(debug_fused),
            name(signed)
        ),
    }
}

fn chipset(acm: &Acm, didvid: u64) -> Check {
    let [v0, v1, d0, d1, r0, r1, ..] = didvid.to_le_bytes();
    let vendor = u16::from_le_bytes([v0, v1]);
    let device = u16::from_le_bytes([d0, d1]);
    let revision = u16::from_le_bytes([r0, r1]);
    let fits = |id: &&ChipsetId| {
        let revisions = match id.flags & 1 {
            0 => id.revision == revision,
            _ => id.revision & revision != 0,
        };
        id.vendor == vendor && id.device == device && revisions
    };
    let list: Vec<String> = acm
        .chipsets()
        .iter()
        .map(|id| format!("{:04x}:{:04x}", id.vendor, id.device))
        .collect();
    Check {
        what: "chipset",
        fits: acm.chipsets().iter().any(|id| fits(&id)),
        text: format!(
            "the chipset is {vendor:04x}:{device:04x} revision {revision:#x}, this is for {}",
            list.join(", ")
        ),
    }
}

fn processor(acm: &Acm, fms: Option<u32>, platform_id: Option<u64>) -> Check {
    // Modules without a processor list (before version 4) are for every processor.
    let fits = |id: &&ProcessorId| {
        fms.is_none_or(|fms| fms & id.fms_mask == id.fms)
            && platform_id.is_none_or(|number| number & id.platform_mask == id.platform_id)
    };
    let list: Vec<String> = acm
        .processors()
        .iter()
        .map(|id| format!("{:#x}", id.fms))
        .collect();
    let hex = |number: Option<u64>| number.map_or("unknown".to_owned(), |n| format!("{n:#x}"));
    Check {
        what: "processor",
        fits: acm.info().processor_list.is_none() || acm.processors().iter().any(|id| fits(&id)),
        text: format!(
            "the processor is {} with platform id {}, this is for {}",
            hex(fms.map(u64::from)),
            hex(platform_id),
            if list.is_empty() {
                "any".to_owned()
            } else {
                list.join(", ")
            }
        ),
    }
}
