//! What is allowed: which package may use which, and how much may be left of what should go.

/// A package, and those of ours that what it ships may use. A package that is not in the table may
/// use none, and one in a directory of tests all but `xtask`.
pub const ARROWS: &[(&str, &[&str])] = &[
    ("taoboot-printable", &[]),
    ("taoboot-commands", &["taoboot-printable"]),
    ("taoboot-xaes256gcm", &[]),
    ("taoboot-tpm", &[]),
    // /init and the image builder read disks and tables with it.
    ("taoboot-storage", &[]),
    // What lcp, tboot-policy and /init read alike.
    ("taoboot-txt", &["taoboot-printable", "taoboot-tpm"]),
    // What the commands under the original names share.
    (
        "taoboot-original-options",
        &["taoboot-commands", "taoboot-printable", "taoboot-txt"],
    ),
    // Programs of other people link it: nothing of ours that they would not need.
    ("taoboot-tao", &["taoboot-printable", "taoboot-xaes256gcm"]),
    ("taoboot-host", &["taoboot-printable", "taoboot-tao"]),
    // /init: no lcp, no tboot-policy, which are commands.
    (
        "taoboot-agent",
        &[
            "taoboot-commands",
            "taoboot-host",
            "taoboot-printable",
            "taoboot-storage",
            "taoboot-tao",
            "taoboot-tpm",
            "taoboot-txt",
        ],
    ),
    (
        "taoboot-lcp",
        &[
            "taoboot-commands",
            "taoboot-original-options",
            "taoboot-printable",
            "taoboot-tpm",
            "taoboot-txt",
        ],
    ),
    (
        "taoboot-policy",
        &[
            "taoboot-commands",
            "taoboot-original-options",
            "taoboot-printable",
            "taoboot-tpm",
            "taoboot-txt",
        ],
    ),
    (
        "taoboot",
        &[
            "taoboot-agent",
            "taoboot-commands",
            "taoboot-host",
            "taoboot-policy",
            "taoboot-printable",
            "taoboot-storage",
            "taoboot-tao",
            "taoboot-tpm",
            "taoboot-txt",
        ],
    ),
    (
        "taoboot-tao-tools",
        &[
            "taoboot-commands",
            "taoboot-host",
            "taoboot-printable",
            "taoboot-tao",
        ],
    ),
    (
        "taoboot-mkinitramfs",
        &["taoboot-commands", "taoboot-printable", "taoboot-storage"],
    ),
    (
        "taoboot-xtask",
        &[
            "taoboot-commands",
            "taoboot-mkinitramfs",
            "taoboot-printable",
        ],
    ),
];

/// Where packages are that only tests use.
pub const TEST_DIRECTORIES: [&str; 2] = ["tests", "fuzz"];

/// The packages that all tests may use. The others below `tests/` are for each other.
pub const SHARED_BY_TESTS: [&str; 2] = ["taoboot-launch-model", "taoboot-test-support"];

/// The package that uses none of ours, its own tests aside: it checks them.
pub const ORACLE: &str = "taoboot-launch-model";

/// What nobody uses.
pub const USED_BY_NOBODY: &str = "taoboot-xtask";

/// Paths in sources that climb out of the directory where they stand for links elsewhere: on the
/// machine that a package is installed on, and in /sys.
pub const LEAD_ELSEWHERE: [&str; 2] = [
    "../../../sbin/{program}",
    "../../devices/pci0/0000:01/virtio0/block/vda",
];

/// Dependencies whose library has another name than their package.
pub const NAMED_OTHERWISE: &[(&str, &str)] = &[("md-5", "md5")];

/// Dependencies that no source file names. Lower it, never raise it.
pub const UNNAMED: usize = 0;

/// `unwrap_or_default()` without a comment in what is shipped. Lower it, never raise it.
pub const DEFAULTS_WITHOUT_REASON: usize = 0;

/// `Result<_, String>` in libraries. Lower it, never raise it.
pub const TEXT_ERRORS: usize = 8;

/// Files of more than 400 lines. Lower it, never raise it.
pub const LONG_FILES: usize = 2;
