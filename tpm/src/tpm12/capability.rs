//! TPM_GetCapability: what the TPM is and has.
//!
//! Source: TPM Main, Part 2, section 21.

use super::{
    Secret, Tpm12, Tpm12Error,
    codec::{Malformed, Reader},
    command::{Ordinal, bad_answer},
    nv_public::NvPublic,
};

const GET_CAPABILITY: Ordinal = Ordinal(0x65, "TPM_GetCapability");
const GET_CAPABILITY_OWNER: Ordinal = Ordinal(0x66, "TPM_GetCapabilityOwner");

const CAP_FLAG: u32 = 0x04;
const CAP_PROPERTY: u32 = 0x05;
const CAP_NV_LIST: u32 = 0x0d;
const CAP_NV_INDEX: u32 = 0x11;
const CAP_DA_LOGIC: u32 = 0x19;
const CAP_VERSION_VAL: u32 = 0x1a;

/// TPM_CAP_FLAG_PERMANENT.
const FLAG_PERMANENT: u32 = 0x108;
/// TPM_CAP_PROP_PCR.
const PROPERTY_PCR: u32 = 0x101;
/// TPM_CAP_PROP_OWNER.
const PROPERTY_OWNER: u32 = 0x111;
/// TPM_CAP_PROP_MAX_NV_AVAILABLE.
const PROPERTY_MAX_NV: u32 = 0x123;
/// TPM_ET_OWNER and TPM_ET_SRK.
const ENTITY_OWNER: u16 = 0x0002;
const ENTITY_SRK: u16 = 0x0004;

/// TPM_CAP_VERSION_INFO: what the TPM is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Major, minor, revision major and minor: 1.2 and the maker's numbers.
    pub version: [u8; 4],
    /// Level of the specification.
    pub spec_level: u16,
    /// Revision of its errata.
    pub errata: u8,
    /// Four letters for the maker.
    pub vendor: [u8; 4],
}

impl Version {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        reader.tag("TPM_CAP_VERSION_INFO", 0x0030)?;
        let version = Self {
            version: reader.array("version")?,
            spec_level: reader.u16("specLevel")?,
            errata: reader.u8("errataRev")?,
            vendor: reader.array("tpmVendorID")?,
        };
        let length = usize::from(reader.u16("vendorSpecificSize")?);
        reader.take("vendorSpecific", length)?;
        reader.finish("vendorSpecific")?;
        Ok(version)
    }
}

/// TPM_PERMANENT_FLAGS, as far as they matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermanentFlags {
    /// The TPM is disabled.
    pub disabled: bool,
    /// The TPM is deactivated.
    pub deactivated: bool,
    /// Access to NV is checked; until it is, everybody may define and write.
    pub nv_locked: bool,
}

impl PermanentFlags {
    fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        reader.tag("TPM_PERMANENT_FLAGS", 0x001f)?;
        let disabled = reader.flag("disable")?;
        reader.flag("ownership")?;
        let deactivated = reader.flag("deactivated")?;
        // readPubek ... enableRevokeEK; more may follow nvLocked, one at a time, as the
        // specification grew.
        for _ in 0..12 {
            reader.flag("a permanent flag")?;
        }
        let nv_locked = reader.flag("nvLocked")?;
        Ok(Self {
            disabled,
            deactivated,
            nv_locked,
        })
    }
}

/// What TPM_GetCapabilityOwner tells the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerFlags {
    /// Version of the TPM.
    pub version: [u8; 4],
    /// TPM_PERMANENT_FLAGS as bits, the first flag lowest.
    pub permanent: u32,
    /// TPM_STCLEAR_FLAGS as bits, the first flag lowest.
    pub volatile: u32,
}

impl OwnerFlags {
    fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let flags = Self {
            version: reader.array("version")?,
            permanent: reader.u32("non_volatile_flags")?,
            volatile: reader.u32("volatile_flags")?,
        };
        reader.finish("volatile_flags")?;
        Ok(flags)
    }
}

/// How the TPM defends the owner's secret against guessing: TPM_DA_INFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DictionaryAttack {
    /// The defence is active now: no secret is taken.
    pub active: bool,
    /// Wrong secrets so far.
    pub count: u16,
    /// How many start the defence.
    pub threshold: u16,
}

impl DictionaryAttack {
    fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        // TPM_TAG_DA_INFO, or TPM_TAG_DA_INFO_LIMITED of a TPM that keeps its counters to itself.
        reader.tag("TPM_DA_INFO", 0x0037)?;
        Ok(Self {
            active: reader.flag("state")?,
            count: reader.u16("currentCount")?,
            threshold: reader.u16("thresholdCount")?,
        })
    }
}

impl Tpm12 {
    fn capability(&mut self, area: u32, sub: &[u8]) -> Result<Vec<u8>, Tpm12Error> {
        let length = u32::try_from(sub.len()).unwrap_or(u32::MAX);
        let body = self.run(
            GET_CAPABILITY,
            &[&area.to_be_bytes(), &length.to_be_bytes(), sub],
        )?;
        let mut reader = Reader::new(&body);
        let answer = reader.sized("resp").map_err(bad_answer(GET_CAPABILITY))?;
        reader.finish("resp").map_err(bad_answer(GET_CAPABILITY))?;
        Ok(answer.to_vec())
    }

