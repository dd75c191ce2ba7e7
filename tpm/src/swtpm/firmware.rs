//! What firmware and earlier owners leave behind in a TPM 2.0, for tests: an owner's password,
//! indices of the platform, a lockout.

use std::io;

use super::{
    Swtpm,
    wire::{TPM_ST_SESSIONS, framed},
};

const TPM_RS_PW: u32 = 0x4000_0009;
const TPM_RH_OWNER: u32 = 0x4000_0001;
const TPM_RH_LOCKOUT: u32 = 0x4000_000a;
const TPM_RH_PLATFORM: u32 = 0x4000_000c;
const TPM_ALG_SHA256: u16 = 0x000b;

const TPM_CC_HIERARCHY_CHANGE_AUTH: u32 = 0x0129;
const TPM_CC_NV_DEFINE_SPACE: u32 = 0x012a;
const TPM_CC_NV_WRITE: u32 = 0x0137;
const TPM_CC_DICTIONARY_ATTACK_PARAMETERS: u32 = 0x013a;
const TPM_CC_NV_READ: u32 = 0x014e;

const TPM_RC_NV_DEFINED: u32 = 0x14c;
const TPM_RC_RETRY: u32 = 0x922;
/// TPM_RC_AUTH_FAIL of session 1.
const TPM_RC_AUTH_FAIL_1: u32 = 0x98e;

impl Swtpm {
    /// Gives the owner hierarchy, which has none yet, a password.
    ///
    /// # Errors
    /// swtpm did not answer, or refused.
    pub fn set_owner_password(&self, password: &str) -> io::Result<()> {
        let new = sized(password.as_bytes());
        self.authorized(TPM_CC_HIERARCHY_CHANGE_AUTH, &[TPM_RH_OWNER], b"", &new)
    }

    /// Defines an index as firmware does (with the platform's authorization, so `attributes` has
    /// PPWRITE and PLATFORMCREATE), and fills it with `data`.
    ///
    /// # Errors
    /// swtpm did not answer, or refused.
    pub fn define_platform_index(
        &self,
        index: u32,
        attributes: u32,
        data: &[u8],
    ) -> io::Result<()> {
        let public = nv_public(index, attributes, data.len())?;
        let parameters = [sized(b""), sized(&public)].concat();
        self.authorized(TPM_CC_NV_DEFINE_SPACE, &[TPM_RH_PLATFORM], b"", &parameters)?;
        let parameters = [sized(data), 0u16.to_be_bytes().to_vec()].concat();
        let handles = [TPM_RH_PLATFORM, index];
        self.authorized(TPM_CC_NV_WRITE, &handles, b"", &parameters)
    }

    /// Sets how many failures start the lockout, and lets a failure be forgotten after an hour.
    ///
    /// # Errors
    /// swtpm did not answer, or refused.
    pub fn set_max_tries(&self, tries: u32) -> io::Result<()> {
        let parameters = [tries, 3600, 3600].map(u32::to_be_bytes).concat();
        let command = TPM_CC_DICTIONARY_ATTACK_PARAMETERS;
        self.authorized(command, &[TPM_RH_LOCKOUT], b"", &parameters)
    }

    /// Tries one wrong password where it counts: at an index of the owner (who has no password
    /// yet) that is defined for it.
    ///
    /// # Errors
    /// swtpm did not answer, or refused.
    pub fn fail_once(&self, index: u32) -> io::Result<()> {
        const AUTH_READ_AUTH_WRITE: u32 = 0x0004_0004;
        let public = nv_public(index, AUTH_READ_AUTH_WRITE, 8)?;
        let parameters = [sized(b"right"), sized(&public)].concat();
        match self.code(TPM_CC_NV_DEFINE_SPACE, &[TPM_RH_OWNER], b"", &parameters)? {
            // It is there from the last time.
            0 | TPM_RC_NV_DEFINED => {}
            code => return Err(io::Error::other(format!("defining {index:#x}: {code:#x}"))),
        }
        let parameters = [8u16, 0].map(u16::to_be_bytes).concat();
        loop {
            match self.code(TPM_CC_NV_READ, &[index, index], b"wrong", &parameters)? {
                // The first use of such an index only notes that there is something to defend.
                TPM_RC_RETRY => {}
                TPM_RC_AUTH_FAIL_1 => return Ok(()),
                code => return Err(io::Error::other(format!("a wrong password: {code:#x}"))),
            }
        }
    }

    /// A command with one password.
    fn authorized(
        &self,
        command: u32,
        handles: &[u32],
        password: &[u8],
        parameters: &[u8],
    ) -> io::Result<()> {
        match self.code(command, handles, password, parameters)? {
            0 => Ok(()),
            code => Err(io::Error::other(format!("command {command:#x}: {code:#x}"))),
        }
    }

    /// The same, with the response code.
    fn code(
        &self,
        command: u32,
        handles: &[u32],
        password: &[u8],
        parameters: &[u8],
    ) -> io::Result<u32> {
        let area = [
            &TPM_RS_PW.to_be_bytes()[..],
            // No nonce, no attributes.
            &[0; 3],
            &sized(password),
        ]
        .concat();
        let length = u32::try_from(area.len()).map_err(io::Error::other)?;
        let mut body: Vec<u8> = handles
            .iter()
            .flat_map(|handle| handle.to_be_bytes())
            .collect();
        body.extend(length.to_be_bytes());
        body.extend(area);
        body.extend(parameters);
        let answer = self.command(&framed(TPM_ST_SESSIONS, command, &body))?;
        answer
            .get(6..10)
            .and_then(|code| Some(u32::from_be_bytes(code.try_into().ok()?)))
            .ok_or_else(|| io::Error::other("an answer without code"))
    }
}

/// TPMS_NV_PUBLIC.
fn nv_public(index: u32, attributes: u32, size: usize) -> io::Result<Vec<u8>> {
    Ok([
        &index.to_be_bytes()[..],
        &TPM_ALG_SHA256.to_be_bytes(),
        &attributes.to_be_bytes(),
        // No policy.
        &[0; 2],
        &u16::try_from(size).map_err(io::Error::other)?.to_be_bytes(),
    ]
    .concat())
}

/// A TPM2B.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], bytes].concat()
}
