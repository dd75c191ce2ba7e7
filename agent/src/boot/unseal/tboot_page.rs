//! Was this kernel started by tboot?
//!
//! tboot leaves the address of its shared page in the kernel's boot parameters (`tboot_addr`,
//! Documentation/arch/x86/zero-page.rst). An approved launch has tboot in PCR 17, and its kernel is
//! started by that tboot; so where the address is zero, this is not an approved launch, whatever the TPM
//! or something in its place says. The other way round it proves nothing.

use std::{fs, path::Path};

const PARAMETERS: &str = "/sys/kernel/boot_params/data";
const TBOOT_ADDR: std::ops::Range<usize> = 0x58..0x60;

/// `false` only where the kernel's parameters say so: what cannot be read counts as tboot.
pub(super) fn may_be_there() -> bool {
    may_be_in(Path::new(PARAMETERS))
}

fn may_be_in(parameters: &Path) -> bool {
    let Ok(bytes) = fs::read(parameters) else {
        return true;
    };
    !bytes
        .get(TBOOT_ADDR)
        .is_some_and(|address| address.iter().all(|byte| *byte == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_readable_zero_is_no_tboot() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("data");
        assert!(may_be_in(&file), "not there");
        for (bytes, expected) in [
            (vec![0; 4096], false),
            (vec![0; 0x60], false),
            (vec![0; 0x5f], true),
            (Vec::new(), true),
        ] {
            fs::write(&file, bytes).unwrap();
            assert_eq!(may_be_in(&file), expected);
        }
        for place in TBOOT_ADDR {
            let mut bytes = vec![0; 4096];
            bytes[place] = 1;
            fs::write(&file, bytes).unwrap();
            assert!(may_be_in(&file), "{place:#x}");
        }
        let mut others = vec![0xff; 4096];
        others[TBOOT_ADDR].fill(0);
        fs::write(&file, others).unwrap();
        assert!(!may_be_in(&file));
    }
}
