//! Event types of the TXT Software Development Guide (EVTYPE_BASE 0x400) and of tboot.

/// What the CPU measured of SINIT.
pub const HASH_START: u32 = 0x402;
/// tboot.
pub const MLE_HASH: u32 = 0x404;
/// BIOS ACM registration data.
pub const BIOSAC_REG_DATA: u32 = 0x40a;
/// Status of the CPU's static root of trust.
pub const CPU_SCRTM_STAT: u32 = 0x40b;
/// PolicyControl of the launch control policy.
pub const LCP_CONTROL_HASH: u32 = 0x40c;
/// The SMM transfer monitor.
pub const STM_HASH: u32 = 0x40e;
/// OsSinitData.Capabilities.
pub const OSSINITDATA_CAP_HASH: u32 = 0x40f;
/// The key that signed SINIT.
pub const SINIT_PUBKEY_HASH: u32 = 0x410;
/// Matching elements of the launch control policy.
pub const LCP_DETAILS_HASH: u32 = 0x412;
/// Signers of the launch control policy.
pub const LCP_AUTHORITIES_HASH: u32 = 0x413;
/// Attributes of NV indices.
pub const NV_INFO_HASH: u32 = 0x414;
/// Everything that tboot extends itself.
pub const TBOOT: u32 = 0x501;
