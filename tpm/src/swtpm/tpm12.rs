//! What only the platform can do to a TPM 1.2: a dynamic launch, and commands from another locality.

use std::{io, net::TcpStream};

use super::{
    Swtpm,
    wire::{
        CMD_HASH_DATA, CMD_HASH_END, CMD_HASH_START, CMD_SET_LOCALITY, connect, framed, order,
        transmit,
    },
};
use crate::tpm12::transport::Transport;

/// TPM_TAG_RQU_COMMAND and TPM_ORD_Extend.
const TAG_COMMAND: u16 = 0x00c1;
const EXTEND: u32 = 0x14;

/// One TPM_Extend of a launch.
#[derive(Clone, Copy, Debug)]
pub struct Extend12 {
    /// Where it is sent from: 2 for tboot, 3 or 4 for the SINIT module.
    pub locality: u8,
    /// The register.
    pub pcr: u8,
    /// What it is extended with.
    pub digest: [u8; 20],
}

impl Swtpm {
    /// Plays a dynamic launch into a TPM 1.2: `_TPM_Hash_Start`, `_Data`, `_End` (PCR 17 becomes
    /// SHA1(0^20 || SHA1(data)), 18 to 22 become 0), then the extends. No client may be open.
    ///
    /// # Errors
    /// swtpm did not answer, or refused.
    pub fn launch_tpm12(&self, hash_data: &[u8], extends: &[Extend12]) -> io::Result<()> {
        let mut platform = self.at_locality(4)?;
        let length = u32::try_from(hash_data.len()).map_err(io::Error::other)?;
        order(&mut platform.control, CMD_HASH_START, &[])?;
        order(
            &mut platform.control,
            CMD_HASH_DATA,
            &[&length.to_be_bytes(), hash_data].concat(),
        )?;
        order(&mut platform.control, CMD_HASH_END, &[])?;
        for extend in extends {
            order(&mut platform.control, CMD_SET_LOCALITY, &[extend.locality])?;
            let body = [&u32::from(extend.pcr).to_be_bytes()[..], &extend.digest].concat();
            let answer = platform.transmit(&framed(TAG_COMMAND, EXTEND, &body))?;
            if answer.get(6..10) != Some(&[0; 4]) {
                return Err(io::Error::other(format!("{extend:?}: {answer:02x?}")));
            }
        }
        order(&mut platform.control, CMD_SET_LOCALITY, &[0])
    }

    /// A connection whose commands come from this locality.
    ///
    /// # Errors
    /// swtpm did not answer, or refused.
    pub fn at_locality(&self, locality: u8) -> io::Result<AtLocality> {
        let data = connect(self.port())?;
        let mut control = connect(self.port() + 1)?;
        order(&mut control, CMD_SET_LOCALITY, &[locality])?;
        Ok(AtLocality { data, control })
    }
}

/// The locality holds as long as both connections do.
pub struct AtLocality {
    data: TcpStream,
    control: TcpStream,
}

impl Transport for AtLocality {
    fn transmit(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        transmit(&mut self.data, command)
    }
}

impl Drop for AtLocality {
    fn drop(&mut self) {
        // A swtpm that is gone has no locality.
        drop(order(&mut self.control, CMD_SET_LOCALITY, &[0]));
    }
}
