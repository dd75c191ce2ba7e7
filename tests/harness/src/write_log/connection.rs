//! The rest of an NBD connection: reads, writes, flushes.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use anyhow::{Result, bail, ensure};

use super::handshake::{disk_wanted, number};
use super::server::Server;

const REQUEST_MAGIC: u32 = 0x2560_9513;
const REPLY_MAGIC: u32 = 0x6744_6698;
const CMD_READ: u16 = 0;
const CMD_WRITE: u16 = 1;
const CMD_DISCONNECT: u16 = 2;
const CMD_FLUSH: u16 = 3;
/// EINVAL, as the protocol numbers it.
const EINVAL: u32 = 22;
/// QEMU asks for at most 32 MiB.
const MAX_LENGTH: u32 = 64 << 20;

/// Serves one client until it leaves.
pub(super) fn serve(mut stream: UnixStream, server: &Server) -> Result<()> {
    let Some(disk) = disk_wanted(&mut stream, server)? else {
        return Ok(());
    };
    loop {
        let mut magic = [0; 4];
        match stream.read_exact(&mut magic) {
            Ok(()) => {}
            // QEMU was killed: that is what these disks are for.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        ensure!(
            u32::from_be_bytes(magic) == REQUEST_MAGIC,
            "not an NBD request"
        );
        let _flags = u16::from_be_bytes(number(&mut stream)?);
        let command = u16::from_be_bytes(number(&mut stream)?);
        let handle: [u8; 8] = number(&mut stream)?;
        let offset = u64::from_be_bytes(number(&mut stream)?);
        let length = u32::from_be_bytes(number(&mut stream)?);
        ensure!(length <= MAX_LENGTH, "a request of {length} bytes");
        let mut answer = Vec::new();
        let result = match command {
            CMD_READ => {
                answer = server.read(disk, offset, length as usize)?;
                0
            }
            CMD_WRITE => {
                let mut data = vec![0; length as usize];
                stream.read_exact(&mut data)?;
                server.write(disk, offset, data)?;
                0
            }
            CMD_DISCONNECT => return Ok(()),
            CMD_FLUSH => 0,
            _ => EINVAL,
        };
        let mut reply = REPLY_MAGIC.to_be_bytes().to_vec();
        reply.extend_from_slice(&result.to_be_bytes());
        reply.extend_from_slice(&handle);
        reply.extend_from_slice(&answer);
        match stream.write_all(&reply) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => bail!("a client went away: {error}"),
        }
    }
}
