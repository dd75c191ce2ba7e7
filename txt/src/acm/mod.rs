//! Authenticated code modules: the SINIT modules that Intel signs and GETSEC[SENTER] runs.
//!
//! Layout of Intel's TXT Software Development Guide, appendix A.1: header versions 0.0 (RSA 2048)
//! and 3.0 (RSA 3072), then a scratch area, then the user area with the information table and the
//! lists of chipsets, processors and TPM capabilities. Version 0.0 and its signature are checked
//! against Intel's published modules; of version 3.0 the layout is as tboot prints it.

mod header;
mod lists;
mod module;
mod platform;

pub use header::{Header, HeaderVersion, KEY_OFFSET, TYPE_CHIPSET, VENDOR_INTEL};
pub use lists::{
    Capabilities, ChipsetId, INFO_TABLE_UUID, InfoTable, ModuleKind, ProcessorId, TpmInfo,
};
pub use module::{Acm, SignedParts};
pub use platform::{Check, Platform};
