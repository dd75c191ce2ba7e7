//! What goes over swtpm's two channels: control commands, TPM commands and their answers.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

/// Commands of the control channel (swtpm's `tpm_ioctl.h`); all numbers are big-endian.
pub(super) const CMD_GET_CAPABILITY: u32 = 1;
pub(super) const CMD_SET_LOCALITY: u32 = 5;
pub(super) const CMD_HASH_START: u32 = 6;
pub(super) const CMD_HASH_DATA: u32 = 7;
pub(super) const CMD_HASH_END: u32 = 8;

pub(super) const TPM_ST_NO_SESSIONS: u16 = 0x8001;
pub(super) const TPM_ST_SESSIONS: u16 = 0x8002;
const TPM_CC_PCR_EXTEND: u32 = 0x0182;
const TPM_ALG_SHA256: u16 = 0x000b;

/// One TPM2_PCR_Extend of a launch, in the SHA-256 bank.
#[derive(Clone, Copy, Debug)]
pub struct Extend {
    /// Where it is sent from: 2 for tboot, 3 or 4 for the SINIT module.
    pub locality: u8,
    /// The register.
    pub pcr: u8,
    /// What it is extended with.
    pub digest: [u8; 32],
}

pub(super) fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(stream)
}

/// One control command; its result must be 0.
pub(super) fn order(control: &mut TcpStream, command: u32, payload: &[u8]) -> io::Result<()> {
    control.write_all(&[&command.to_be_bytes(), payload].concat())?;
    let mut result = [0; 4];
    control.read_exact(&mut result)?;
    match u32::from_be_bytes(result) {
        0 => Ok(()),
        code => Err(io::Error::other(format!(
            "control command {command}: result 0x{code:x}"
        ))),
    }
}

pub(super) fn transmit(data: &mut TcpStream, command: &[u8]) -> io::Result<Vec<u8>> {
    data.write_all(command)?;
    let mut answer = vec![0; 10];
    data.read_exact(&mut answer)?;
    let length = answer
        .get(2..6)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_be_bytes);
    let length = usize::try_from(length.unwrap_or(0)).map_err(io::Error::other)?;
    answer.resize(length.clamp(10, 65536), 0);
    if let Some(rest) = answer.get_mut(10..) {
        data.read_exact(rest)?;
    }
    Ok(answer)
}

/// A command with its header: tag, length, command code.
pub(super) fn framed(tag: u16, command: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len())
        .unwrap_or(u32::MAX)
        .saturating_add(10);
    [
        &tag.to_be_bytes()[..],
        &length.to_be_bytes(),
        &command.to_be_bytes(),
        body,
    ]
    .concat()
}

pub(super) fn extend_command(extend: &Extend) -> Vec<u8> {
    const TPM_RS_PW: u32 = 0x4000_0009;
    let body = [
        &u32::from(extend.pcr).to_be_bytes()[..],
        // Authorization area: 9 bytes, the empty password.
        &9u32.to_be_bytes(),
        &TPM_RS_PW.to_be_bytes(),
        &[0; 5],
        // TPML_DIGEST_VALUES with one digest.
        &1u32.to_be_bytes(),
        &TPM_ALG_SHA256.to_be_bytes(),
        &extend.digest,
    ];
    framed(TPM_ST_SESSIONS, TPM_CC_PCR_EXTEND, &body.concat())
}
