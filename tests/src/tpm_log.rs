//! What a machine asked of its TPM: the log of [`crate::proxy`], as data.

use std::path::Path;

use anyhow::{Context, Result};

/// TPM2_Unseal (TPM 2.0 Library, Part 2, 6.5.2).
pub const TPM2_UNSEAL: u32 = 0x15e;
/// TPM2_PCR_Extend.
pub const TPM2_PCR_EXTEND: u32 = 0x182;

/// One command of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TpmCommand {
    /// Its code.
    pub code: u32,
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

fn parse(line: &str) -> Option<TpmCommand> {
    let hex_after = |label: &str| {
        let (_, rest) = line.split_once(label)?;
        let digits = rest.split([' ', ',']).next()?;
        u32::from_str_radix(digits, 16).ok()
    };
    Some(TpmCommand {
        code: hex_after("command 0x")?,
        result: hex_after("result 0x")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_result_of_a_command_are_read() {
        let line = "   1.250 L0 command 0x0000015e 91 bytes, result 0x99d 10 bytes";
        assert_eq!(
            parse(line),
            Some(TpmCommand {
                code: TPM2_UNSEAL,
                result: 0x99d
            })
        );
        assert_eq!(parse("   1.250 L0 command 0x15e, cut"), None);
    }
}
