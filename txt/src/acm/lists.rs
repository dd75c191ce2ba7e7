//! The user area: information table, chipset list, processor list, TPM information.

use crate::{
    codec::{FormatError, Reader, value},
    hash::HashAlg,
};

/// The UUID of the information table: 7fc03aaa-46a7-18db-ac2e-698f8d417f5a.
pub const INFO_TABLE_UUID: [u8; 16] = [
    0xaa, 0x3a, 0xc0, 0x7f, 0xa7, 0x46, 0xdb, 0x18, 0x2e, 0xac, 0x69, 0x8f, 0x8d, 0x41, 0x7f, 0x5a,
];

/// What a module does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleKind {
    /// 0: runs before the BIOS.
    Bios,
    /// 1: runs in GETSEC[SENTER].
    Sinit,
    /// 8 and 9: withdraws older modules.
    Revocation,
    /// Any other number.
    Unknown(u8),
}

impl ModuleKind {
    fn of(number: u8) -> Self {
        match number {
            0 => Self::Bios,
            1 => Self::Sinit,
            8 | 9 => Self::Revocation,
            other => Self::Unknown(other),
        }
    }

    /// In a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bios => "BIOS",
            Self::Sinit => "SINIT",
            Self::Revocation => "revocation",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// The capability bits of a module (and, with the same layout, of an MLE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(pub u32);

impl Capabilities {
    /// Bits with their names in Intel's guide.
    pub const BITS: [(u32, &'static str); 10] = [
        (1 << 0, "rlp_wake_getsec"),
        (1 << 1, "rlp_wake_monitor"),
        (1 << 2, "ecx_pgtbl"),
        (1 << 3, "stm"),
        (1 << 4, "pcr_map_no_legacy"),
        (1 << 5, "pcr_map_da"),
        (1 << 6, "client_platform"),
        (1 << 8, "max_phy_addr"),
        (1 << 9, "tcg_event_log_format"),
        (1 << 10, "cbnt_supported"),
    ];

    /// The names of the set bits.
    pub fn names(self) -> Vec<&'static str> {
        let set = Self::BITS.into_iter().filter(|(bit, _)| self.0 & bit != 0);
        set.map(|(_, name)| name).collect()
    }
}

/// The information table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfoTable {
    /// What the module does.
    pub kind: ModuleKind,
    /// Version of the table.
    pub version: u8,
    /// Length of the table in bytes, as it says.
    pub len: u16,
    /// Where the chipset list begins, in bytes.
    pub chipset_list: u32,
    /// Version of OsSinitData that it wants.
    pub os_sinit_data_version: u32,
    /// Lowest version of an MLE header that it launches.
    pub min_mle_version: u32,
    /// What it can do.
    pub capabilities: Capabilities,
    /// The module's own version: what a policy's sinit_min_version is compared with.
    pub acm_version: u8,
    /// Revision, from table version 7 on.
    pub acm_revision: [u8; 3],
    /// Where the processor list begins, from version 4 on.
    pub processor_list: Option<u32>,
    /// Where the TPM information begins, from version 5 on.
    pub tpm_list: Option<u32>,
}

impl InfoTable {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let offset = reader.offset();
        if reader.array("uuid")? != INFO_TABLE_UUID {
            return Err(FormatError::Parts(format!(
                "no information table at offset {offset:#x}: expected its UUID 7fc03aaa-46a7-18db-ac2e-698f8d417f5a"
            )));
        }
        let kind = ModuleKind::of(reader.u8("chipset_acm_type")?);
        let version_offset = reader.offset();
        let version = reader.u8("information table version")?;
        if version < 3 {
            return Err(value(
                "information table version",
                version_offset,
                "3 or more",
                version,
            ));
        }
        let len_offset = reader.offset();
        let len = reader.u16("information table length")?;
        let least = match version {
            3 => 0x28,
            4 => 0x2c,
            _ => 0x30,
        };
        if len < least {
            let expected = format!("at least {least:#x} in version {version}");
            return Err(value("information table length", len_offset, expected, len));
        }
        let chipset_list = reader.u32("chipset_id_list")?;
        let os_sinit_data_version = reader.u32("os_sinit_data_ver")?;
        let min_mle_version = reader.u32("min_mle_hdr_ver")?;
        let capabilities = Capabilities(reader.u32("capabilities")?);
        let acm_version = reader.u8("acm_ver")?;
        let acm_revision = reader.array("acm_revision")?;
        let mut from = |least: u8, field| match version >= least {
            true => reader.u32(field).map(Some),
            false => Ok(None),
        };
        let processor_list = from(4, "processor_id_list")?;
        let tpm_list = from(5, "tpm_info_list")?;
        Ok(Self {
            kind,
            version,
            len,
            chipset_list,
            os_sinit_data_version,
            min_mle_version,
            capabilities,
            acm_version,
            acm_revision,
            processor_list,
            tpm_list,
        })
    }
}

