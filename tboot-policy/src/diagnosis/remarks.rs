//! The lines of tboot that decide about a launch, and what they mean.

/// What a line says about the launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It was made.
    Success,
    /// It was not, because of this.
    Obstacle,
    /// Worth knowing.
    Remark,
}

/// Words in tboot's line, their weight, and a sentence for a person.
const KNOWN: [(&str, Weight, &str); 30] = [
    (
        "measured launch succeeded",
        Weight::Success,
        "the launch was made",
    ),
    (
        "SINIT ACM successfully returned",
        Weight::Remark,
        "SINIT ran to its end",
    ),
    (
        "Non-Intel CPU detected",
        Weight::Obstacle,
        "the processor is not Intel's: tboot launches with Intel TXT only",
    ),
    (
        "CPU does not support SMX",
        Weight::Obstacle,
        "the processor has no SMX, which Intel TXT needs, or a hypervisor hides it",
    ),
    (
        "CPU does not support VMX",
        Weight::Obstacle,
        "VMX is missing or switched off: switch virtualisation on in the firmware",
    ),
    (
        "VMXON disabled by feature control MSR",
        Weight::Obstacle,
        "the firmware has locked VMX in SMX: switch VT-x and TXT on there",
    ),
    (
        "SENTER disabled by feature control MSR",
        Weight::Obstacle,
        "the firmware has locked SENTER: switch TXT on there",
    ),
    (
        "insufficient SMX capabilities",
        Weight::Obstacle,
        "the processor's SMX lacks functions that a launch needs",
    ),
    (
        "TXT-capable chipset not present",
        Weight::Obstacle,
        "the chipset has no Intel TXT, or it is switched off in the firmware",
    ),
    (
        "TXT_RESET.STS is set",
        Weight::Obstacle,
        "TXT was reset after an error: switch the power off, a warm start is not enough",
    ),
    ("SMX not supported", Weight::Obstacle, "SMX cannot be used"),
    (
        "TXT not supported",
        Weight::Obstacle,
        "Intel TXT cannot be used",
    ),
    (
        "no SINIT AC module found",
        Weight::Obstacle,
        "none of the modules that GRUB loads is a SINIT module for this platform: load the right .bin file with module2",
    ),
    (
        "SINIT ACM not provided",
        Weight::Obstacle,
        "there is no SINIT module, neither from GRUB nor from the firmware",
    ),
    (
        "no SINIT provided by bootloader; using BIOS SINIT",
        Weight::Remark,
        "the SINIT module is the firmware's",
    ),
    (
        "BIOS-provided SINIT is newer, so using it",
        Weight::Remark,
        "the firmware's SINIT module is newer and taken",
    ),
    (
        "verifying AC module failed",
        Weight::Obstacle,
        "the SINIT module is damaged or does not go with this tboot",
    ),
    (
        "previous measured launch had errors",
        Weight::Obstacle,
        "tboot does not launch after a launch that failed: TXT.ERRORCODE says why that was; then switch the power off",
    ),
    (
        "last boot has error",
        Weight::Obstacle,
        "the launch before failed; TXT.ERRORCODE, printed above it, says why",
    ),
    (
        "TPM not ready",
        Weight::Obstacle,
        "the TPM does not answer: switch it on in the firmware",
    ),
    (
        "verifying module against policy failed",
        Weight::Obstacle,
        "a module is not the one in tboot's policy: see `tboot-policy verify`",
    ),
    (
        "modules in mbi but not in policy",
        Weight::Obstacle,
        "a module has no entry in tboot's policy",
    ),
    (
        "verifying nv against policy failed",
        Weight::Obstacle,
        "an NV index is not the one in tboot's policy",
    ),
    (
        "policy invalid",
        Weight::Obstacle,
        "tboot's policy in the TPM is damaged",
    ),
    (
        "all modules are verified",
        Weight::Remark,
        "tboot's policy allows all modules",
    ),
    (
        "no policy in TPM NV",
        Weight::Remark,
        "there is no policy in the TPM: tboot's built-in one counts",
    ),
    (
        "failed to read policy from TPM NV, using default",
        Weight::Remark,
        "tboot's built-in policy counts",
    ),
    (
        "unsupported BIOS data version",
        Weight::Remark,
        "the firmware's TXT data are newer than this tboot",
    ),
    (
        "verification of post-launch failed",
        Weight::Obstacle,
        "the machine's state after SINIT is not what tboot expects",
    ),
    (
        "generic fatal error",
        Weight::Obstacle,
        "tboot gave up for another reason, in the lines above",
    ),
];

/// What a line of tboot says.
pub fn remark(line: &str) -> Option<(Weight, &'static str)> {
    let found = KNOWN.iter().find(|(words, ..)| line.contains(words))?;
    Some((found.1, found.2))
}

/// Why tboot did not take a module as SINIT, where a line says that.
pub fn rejection(line: &str) -> Option<&'static str> {
    const REASONS: [(&str, &str); 12] = [
        ("chipset id mismatch", "it is for another chipset"),
        ("processor mismatch", "it is for another processor"),
        (
            "production/debug mismatch",
            "it is a debug module and the chipset is not, or the other way round",
        ),
        ("Non-client ACM on client platform", "it is for servers"),
        ("Non-server ACM on server platform", "it is for clients"),
        (
            "ACM is not an SINIT ACM",
            "it is another kind of module (BIOS or revocation ACM)",
        ),
        ("ACM size is too small", "it is not a module of Intel's"),
        (
            "ACM size mismatch",
            "its length is wrong: it is damaged or no module of Intel's",
        ),
        ("ACM type/vendor mismatch", "it is not a module of Intel's"),
        (
            "ACM info_table version unsupported",
            "it is of a version that tboot does not know",
        ),
        (
            "os_sinit_data version unsupported",
            "it needs another tboot",
        ),
        (
            "unknown UUID",
            "its table is of a kind that tboot does not know",
        ),
    ];
    let found = REASONS.iter().find(|(words, _)| line.contains(words))?;
    Some(found.1)
}