    pub(super) fn capability_as<T>(
        &mut self,
        area: u32,
        sub: &[u8],
        parse: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<T, Tpm12Error> {
        let answer = self.capability(area, sub)?;
        parse(&answer).map_err(bad_answer(GET_CAPABILITY))
    }

    /// What the TPM is.
    ///
    /// # Errors
    /// What the TPM says, as for every call here.
    pub fn version(&mut self) -> Result<Version, Tpm12Error> {
        self.capability_as(CAP_VERSION_VAL, &[], Version::parse)
    }

    /// A number among the TPM's properties (TPM_CAP_PROPERTY).
    ///
    /// # Errors
    /// `BAD_MODE` for a property that the TPM does not have.
    pub fn property(&mut self, property: u32) -> Result<u32, Tpm12Error> {
        self.capability_as(CAP_PROPERTY, &property.to_be_bytes(), |bytes| {
            let mut reader = Reader::new(bytes);
            let number = reader.u32("the property")?;
            reader.finish("the property")?;
            Ok(number)
        })
    }

    /// How many PCRs the TPM has.
    ///
    /// # Errors
    /// What the TPM says.
    pub fn pcr_count(&mut self) -> Result<u32, Tpm12Error> {
        self.property(PROPERTY_PCR)
    }

    /// Has somebody taken ownership?
    ///
    /// # Errors
    /// What the TPM says.
    pub fn has_owner(&mut self) -> Result<bool, Tpm12Error> {
        self.capability_as(CAP_PROPERTY, &PROPERTY_OWNER.to_be_bytes(), |bytes| {
            let mut reader = Reader::new(bytes);
            let owned = reader.flag("TPM_CAP_PROP_OWNER")?;
            reader.finish("TPM_CAP_PROP_OWNER")?;
            Ok(owned)
        })
    }

    /// Largest index that could be defined now, in bytes.
    ///
    /// # Errors
    /// What the TPM says.
    pub fn nv_available(&mut self) -> Result<u32, Tpm12Error> {
        self.property(PROPERTY_MAX_NV)
    }

    /// The flags that stay over a boot.
    ///
    /// # Errors
    /// What the TPM says.
    pub fn permanent_flags(&mut self) -> Result<PermanentFlags, Tpm12Error> {
        self.capability_as(
            CAP_FLAG,
            &FLAG_PERMANENT.to_be_bytes(),
            PermanentFlags::parse,
        )
    }

    /// How the owner's secret is defended against guessing; not every TPM tells.
    ///
    /// # Errors
    /// What the TPM says.
    pub fn dictionary_attack(&mut self) -> Result<DictionaryAttack, Tpm12Error> {
        self.capability_as(
            CAP_DA_LOGIC,
            &ENTITY_OWNER.to_be_bytes(),
            DictionaryAttack::parse,
        )
    }

    /// How the secrets of the storage root key and of what is below it are defended; not every TPM tells.
    ///
    /// # Errors
    /// What the TPM says.
    pub fn srk_dictionary_attack(&mut self) -> Result<DictionaryAttack, Tpm12Error> {
        self.capability_as(
            CAP_DA_LOGIC,
            &ENTITY_SRK.to_be_bytes(),
            DictionaryAttack::parse,
        )
    }

    /// The indices that are defined.
    ///
    /// # Errors
    /// What the TPM says.
    pub fn nv_list(&mut self) -> Result<Vec<u32>, Tpm12Error> {
        self.capability_as(CAP_NV_LIST, &[], parse_list)
    }

    /// What an index is; `None` when it is not defined.
    ///
    /// # Errors
    /// What the TPM says.
    pub fn nv_public(&mut self, index: u32) -> Result<Option<NvPublic>, Tpm12Error> {
        let answer = match self.capability(CAP_NV_INDEX, &index.to_be_bytes()) {
            Err(error) if error.code() == Some(super::ReturnCode::BAD_INDEX) => return Ok(None),
            answer => answer?,
        };
        let public = NvPublic::parse(&answer).map_err(bad_answer(GET_CAPABILITY))?;
        if public.index != index {
            let found = public.index;
            return Err(bad_answer(GET_CAPABILITY)(Malformed(format!(
                "it describes index {found:#x}, but {index:#x} was requested"
            ))));
        }
        Ok(Some(public))
    }

    /// The flags as the owner sees them.
    ///
    /// # Errors
    /// `AUTH_FAIL` for a wrong secret.
    pub fn owner_flags(&mut self, owner: &Secret) -> Result<OwnerFlags, Tpm12Error> {
        let body = self.run_oiap(GET_CAPABILITY_OWNER, &[], owner)?;
        OwnerFlags::parse(&body).map_err(bad_answer(GET_CAPABILITY_OWNER))
    }
}

fn parse_list(bytes: &[u8]) -> Result<Vec<u32>, Malformed> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(Malformed(format!(
            "a list of indices has {} bytes, not a multiple of 4",
            bytes.len()
        )));
    }
    Ok(numbers.iter().copied().map(u32::from_be_bytes).collect())
}
