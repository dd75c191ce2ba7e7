//! The sentence for a file of another kind than the one that is asked for: what it looks like, and
//! what to give instead.

use std::path::Path;

use crate::file_kind::FileKind;

/// What a command asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// An event log.
    EventLog,
    /// The text of txt-stat or tboot.
    LaunchLog,
    /// PCR values.
    Pcrs,
    /// tboot's verified launch policy.
    VerifiedPolicy,
    /// tboot.gz, or another measured launch environment.
    Tboot,
    /// A SINIT module.
    Sinit,
    /// A launch control policy (the content of an NV index).
    LaunchPolicy,
    /// The data of a launch control policy.
    PolicyData,
    /// A list or an element of such data.
    PolicyPart,
    /// A key in PEM.
    Key,
    /// A platform record.
    Record,
    /// A list of predictions.
    Predictions,
    /// grub.cfg.
    GrubConfig,
    /// An initramfs.
    Image,
    /// A text that a person writes.
    Settings,
}

impl Wanted {
    /// What it is called.
    const fn name(self) -> &'static str {
        match self {
            Self::EventLog => "an event log",
            Self::LaunchLog => "the text of txt-stat or tboot",
            Self::Pcrs => "PCR values",
            Self::VerifiedPolicy => "a verified launch policy of tboot",
            Self::Tboot => "tboot",
            Self::Sinit => "a SINIT module",
            Self::LaunchPolicy => "a launch control policy",
            Self::PolicyData => "data of a launch control policy",
            Self::PolicyPart => "a list or element of a launch control policy",
            Self::Key => "a key",
            Self::Record => "a platform record",
            Self::Predictions => "a list of predictions",
            Self::GrubConfig => "a grub.cfg",
            Self::Image => "an initramfs",
            Self::Settings => "a text with settings",
        }
    }

    /// Where it comes from.
    const fn source(self) -> &'static str {
        match self {
            Self::EventLog => {
                "give TXT's log, tboot's serial output, what txt-stat prints, or the firmware's log (/sys/kernel/security/tpm0/binary_bios_measurements)"
            }
            Self::LaunchLog => "give what txt-stat prints, or a capture of tboot's serial output",
            Self::Pcrs => {
                "give the output of tpm2_pcrread, lines \"17: HEX\", or JSON of `tboot-policy predict --json`"
            }
            Self::VerifiedPolicy => "`tboot-policy create` and `from-grub` make one",
            Self::Tboot => "give /boot/tboot.gz",
            Self::Sinit => "give the .bin file of Intel's for this platform",
            Self::LaunchPolicy => "`lcp policy create` makes one",
            Self::PolicyData => "`lcp policy create` makes it, together with the policy",
            Self::PolicyPart => "`lcp element create` and `lcp list create` make one",
            Self::Key => "give a PEM file",
            Self::Record => "`tboot-policy record` makes one",
            Self::Predictions => "`tboot-policy predict --all --json` makes one",
            Self::GrubConfig => "give the file that grub-mkconfig writes",
            Self::Image => "give the initrd that GRUB loads",
            Self::Settings => "give a text file",
        }
    }

    /// Is this a form in which it comes? Then its own parser knows better what is wrong.
    fn comes_as(self, kind: FileKind) -> bool {
        use FileKind::{
            Acm, AgileLog, Blank, Compressed, Cpio, Elf, EventContainer, GrubConfig, Json, Other,
            Pem, PolicyData, TbootLog, Text, TxtStat,
        };
        match self {
            Self::EventLog => matches!(
                kind,
                Json | TbootLog | EventContainer | AgileLog | Blank | Other
            ),
            Self::LaunchLog => matches!(kind, TxtStat | TbootLog),
            Self::Pcrs => matches!(kind, Json | Text),
            Self::VerifiedPolicy | Self::LaunchPolicy | Self::PolicyPart => {
                matches!(kind, Blank | Other)
            }
            Self::Tboot => matches!(kind, Elf | Compressed("gzip")),
            Self::Sinit => matches!(kind, Acm | Other),
            Self::PolicyData => matches!(kind, PolicyData | Other),
            Self::Key => matches!(kind, Pem),
            Self::Record | Self::Predictions => matches!(kind, Json),
            Self::GrubConfig => matches!(kind, GrubConfig | Text),
            Self::Image => matches!(kind, Cpio | Compressed(_) | Other | Blank),
            Self::Settings => matches!(kind, Text | Json),
        }
    }
}

