//! A machine for the tests: a real swtpm, and launches with their predicted PCR values.

pub mod bus;

use sha2::{Digest, Sha256};
use tpm::{
    Bank, PcrIndex, PcrPolicy, PcrValues, Tpm2,
    swtpm::{Extend, Swtpm},
};

/// What a launch hashes into PCR 17, and extends into 17, 18, 19.
pub type Launch = (&'static [u8], [&'static [u8]; 3]);

/// The approved launch.
pub const LAUNCH: Launch = (b"SINIT", [b"policy", b"kernel", b"initramfs"]);
/// The same with another kernel.
pub const OTHER_LAUNCH: Launch = (b"SINIT", [b"policy", b"kernel, changed", b"initramfs"]);

pub struct Machine {
    pub swtpm: Swtpm,
}

impl Machine {
    /// Powered on, not launched.
    pub fn new() -> Self {
        Self {
            swtpm: Swtpm::start().unwrap(),
        }
    }

    /// Powered on and launched as approved.
    pub fn launched() -> Self {
        let machine = Self::new();
        machine.launch(LAUNCH);
        machine
    }

    pub fn reboot_launched(&mut self, launch: Launch) {
        self.swtpm.reboot().unwrap();
        self.launch(launch);
    }

    fn launch(&self, (hash_data, extended): Launch) {
        let extends = [17, 18, 19].map(|pcr| Extend {
            locality: 2,
            pcr,
            digest: Sha256::digest(extended[usize::from(pcr) - 17]).into(),
        });
        self.swtpm.launch(hash_data, &extends).unwrap();
    }

    pub fn open(&self) -> Tpm2 {
        Tpm2::open(&self.swtpm.tcti()).unwrap()
    }

    /// For tpm2-tools.
    pub fn tcti(&self) -> String {
        self.swtpm.tcti()
    }

    /// No transient object, no session, loaded or saved.
    pub fn assert_nothing_loaded(&self) {
        for first in [0x8000_0000, 0x0200_0000, 0x0300_0000] {
            let handles = self.swtpm.handles(first).unwrap();
            assert!(handles.is_empty(), "{handles:x?} are still loaded");
        }
    }
}

impl Machine {
    /// What the kernel's resource manager does when a program that failed closes the device.
    pub fn forget_everything(&self) {
        for first in [0x8000_0000, 0x0200_0000, 0x0300_0000] {
            for handle in self.swtpm.handles(first).unwrap() {
                let flush = command(0x8001, 0x0165, &[&handle.to_be_bytes()]);
                assert_eq!(self.swtpm.command(&flush).unwrap()[6..10], [0; 4]);
            }
        }
    }
}

/// The policy for a launch: its PCR 17, 18, 19 computed here, and the latch open.
pub fn launch_policy((hash_data, extended): Launch) -> PcrPolicy {
    let start = extend(&[0; 32], &Sha256::digest(hash_data));
    let mut values = PcrValues::new(Bank::Sha256);
    values.insert(PcrIndex::LATCH, vec![0; 32]).unwrap();
    for (pcr, before, data) in [
        (17, start.as_slice(), extended[0]),
        (18, &[0; 32], extended[1]),
        (19, &[0; 32], extended[2]),
    ] {
        let index = PcrIndex::try_from(pcr).unwrap();
        values
            .insert(index, extend(before, &Sha256::digest(data)))
            .unwrap();
    }
    PcrPolicy::new(values).unwrap()
}

fn extend(value: &[u8], digest: &[u8]) -> Vec<u8> {
    Sha256::digest([value, digest].concat()).to_vec()
}

/// A command as it is sent: tag, length, command code, body.
pub fn command(tag: u16, code: u32, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    let length = u32::try_from(10 + body.len()).unwrap();
    [
        &tag.to_be_bytes()[..],
        &length.to_be_bytes(),
        &code.to_be_bytes(),
        &body,
    ]
    .concat()
}

/// TPM2_PCR_Extend of the SHA-256 bank with the empty password.
pub fn extend_command(pcr: u32, digest: [u8; 32]) -> Vec<u8> {
    let password = [0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0];
    let count = [0, 0, 0, 1, 0, 0x0b];
    command(
        0x8002,
        0x0182,
        &[&pcr.to_be_bytes(), &password, &count, &digest],
    )
}
