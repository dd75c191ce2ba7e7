//! Which TPM is it: 1.2 or 2.0?

use std::path::Path;

use crate::tpm12::{Tpm12Error, transport};

/// The two kinds of TPM, which have nothing in common but their purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// TPM 1.2, SHA-1 and RSA only.
    Tpm12,
    /// TPM 2.0.
    Tpm20,
}

/// Devices of the kernel in the order they are looked for. A TPM 1.2 has no resource manager.
const DEVICES: [&str; 2] = ["/dev/tpmrm0", "/dev/tpm0"];

/// The address of this machine's TPM, in TCTI notation; `None` when the kernel shows none.
pub fn local_address() -> Option<String> {
    DEVICES
        .into_iter()
        .find(|device| Path::new(device).exists())
        .map(|device| format!("device:{device}"))
}

/// Asks the TPM at `address` which one it is, with a command of TPM 2.0 that changes nothing.
///
/// # Errors
/// [`Tpm12Error::Absent`] or [`Tpm12Error::NoAnswer`] when nothing answers,
/// [`Tpm12Error::BadParameter`] for an address that is none.
pub fn detect(address: &str) -> Result<Family, Tpm12Error> {
    // Nobody simulates a TPM 1.2 behind that protocol.
    if address.starts_with("mssim:") {
        return Ok(Family::Tpm20);
    }
    let answer = transport::open(address)?
        .transmit(&GET_CAPABILITY)
        .map_err(|source| Tpm12Error::NoAnswer {
            command: "TPM2_GetCapability",
            source,
        })?;
    match answer.first_chunk() {
        Some([0x80, 0x01]) => Ok(Family::Tpm20),
        // TPM_BADTAG, as a TPM 1.2 should, or another refusal.
        Some([0x00, 0xc4]) => Ok(Family::Tpm12),
        _ => Err(Tpm12Error::BadAnswer {
            command: "TPM2_GetCapability",
            source: crate::tpm12::Malformed(format!(
                "it begins with {:02x?}: neither TPM 1.2 nor TPM 2.0",
                answer.get(..2).unwrap_or(&answer)
            )),
        }),
    }
}

/// TPM2_GetCapability(TPM_CAP_TPM_PROPERTIES, TPM_PT_FAMILY_INDICATOR, 1).
const GET_CAPABILITY: [u8; 22] = [
    0x80, 0x01, 0, 0, 0, 22, 0, 0, 0x01, 0x7a, 0, 0, 0, 6, 0, 0, 0x01, 0x00, 0, 0, 0, 1,
];
