//! TXT.ERRORCODE: why the last launch ended (TXT Software Development Guide, appendix B, and the
//! layout of tboot's txt/errorcode.h).
//!
//! Bit 31: valid; bit 30: by software (else by the processor); bit 15 of software's: not by an ACM.
//! An ACM's code has its type (bits 0-3), the class or progress (4-9), the error (10-14) and a
//! minor part (16-29), whose meaning each module's own table lists.

use std::fmt;

/// The register, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// Nothing is noted.
    None,
    /// An authenticated code module ran to its end.
    Passed {
        /// Which module: 1 is SINIT.
        module: u8,
    },
    /// The processor ended it.
    Processor {
        /// Its code.
        code: u32,
    },
    /// An authenticated code module ended it.
    Acm {
        /// Which module: 0 is the firmware's (BIOS ACM), 1 is SINIT.
        module: u8,
        /// How far it came: the class of the error.
        progress: u8,
        /// The error (major).
        error: u8,
        /// The minor part.
        minor: u16,
    },
    /// The launched program, or other software.
    Software {
        /// Bits 0 to 14.
        error: u16,
        /// Bits 16 to 29.
        detail: u16,
    },
}

/// The class of errors at the TPM, and the error that a command's failure is.
const CLASS_TPM: u8 = 0x0d;
const TPM_FAILED: u8 = 0x0a;
/// The class of errors of the launch control policy.
const CLASS_POLICY: u8 = 0x10;

/// Bits of a register; at most 16.
const fn bits(value: u32, from: u32, count: u32) -> u16 {
    (value.wrapping_shr(from) & !(u32::MAX << count)) as u16
}

impl From<u32> for ErrorCode {
    fn from(raw: u32) -> Self {
        if bits(raw, 31, 1) == 0 {
            return Self::None;
        }
        if bits(raw, 30, 1) == 0 {
            return Self::Processor {
                code: raw & 0x3fff_ffff,
            };
        }
        if bits(raw, 15, 1) == 1 {
            return Self::Software {
                error: bits(raw, 0, 15),
                detail: bits(raw, 16, 14),
            };
        }
        let small = |from, count| bits(raw, from, count) as u8;
        let (module, progress, error) = (small(0, 4), small(4, 6), small(10, 5));
        match (progress, error, bits(raw, 16, 14)) {
            (0, 0, 0) => Self::Passed { module },
            (progress, error, minor) => Self::Acm {
                module,
                progress,
                error,
                minor,
            },
        }
    }
}

impl ErrorCode {
    /// Did something go wrong?
    pub const fn is_error(self) -> bool {
        !matches!(self, Self::None | Self::Passed { .. })
    }
}

/// A module's name.
fn module_name(module: u8) -> String {
    match module {
        0 => "the firmware's module (BIOS ACM)".to_owned(),
        1 => "the SINIT module".to_owned(),
        other => format!("a module of type {other:#x}"),
    }
}

