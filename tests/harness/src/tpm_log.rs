//! What a machine asked of its TPM: the log of [`crate::proxy`], as data.

use std::path::Path;

use anyhow::{Context, Result};

/// TPM2_Unseal (TPM 2.0 Library, Part 2, 6.5.2).
pub const TPM2_UNSEAL: u32 = 0x15e;
/// TPM2_PCR_Extend.
pub const TPM2_PCR_EXTEND: u32 = 0x182;

/// TPM2_PCR_Event.
pub const TPM2_PCR_EVENT: u32 = 0x13c;

/// One command of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TpmCommand {
    /// Its code.
    pub code: u32,
    /// The locality it came from: 0 is Linux, 2 to 4 are the launch.
    pub locality: u8,
    /// Its first handle, for commands that have one; a PCR's is its number.
    pub handle: u32,
    /// The TPM's response code; 0 is success.
    pub result: u32,
}

/// Every command of the machine, in order.
///
/// # Errors
/// The log cannot be read, or holds a command line of another form.
pub fn read(log: &Path) -> Result<Vec<TpmCommand>> {
    let text =
        std::fs::read_to_string(log).with_context(|| format!("cannot read {}", log.display()))?;
    text.lines()
        .filter(|line| line.contains(" command 0x"))
        .map(|line| parse(line).with_context(|| format!("{} holds {line:?}", log.display())))
        .collect()
}

/// Was the latch closed: PCR 15 extended by Linux, and no secret released afterwards?
pub fn closes_latch(commands: &[TpmCommand]) -> bool {
    let is_latch = |command: &TpmCommand| {
        [TPM2_PCR_EXTEND, TPM2_PCR_EVENT].contains(&command.code)
            && command.locality == 0
            && command.handle == 15
            && command.result == 0
    };
    let is_release = |command: &TpmCommand| command.code == TPM2_UNSEAL && command.result == 0;
    commands
        .iter()
        .position(is_latch)
        .is_some_and(|latch| !commands.iter().skip(latch).any(is_release))
}

fn parse(line: &str) -> Option<TpmCommand> {
    let hex_after = |label: &str| {
        let (_, rest) = line.split_once(label)?;
        let digits = rest.split([' ', ',']).next()?;
        u32::from_str_radix(digits, 16).ok()
    };
    let (_, locality) = line.split_once(" L")?;
    Some(TpmCommand {
        code: hex_after("command 0x")?,
        locality: locality.split(' ').next()?.parse().ok()?,
        handle: hex_after(" on 0x")?,
        result: hex_after("result 0x")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_result_of_a_command_are_read() {
        let line = "   1.250 L0 command 0x0000015e on 0x80000001 91 bytes, result 0x99d 10 bytes";
        assert_eq!(
            parse(line),
            Some(TpmCommand {
                code: TPM2_UNSEAL,
                locality: 0,
                handle: 0x8000_0001,
                result: 0x99d
            })
        );
        assert_eq!(parse("   1.250 L0 command 0x15e, cut"), None);
    }

    #[test]
    fn only_linux_own_extend_of_pcr_15_after_the_last_release_closes_the_latch() {
        let command = |code, locality, handle, result| TpmCommand {
            code,
            locality,
            handle,
            result,
        };
        let unseal = command(TPM2_UNSEAL, 0, 0x8000_0001, 0);
        let latch = command(TPM2_PCR_EXTEND, 0, 15, 0);
        assert!(closes_latch(&[unseal, latch]));
        assert!(closes_latch(&[command(TPM2_PCR_EVENT, 0, 15, 0)]));
        // The launch's extends, another register, an extend that was refused, none at all.
        for other in [
            command(TPM2_PCR_EXTEND, 2, 18, 0),
            command(TPM2_PCR_EXTEND, 3, 15, 0),
            command(TPM2_PCR_EXTEND, 0, 14, 0),
            command(TPM2_PCR_EXTEND, 0, 15, 0x907),
            command(TPM2_UNSEAL, 0, 15, 0),
        ] {
            assert!(!closes_latch(&[unseal, other]), "{other:?}");
        }
        assert!(!closes_latch(&[]));
        // Too late: a secret was released behind it.
        assert!(!closes_latch(&[latch, unseal]));
    }
}
