//! The attack of the demo and the tests: one byte of the kernel's file is another one.

use anyhow::{Context, Result, ensure};

/// Where a bzImage says where its version text is, and what is added to that (Linux,
/// Documentation/arch/x86/boot.rst, `kernel_version`).
const VERSION_POINTER: usize = 0x20e;
const VERSION_BASE: usize = 0x200;
/// The version text is shorter than this.
const VERSION_LIMIT: usize = 256;

/// Changes a letter of the version text in the kernel's setup header. Nothing executes it,
/// so the changed kernel boots as before: what stops it is the measurement alone.
pub fn change_one_byte(kernel: &mut [u8]) -> Result<String> {
    let pointer: [u8; 2] = kernel
        .get(VERSION_POINTER..VERSION_POINTER + 2)
        .and_then(|bytes| bytes.try_into().ok())
        .context("the kernel is too short for a bzImage")?;
    ensure!(
        kernel.get(0x202..0x206) == Some(b"HdrS"),
        "the kernel is not a bzImage: it has no setup header"
    );
    let start = VERSION_BASE + usize::from(u16::from_le_bytes(pointer));
    let size = kernel.len();
    let text = kernel
        .get_mut(start..(start + VERSION_LIMIT).min(size))
        .unwrap_or_default();
    let letter = text
        .iter_mut()
        .take_while(|byte| **byte != 0)
        .enumerate()
        .find(|(_, byte)| byte.is_ascii_lowercase());
    let (offset, letter) = letter.context("the kernel has no version text to change")?;
    let before = char::from(*letter);
    letter.make_ascii_uppercase();
    let (after, position) = (char::from(*letter), start + offset);
    Ok(format!(
        "'{before}' became '{after}' in the version text of vmlinuz, byte {position} of {size}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_byte_changes_and_it_is_in_the_version_text() {
        let mut kernel = vec![0; 0x1000];
        kernel[0x202..0x206].copy_from_slice(b"HdrS");
        kernel[VERSION_POINTER..VERSION_POINTER + 2].copy_from_slice(&0x100u16.to_le_bytes());
        kernel[0x300..0x308].copy_from_slice(b"6.1-amd6");
        let before = kernel.clone();
        let said = change_one_byte(&mut kernel).unwrap();
        let changed: Vec<usize> = (0..kernel.len())
            .filter(|index| kernel[*index] != before[*index])
            .collect();
        assert_eq!(changed, [0x304]);
        assert!(said.contains("byte 772 of 4096"), "{said}");
    }

    #[test]
    fn what_is_no_kernel_is_refused() {
        assert!(change_one_byte(&mut [0; 100]).is_err());
        assert!(change_one_byte(&mut [0; 0x1000]).is_err());
    }
}
