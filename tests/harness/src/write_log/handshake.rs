//! The beginning of an NBD connection: which disk the client wants (NBD protocol, "fixed
//! newstyle negotiation").

use std::io::{Read, Write};

use anyhow::{Context, Result, bail, ensure};

use super::server::Server;

const NBDMAGIC: u64 = 0x4e42_444d_4147_4943;
const IHAVEOPT: u64 = 0x4948_4156_454f_5054;
const REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
/// Fixed newstyle, and no padding behind the answer.
const HANDSHAKE_FLAGS: u16 = 3;
/// Flags follow, flush and FUA are understood.
const TRANSMISSION_FLAGS: u16 = 1 | 4 | 8;
const OPT_EXPORT_NAME: u32 = 1;
const OPT_ABORT: u32 = 2;
const OPT_GO: u32 = 7;
const REP_ACK: u32 = 1;
const REP_INFO: u32 = 3;
const REP_ERR_UNSUP: u32 = (1 << 31) + 1;
const INFO_EXPORT: u16 = 0;
/// Names are short here.
const MAX_OPTION: u32 = 4096;

/// Negotiates; gives the disk's number, or `None` when the client leaves.
pub(super) fn disk_wanted<S: Read + Write>(
    stream: &mut S,
    server: &Server,
) -> Result<Option<usize>> {
    stream.write_all(&NBDMAGIC.to_be_bytes())?;
    stream.write_all(&IHAVEOPT.to_be_bytes())?;
    stream.write_all(&HANDSHAKE_FLAGS.to_be_bytes())?;
    number::<4, _>(stream)?;
    loop {
        ensure!(
            u64::from_be_bytes(number(stream)?) == IHAVEOPT,
            "the client does not negotiate as it should"
        );
        let option = u32::from_be_bytes(number(stream)?);
        let length = u32::from_be_bytes(number(stream)?);
        ensure!(length <= MAX_OPTION, "an option of {length} bytes");
        let mut data = vec![0; length as usize];
        stream.read_exact(&mut data)?;
        match option {
            OPT_EXPORT_NAME => {
                let (disk, size) = find(&data, server)?;
                stream.write_all(&size.to_be_bytes())?;
                stream.write_all(&TRANSMISSION_FLAGS.to_be_bytes())?;
                return Ok(Some(disk));
            }
            OPT_GO => {
                let name_length = data.first_chunk::<4>().context("no name")?;
                let name_length = u32::from_be_bytes(*name_length) as usize;
                let name = data.get(4..4 + name_length).context("no name")?;
                let (disk, size) = find(name, server)?;
                let mut info = INFO_EXPORT.to_be_bytes().to_vec();
                info.extend_from_slice(&size.to_be_bytes());
                info.extend_from_slice(&TRANSMISSION_FLAGS.to_be_bytes());
                reply(stream, option, REP_INFO, &info)?;
                reply(stream, option, REP_ACK, &[])?;
                return Ok(Some(disk));
            }
            OPT_ABORT => {
                reply(stream, option, REP_ACK, &[])?;
                return Ok(None);
            }
            _ => reply(stream, option, REP_ERR_UNSUP, &[])?,
        }
    }
}

fn find(name: &[u8], server: &Server) -> Result<(usize, u64)> {
    let disk: usize = std::str::from_utf8(name)?.parse()?;
    match server.size(disk) {
        Some(size) => Ok((disk, size)),
        None => bail!("there is no disk {disk}"),
    }
}

fn reply(stream: &mut impl Write, option: u32, kind: u32, data: &[u8]) -> Result<()> {
    stream.write_all(&REPLY_MAGIC.to_be_bytes())?;
    stream.write_all(&option.to_be_bytes())?;
    stream.write_all(&kind.to_be_bytes())?;
    stream.write_all(&u32::try_from(data.len())?.to_be_bytes())?;
    stream.write_all(data)?;
    Ok(())
}

/// Bytes of a number.
pub(super) fn number<const N: usize, S: Read>(stream: &mut S) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