/// What the processor's codes mean, and what to do.
const fn processor(code: u32) -> Option<(&'static str, &'static str)> {
    Some(match code {
        0 => (
            "a shutdown that is not TXT's own",
            "look for what reset the machine",
        ),
        5 => (
            "the memory type of the module's area is wrong",
            "tboot sets the MTRRs for it: look for a firmware update",
        ),
        6 => (
            "the module is of a format that this processor does not know",
            "load the SINIT module for this platform, and only that one",
        ),
        7 => (
            "the module could not be authenticated: its key is not this chipset's, or it was changed in memory",
            "load the SINIT module for this platform, and only that one: several together may overwrite each other",
        ),
        8 => (
            "the module's header is damaged",
            "take the SINIT module from Intel's archive again",
        ),
        9 => (
            "another agent had the module's memory in its cache (unexpected snoop hit)",
            "another tboot or a firmware update may help",
        ),
        10 => (
            "an event came that is not allowed during the launch",
            "switch off what raises SMIs or NMIs in the firmware",
        ),
        11 => (
            "the data for waking the other processors are damaged",
            "another tboot or SINIT module may help",
        ),
        12 => (
            "a machine check that cannot be recovered from",
            "the hardware is at fault, or an old machine check was never cleared: switch the power off",
        ),
        13 => ("VMX was aborted", "update firmware and tboot"),
        14 => (
            "the module's execution area was corrupted",
            "update the firmware",
        ),
        15 => (
            "voltage or bus ratio of the processor is not allowed",
            "take overclocking and undervolting back in the firmware",
        ),
        _ => return None,
    })
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::None => write!(f, "no error"),
            Self::Passed { module } => {
                write!(f, "no error, {} ran to its end", module_name(module))
            }
            Self::Processor { code } => match processor(code) {
                Some((meaning, advice)) => {
                    write!(f, "processor error {code:#x}: {meaning}; {advice}")
                }
                None => write!(
                    f,
                    "processor error {code:#x}, whose meaning is not published"
                ),
            },
            Self::Software { error, detail } => write!(
                f,
                "error {error:#x}:{detail:#x} of the launched program; Linux's and Xen's Secure Launch have such codes (their documentation lists them), tboot has none"
            ),
            Self::Acm {
                module,
                progress,
                error,
                minor,
            } => {
                let name = module_name(module);
                write!(
                    f,
                    "{name} gave up: class (progress) {progress:#04x}, error {error:#x}, minor {minor:#x}"
                )?;
                match (progress, error) {
                    (CLASS_TPM, TPM_FAILED) => write!(
                        f,
                        "; a TPM command failed with {:#x}: look at the TPM and its NV indices",
                        minor & 0x1ff
                    ),
                    (CLASS_POLICY, _) => write!(
                        f,
                        "; the launch control policy does not allow this launch, or is damaged (detail {:#x}, index {}): compare `lcp policy verify`",
                        minor & 0x3f,
                        minor.wrapping_shr(6)
                    ),
                    _ => write!(
                        f,
                        "; the table of errors that Intel packs with the module says what that means"
                    ),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acm(module: u8, progress: u8, error: u8, minor: u16) -> ErrorCode {
        ErrorCode::Acm {
            module,
            progress,
            error,
            minor,
        }
    }

    /// The first ones as tboot's own txt-parse_err (1.10.5) decodes them.
    #[test]
    fn codes_are_decoded_as_tboot_does_and_further() {
        for (raw, code) in [
            (0x7b, ErrorCode::None),
            (0x8000_000a, ErrorCode::Processor { code: 10 }),
            (0xc000_0009, ErrorCode::Passed { module: 9 }),
            (0xc000_10a1, acm(1, 0x0a, 0x4, 0)),
            (0xc000_2081, acm(1, 0x08, 0x8, 0)),
            (0xc000_3cd1, acm(1, 0x0d, 0xf, 0)),
            (0xc011_1c61, acm(1, 0x06, 0x7, 0x11)),
            (0xc000_7051, acm(1, 0x05, 0x1c, 0)),
            (0, ErrorCode::None),
            (0xc000_0001, ErrorCode::Passed { module: 1 }),
            (0x8000_0007, ErrorCode::Processor { code: 7 }),
            (
                0xc000_8004,
                ErrorCode::Software {
                    error: 4,
                    detail: 0,
                },
            ),
        ] {
            assert_eq!(ErrorCode::from(raw), code, "{raw:#x}");
        }
    }

    #[test]
    fn each_code_is_a_sentence() {
        let say = |raw: u32| ErrorCode::from(raw).to_string();
        assert!(say(0x8000_0007).contains("could not be authenticated"));
        assert!(say(0x8000_0063).contains("0x63"));
        // TPM_RC_NV_LOCKED at the TPM; the first element of the policy.
        assert!(
            say(0xc148_28d1).contains("failed with 0x148"),
            "{}",
            say(0xc148_28d1)
        );
        assert!(
            say(0xc045_0501).contains("detail 0x5, index 1"),
            "{}",
            say(0xc045_0501)
        );
        assert!(say(0xc000_0001).starts_with("no error, the SINIT module"));
        for raw in [0, 0xc000_0001, 0xc000_0009] {
            assert!(!ErrorCode::from(raw).is_error());
        }
    }
}