/// A chipset that a module is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChipsetId {
    /// Bit 0: the revision is a mask.
    pub flags: u32,
    /// PCI vendor.
    pub vendor: u16,
    /// Device.
    pub device: u16,
    /// Revision, or a mask of revisions.
    pub revision: u16,
    /// Extended identity.
    pub extended: u32,
}

/// A processor that a module is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessorId {
    /// Family, model and stepping, as CPUID leaf 1 gives them in EAX.
    pub fms: u32,
    /// The bits of it that count.
    pub fms_mask: u32,
    /// IA32_PLATFORM_ID.
    pub platform_id: u64,
    /// The bits of it that count.
    pub platform_mask: u64,
}

/// A list's count, checked against what is there before anything is stored.
fn count(reader: &mut Reader<'_>, field: &'static str, size: usize) -> Result<u32, FormatError> {
    let offset = reader.offset();
    let count = reader.u32(field)?;
    let most = reader.rest().len().checked_div(size).unwrap_or(0);
    if count as usize > most {
        return Err(value(field, offset, format!("at most {most}"), count));
    }
    Ok(count)
}

pub(super) fn chipsets(reader: &mut Reader<'_>) -> Result<Vec<ChipsetId>, FormatError> {
    let count = count(reader, "count of chipsets", 16)?;
    let one = |_| {
        let flags = reader.u32("chipset flags")?;
        let vendor = reader.u16("chipset vendor_id")?;
        let device = reader.u16("chipset device_id")?;
        let revision = reader.u16("chipset revision_id")?;
        reader.take("chipset reserved", 2)?;
        Ok(ChipsetId {
            flags,
            vendor,
            device,
            revision,
            extended: reader.u32("chipset extended_id")?,
        })
    };
    (0..count).map(one).collect()
}

pub(super) fn processors(reader: &mut Reader<'_>) -> Result<Vec<ProcessorId>, FormatError> {
    let count = count(reader, "count of processors", 24)?;
    let one = |_| {
        Ok(ProcessorId {
            fms: reader.u32("processor fms")?,
            fms_mask: reader.u32("processor fms_mask")?,
            platform_id: u64::from_le_bytes(reader.array("processor platform_id")?),
            platform_mask: u64::from_le_bytes(reader.array("processor platform_mask")?),
        })
    };
    (0..count).map(one).collect()
}

/// What TPMs a module can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TpmInfo {
    /// The capability word.
    pub capabilities: u32,
    /// TPM_ALG numbers of its hashes and signatures.
    pub algs: Vec<u16>,
}

impl TpmInfo {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let capabilities = reader.u32("TPM capabilities")?;
        let offset = reader.offset();
        let count = reader.u16("count of TPM algorithms")?;
        let most = reader.rest().len() / 2;
        if usize::from(count) > most {
            let field = "count of TPM algorithms";
            return Err(value(field, offset, format!("at most {most}"), count));
        }
        let algs = (0..count).map(|_| reader.u16("TPM algorithm"));
        Ok(Self {
            capabilities,
            algs: algs.collect::<Result<_, _>>()?,
        })
    }

    /// Policies for extending PCRs: bit 0 by the module (maximum agility), bit 1 by its own code.
    pub const fn extend_policy(&self) -> u32 {
        self.capabilities & 3
    }

    /// TPM families: bit 0 discrete 1.2, bit 1 discrete 2.0, bit 3 firmware 2.0.
    pub const fn families(&self) -> u32 {
        self.capabilities >> 2 & 0xf
    }

    /// Which set of NV indices it reads: 0 (0x01400001 ...) or 1 (0x01C10106 ...).
    pub const fn nv_index_set(&self) -> u32 {
        self.capabilities >> 6 & 1
    }

    /// The hashes that it knows.
    pub fn hashes(&self) -> Vec<HashAlg> {
        let known = self.algs.iter();
        known
            .filter_map(|alg| HashAlg::from_tpm_alg(*alg).ok())
            .collect()
    }
}