/// What is worth knowing of this pair.
fn advice(wanted: Wanted, kind: FileKind) -> Option<&'static str> {
    Some(match (wanted, kind) {
        (Wanted::EventLog, FileKind::TxtStat) => {
            "txt-stat found no log of tboot's in memory, so that there is none in its text: the launch was made by another loader, or without \"memory\" in tboot's option logging=; look into a capture of the serial port, or read the TXT heap as root (`tboot-policy log show` without a file); `tboot-policy launch-log` shows the registers"
        }
        (Wanted::EventLog, FileKind::AcpiTable(_)) => {
            "the table only says where the firmware keeps its log: give /sys/kernel/security/tpm0/binary_bios_measurements"
        }
        (Wanted::EventLog | Wanted::LaunchLog, FileKind::Compressed(_)) => "decompress it first",
        (Wanted::LaunchLog, FileKind::EventContainer | FileKind::AgileLog) => {
            "`tboot-policy log show` reads it"
        }
        (Wanted::Sinit, FileKind::Zip) => "unpack it: the module is the .bin file in it",
        (Wanted::Tboot, FileKind::Kernel) => "the kernel is a module: give /boot/tboot.gz here",
        (Wanted::Image, FileKind::Kernel) => "give the initrd that belongs to this kernel",
        (Wanted::Key, FileKind::Other) => {
            "convert it: openssl pkey (or rsa) -inform DER -outform PEM"
        }
        (Wanted::GrubConfig, FileKind::GrubEnvironment) => "grub.cfg lies beside it",
        (Wanted::LaunchPolicy, FileKind::PolicyData) => {
            "the policy itself is the other file, of some 40 to 70 bytes"
        }
        _ => return None,
    })
}

/// The sentence for a file that could not be read as what is wanted; `None` where it looks as it
/// should, so that its parser's own words say more.
#[must_use]
pub fn mismatch(path: &Path, bytes: &[u8], wanted: Wanted) -> Option<String> {
    sentence(&path.display().to_string(), FileKind::of(bytes), wanted)
}

fn sentence(path: &str, kind: FileKind, wanted: Wanted) -> Option<String> {
    if wanted.comes_as(kind) {
        return None;
    }
    let advice = advice(wanted, kind).unwrap_or_else(|| wanted.source());
    Some(format!(
        "{path} looks like {kind}, not like {}: {advice}",
        wanted.name()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_says_what_it_is_and_what_to_give() {
        let say = |bytes: &[u8], wanted| mismatch("/f".as_ref(), bytes, wanted);
        assert_eq!(
            say(b"\x7fELF", Wanted::Pcrs).unwrap(),
            "/f looks like an ELF file, not like PCR values: give the output of tpm2_pcrread, lines \"17: HEX\", or JSON of `tboot-policy predict --json`"
        );
        let stat = say(b"Intel(r) TXT Configuration Registers:\n", Wanted::EventLog).unwrap();
        assert!(stat.contains("looks like the text of txt-stat") && stat.contains("launch-log"));
        assert!(say(b"", Wanted::Tboot).unwrap().contains("an empty file"));
        // What is of the kind is judged by its own parser.
        assert_eq!(say(b"{\"x\":1}", Wanted::Record), None);
        assert_eq!(say(&[1, 2, 3], Wanted::EventLog), None);
    }
}
