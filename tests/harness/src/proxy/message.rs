//! TPM 2.0 messages on the data channel: framing, and the few fields the proxy looks at.

use std::io::Read;
use std::os::unix::net::UnixStream;

use anyhow::{Result, bail};

use super::control::be32;
use crate::launch::Extend;

/// Bytes of tag, size and code that begin each command and response.
const HEADER: usize = 10;
/// Longest message that is relayed, in bytes; swtpm's buffers hold 4 KiB.
const LIMIT: usize = 16 * 1024;

const TPM2_PCR_EXTEND: u32 = 0x0000_0182;
const TPM2_GET_CAPABILITY: u32 = 0x0000_017a;
const TPM_CAP_TPM_PROPERTIES: u32 = 6;
/// TPM2_PT_TOTAL_COMMANDS: what Linux' driver asks for first (tpm2-cmd.c, tpm2_probe).
const TPM_PT_TOTAL_COMMANDS: u32 = 0x129;

/// Reads one whole command or response; `None` when the other side has closed.
pub fn read(stream: &mut UnixStream, who: &str) -> Result<Option<Vec<u8>>> {
    let mut message = vec![0; HEADER];
    match stream.read(&mut message) {
        Ok(0) => return Ok(None),
        Ok(count) => stream.read_exact(message.get_mut(count..).unwrap_or_default())?,
        Err(error) => bail!("cannot read a TPM message of {who}: {error}"),
    }
    let size = message.get(2..).and_then(be32).unwrap_or_default() as usize;
    if !(HEADER..=LIMIT).contains(&size) {
        bail!("{who} sent a TPM message that claims {size} bytes; {HEADER} to {LIMIT} can be");
    }
    message.resize(size, 0);
    stream.read_exact(message.get_mut(HEADER..).unwrap_or_default())?;
    Ok(Some(message))
}

/// Command code of a command, or result of a response.
pub fn code(message: &[u8]) -> u32 {
    message.get(6..).and_then(be32).unwrap_or_default()
}

/// The first handle of a command that has one; a PCR's handle is its number.
pub fn handle(command: &[u8]) -> u32 {
    command.get(HEADER..).and_then(be32).unwrap_or_default()
}

/// Is this the first command of Linux' TPM driver?
pub fn is_linux_probe(command: &[u8]) -> bool {
    let field = |offset: usize| command.get(offset..).and_then(be32);
    code(command) == TPM2_GET_CAPABILITY
        && field(10) == Some(TPM_CAP_TPM_PROPERTIES)
        && field(14) == Some(TPM_PT_TOTAL_COMMANDS)
        && field(18) == Some(1)
}

/// TPM2_PCR_Extend with an empty password, as PCRs have it (TPM 2.0 Library, Part 3, 22.2).
pub fn pcr_extend(extend: &Extend) -> Vec<u8> {
    let mut body = u32::from(extend.pcr).to_be_bytes().to_vec();
    // Authorization area: TPM_RS_PW, no nonce, no attributes, no password.
    body.extend([0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0]);
    body.extend((extend.digests.len() as u32).to_be_bytes());
    for (algorithm, digest) in &extend.digests {
        body.extend(algorithm.to_be_bytes());
        body.extend(digest);
    }
    let mut command = vec![0x80, 0x02];
    command.extend(((HEADER + body.len()) as u32).to_be_bytes());
    command.extend(TPM2_PCR_EXTEND.to_be_bytes());
    command.extend(body);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn an_extend_states_its_own_size() {
        let command = pcr_extend(&Extend::of_data(2, 17, b"x"));
        assert_eq!(be32(&command[2..]).unwrap() as usize, command.len());
        assert_eq!(code(&command), TPM2_PCR_EXTEND);
        assert_eq!(handle(&command), 17);
    }

    #[test]
    fn only_the_drivers_probe_is_taken_for_it() {
        let mut probe = vec![0x80, 0x01, 0, 0, 0, 22];
        for word in [TPM2_GET_CAPABILITY, 6, 0x129, 1] {
            probe.extend(word.to_be_bytes());
        }
        assert!(is_linux_probe(&probe));
        probe[21] = 2;
        assert!(!is_linux_probe(&probe));
        assert!(!is_linux_probe(&probe[..12]));
    }

    #[test]
    fn a_size_beyond_the_limit_is_refused() {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        far.write_all(&[0x80, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 1, 0x7a])
            .unwrap();
        assert!(read(&mut near, "QEMU").is_err());
    }
}
