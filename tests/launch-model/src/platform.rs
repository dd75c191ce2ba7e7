//! The machine: what its CPU and its SINIT measure (TXT Software Development Guide, "details and
//! authorities", the only mapping of TPM 2.0; order and rules as in the log of a real host).

use crate::{Bank, Event, mle::Mle};

/// A machine. Each field has the bytes whose digest is extended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// What the CPU hashes of the SINIT module.
    pub sinit: Vec<u8>,
    /// BIOS ACM registration data.
    pub biosac_reg_data: Vec<u8>,
    /// Status of the CPU's static root of trust.
    pub cpu_scrtm_stat: Vec<u8>,
    /// PolicyControl of the launch control policy.
    pub lcp_control: Vec<u8>,
    /// The elements of the launch control policy that matched.
    pub lcp_details: Vec<u8>,
    /// Who signed its matching lists.
    pub lcp_authorities: Vec<u8>,
    /// The SMM transfer monitor.
    pub stm: Vec<u8>,
    /// Attributes of NV indices.
    pub nv_info: Vec<u8>,
    /// The key that signed SINIT.
    pub sinit_pubkey: Vec<u8>,
}

/// Capabilities that tboot decides by what SINIT can do, whatever its own header says.
const WAKE_BY_GETSEC: u32 = 0x001;
const WAKE_BY_MONITOR: u32 = 0x002;
const PAGE_TABLE_IN_ECX: u32 = 0x004;
const PCR_MAP_DA: u32 = 0x020;
const TCG_EVENT_LOG: u32 = 0x200;

impl Platform {
    /// A machine that does not exist: no launch control policy, no SMM transfer monitor, and texts
    /// that say that they are made up. Its SINIT wakes processors by GETSEC and writes a TCG event
    /// log.
    pub fn simulated() -> Self {
        Self {
            sinit: b"taoboot simulated launch: not a SINIT module".to_vec(),
            biosac_reg_data: b"taoboot simulated launch: no BIOS ACM".to_vec(),
            cpu_scrtm_stat: vec![1, 0, 0, 0],
            lcp_control: vec![0, 0, 0, 0],
            lcp_details: vec![0],
            lcp_authorities: vec![0],
            stm: vec![0],
            nv_info: b"taoboot simulated launch: no NV indices".to_vec(),
            sinit_pubkey: b"taoboot simulated launch: no SINIT signer".to_vec(),
        }
    }

    /// OsSinitData.Capabilities: those of tboot's header, but for what SINIT decides.
    pub fn capabilities(mle: &Mle, tboot_cmdline: &[u8]) -> u32 {
        let decided =
            WAKE_BY_GETSEC | WAKE_BY_MONITOR | PAGE_TABLE_IN_ECX | PCR_MAP_DA | TCG_EVENT_LOG;
        let mut words = tboot_cmdline.split(u8::is_ascii_whitespace);
        let legacy_log = words.any(|word| word == b"force_tpm2_legacy_log=true");
        let log = if legacy_log { 0 } else { TCG_EVENT_LOG };
        mle.capabilities & !decided | WAKE_BY_GETSEC | log
    }

    /// What the CPU and SINIT extend, in every bank.
    pub fn events(&self, mle: &Mle, tboot_cmdline: &[u8]) -> Vec<Event> {
        let caps = Self::capabilities(mle, tboot_cmdline).to_le_bytes();
        let of = |bytes: &[u8]| Bank::ALL.map(|bank| (bank, bank.hash(bytes)));
        let scrtm = of(&self.cpu_scrtm_stat);
        let capabilities = of(&caps);
        let control = of(&self.lcp_control);
        let nv_info = of(&self.nv_info);
        let launched = Bank::ALL.map(|bank| (bank, mle.hash(bank)));
        let details = [
            (0x402, "HASH_START", of(&self.sinit)),
            (0x40a, "BIOSAC_REG_DATA", of(&self.biosac_reg_data)),
            (0x40b, "CPU_SCRTM_STAT", scrtm.clone()),
            (0x40c, "LCP_CONTROL_HASH", control.clone()),
            (0x412, "LCP_DETAILS_HASH", of(&self.lcp_details)),
            (0x40e, "STM_HASH", of(&self.stm)),
            (0x40f, "OSSINITDATA_CAP_HASH", capabilities.clone()),
            (0x404, "MLE_HASH", launched),
            (0x414, "NV_INFO_HASH", nv_info.clone()),
        ];
        let authorities = [
            (0x410, "SINIT_PUBKEY_HASH", of(&self.sinit_pubkey)),
            (0x40b, "CPU_SCRTM_STAT", scrtm),
            (0x40f, "OSSINITDATA_CAP_HASH", capabilities),
            (0x40c, "LCP_CONTROL_HASH", control),
            (0x413, "LCP_AUTHORITIES_HASH", of(&self.lcp_authorities)),
            (0x414, "NV_INFO_HASH", nv_info),
        ];
        let details = details.map(|event| (17, event)).into_iter();
        let authorities = authorities.map(|event| (18, event));
        details
            .chain(authorities)
            .map(|(pcr, (number, name, digests))| Event {
                pcr,
                // HASH_START is the CPU's.
                locality: if number == 0x402 { 4 } else { 3 },
                number,
                name: name.to_owned(),
                digests: digests.into(),
            })
            .collect()
    }
}
