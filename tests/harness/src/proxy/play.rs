//! The launch itself, sent to swtpm the way the platform sends it to a TPM.

use std::io::Write;
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result, bail};

use super::traffic::Traffic;
use super::{control, message};
use crate::launch::Launch;

/// Bytes of TPM_HASH_DATA in one message; the channel takes at most 4 KiB.
const HASH_CHUNK: usize = 2048;

/// Plays `launch` and returns to the locality `restore`.
pub fn play(
    launch: &Launch,
    control: &mut UnixStream,
    data: &mut UnixStream,
    restore: u8,
    traffic: &mut Traffic,
) -> Result<()> {
    traffic.note("launch: TPM_HASH_START at locality 4")?;
    control::call(control, control::HASH_START, &[])?;
    for chunk in launch.hash_data.chunks(HASH_CHUNK) {
        let length = (chunk.len() as u32).to_be_bytes();
        control::call(control, control::HASH_DATA, &[&length, chunk].concat())?;
    }
    control::call(control, control::HASH_END, &[])?;
    for extend in &launch.extends {
        set_locality(control, extend.locality)?;
        let command = message::pcr_extend(extend);
        data.write_all(&command)
            .context("cannot write to swtpm's data channel")?;
        let Some(response) = message::read(data, "swtpm")? else {
            bail!("swtpm closed its data channel during the launch");
        };
        traffic.command(extend.locality, &command, &response)?;
        let result = message::code(&response);
        if result != 0 {
            bail!(
                "the TPM refused the launch's extend of PCR {} at locality {}: 0x{result:03x}",
                extend.pcr,
                extend.locality
            );
        }
    }
    set_locality(control, restore)?;
    traffic.note("launch: done")
}

fn set_locality(control: &mut UnixStream, locality: u8) -> Result<()> {
    control::call(control, control::SET_LOCALITY, &[locality, 0, 0, 0])
        .with_context(|| format!("cannot switch to locality {locality}"))
}
