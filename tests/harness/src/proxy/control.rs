//! swtpm's control channel: command codes and message sizes (swtpm, `tpm_ioctl.h`).
//!
//! All numbers are big-endian. A request is a code and a body; a response begins with a
//! TPM result, zero for success.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result, bail};

/// Resets the TPM and starts it (`PTM_INIT`).
pub const INIT: u32 = 2;
/// The locality of the commands that follow.
pub const SET_LOCALITY: u32 = 5;
/// TPM_HASH_START at locality 4.
pub const HASH_START: u32 = 6;
/// TPM_HASH_DATA.
pub const HASH_DATA: u32 = 7;
/// TPM_HASH_END.
pub const HASH_END: u32 = 8;
/// Hands over the socket of the data channel.
pub const SET_DATAFD: u32 = 16;

/// Longest body or response that is relayed, in bytes. The channel's own limit is 4 KiB.
const LIMIT: usize = 8192;

/// The size of a request's body; `HASH_DATA` names its own in its first four bytes.
fn body_size(code: u32) -> Option<usize> {
    match code {
        // GET_CAPABILITY, SHUTDOWN, GET_TPMESTABLISHED, HASH_START, HASH_END, CANCEL_TPM_CMD,
        // STORE_VOLATILE, STOP, GET_CONFIG, SET_DATAFD
        1 | 3 | 4 | 6 | 8 | 9 | 10 | 14 | 15 | 16 => Some(0),
        // INIT, SET_LOCALITY, HASH_DATA (its length), RESET_TPMESTABLISHED, SET_BUFFERSIZE,
        // LOCK_STORAGE
        2 | 5 | 7 | 11 | 17 | 19 => Some(4),
        // The state blobs belong to migration, which no test does.
        _ => None,
    }
}

/// Reads the body of a request whose code came before.
pub fn read_body(stream: &mut UnixStream, code: u32) -> Result<Vec<u8>> {
    let Some(size) = body_size(code) else {
        bail!("QEMU sent the control command {code}, which the proxy does not relay");
    };
    let mut body = vec![0; size];
    stream
        .read_exact(&mut body)
        .context("QEMU closed the control channel within a message")?;
    if code == HASH_DATA {
        let length = be32(&body).unwrap_or_default() as usize;
        if length > LIMIT {
            bail!("QEMU sent {length} bytes of hash data at once; at most {LIMIT} are relayed");
        }
        let mut data = vec![0; length];
        stream
            .read_exact(&mut data)
            .context("QEMU closed the control channel within hash data")?;
        body.extend(data);
    }
    Ok(body)
}

/// A request as it goes over the wire.
pub fn request(code: u32, body: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), body].concat()
}

/// Reads one response: swtpm writes each in one piece.
pub fn read_response(stream: &mut UnixStream) -> Result<Vec<u8>> {
    let mut response = vec![0; LIMIT];
    let mut length = 0;
    while length < 4 {
        let free = response.get_mut(length..).unwrap_or_default();
        match stream.read(free).context("no answer from swtpm")? {
            0 => bail!("swtpm closed its control channel"),
            count => length += count,
        }
    }
    response.truncate(length);
    Ok(response)
}

/// Sends a request of our own and demands success.
pub fn call(stream: &mut UnixStream, code: u32, body: &[u8]) -> Result<()> {
    stream
        .write_all(&request(code, body))
        .context("cannot write to swtpm's control channel")?;
    let response = read_response(stream)?;
    match be32(&response) {
        Some(0) => Ok(()),
        result => bail!("swtpm refused the control command {code}: result {result:?}"),
    }
}

/// The first four bytes as a number.
pub fn be32(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_data_brings_its_own_length() {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        far.write_all(&[0, 0, 0, 3, b'a', b'b', b'c', 9]).unwrap();
        assert_eq!(read_body(&mut near, HASH_DATA).unwrap(), b"\0\0\0\x03abc");
    }

    #[test]
    fn a_claimed_length_beyond_the_limit_is_refused() {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        far.write_all(&u32::MAX.to_be_bytes()).unwrap();
        assert!(read_body(&mut near, HASH_DATA).is_err());
    }

    #[test]
    fn an_unknown_command_is_named() {
        let (mut near, _far) = UnixStream::pair().unwrap();
        let error = read_body(&mut near, 12).unwrap_err();
        assert!(error.to_string().contains("command 12"), "{error}");
    }
}
