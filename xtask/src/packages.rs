//! Debian packages: which, and why.

use std::{collections::BTreeSet, fs, process::Command};

use anyhow::{Context, Result, bail};

use crate::step;

/// What a package is needed for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To build the agent and its static libraries.
    Build,
    /// To run the tests and the demo.
    Test,
    /// To compare with other tools.
    Bench,
}

impl Purpose {
    const fn words(self) -> &'static str {
        match self {
            Self::Build => "to build",
            Self::Test => "to test and for the demo",
            Self::Bench => "to compare in the benchmarks",
        }
    }
}

/// Package, purpose, reason.
const PACKAGES: &[(&str, Purpose, &str)] = &[
    ("gcc", Purpose::Build, "compiles the static C libraries"),
    ("libc6-dev", Purpose::Build, "the static C library itself"),
    ("make", Purpose::Build, "builds the static C libraries"),
    ("pkg-config", Purpose::Build, "finds them"),
    ("patch", Purpose::Build, "unpacks Debian source packages"),
    ("dpkg-dev", Purpose::Build, "unpacks Debian source packages"),
    ("xz-utils", Purpose::Build, "unpacks lvm2's tarball"),
    (
        "ca-certificates",
        Purpose::Build,
        "lets cargo and apt check whom they talk to",
    ),
    (
        "autoconf",
        Purpose::Build,
        "makes configure scripts of cryptsetup and tpm2-tss",
    ),
    ("automake", Purpose::Build, "makes their Makefiles"),
    ("libtool", Purpose::Build, "links their libraries"),
    ("autoconf-archive", Purpose::Build, "macros of tpm2-tss"),
    (
        "autopoint",
        Purpose::Build,
        "gettext's part of cryptsetup's autogen.sh",
    ),
    (
        "gettext",
        Purpose::Build,
        "gettext's part of cryptsetup's autogen.sh",
    ),
    (
        "libltdl-dev",
        Purpose::Build,
        "libtool's macros for tpm2-tss",
    ),
    (
        "libpopt-dev",
        Purpose::Build,
        "cryptsetup's configure demands it",
    ),
    (
        "libssl-dev",
        Purpose::Build,
        "static libcrypto for libcryptsetup",
    ),
    (
        "libjson-c-dev",
        Purpose::Build,
        "static json-c for LUKS2 headers",
    ),
    (
        "uuid-dev",
        Purpose::Build,
        "static libuuid for libcryptsetup",
    ),
    (
        "libblkid-dev",
        Purpose::Build,
        "static libblkid for libcryptsetup",
    ),
    (
        "libmbedtls-dev",
        Purpose::Build,
        "static mbedcrypto for tpm2-tss",
    ),
    (
        "libclang1-14",
        Purpose::Build,
        "bindgen reads libcryptsetup.h with it",
    ),
    (
        "libclang-common-14-dev",
        Purpose::Build,
        "the compiler's headers for bindgen",
    ),
    (
        "passwd",
        Purpose::Build,
        "tpm2-tss's configure looks for groupadd",
    ),
    (
        "g++",
        Purpose::Test,
        "libFuzzer, which runs the fuzz targets, is C++",
    ),
    ("qemu-system-x86", Purpose::Test, "runs the machines"),
    ("ovmf", Purpose::Test, "UEFI firmware for them"),
    ("seabios", Purpose::Test, "BIOS firmware for them"),
    ("swtpm", Purpose::Test, "their TPM"),
    ("swtpm-tools", Purpose::Test, "looks at their TPM"),
    (
        "tpm2-tools",
        Purpose::Test,
        "the other side of TPM comparisons",
    ),
    (
        "cryptsetup-bin",
        Purpose::Test,
        "the other side of LUKS comparisons",
    ),
    (
        "systemd",
        Purpose::Test,
        "systemd-cryptenroll, whose enrolments stay what they are",
    ),
    (
        "grub-pc-bin",
        Purpose::Test,
        "boot loader for BIOS machines",
    ),
    (
        "grub-efi-amd64-bin",
        Purpose::Test,
        "boot loader for UEFI machines",
    ),
    ("grub-common", Purpose::Test, "grub-mkimage, grub-mkconfig"),
    (
        "shellcheck",
        Purpose::Test,
        "reads the script for grub-mkconfig",
    ),
    ("codespell", Purpose::Test, "finds misspelt words"),
    (
        "mtools",
        Purpose::Test,
        "writes the EFI partition without mounting it",
    ),
    (
        "dosfstools",
        Purpose::Test,
        "writes the EFI partition without mounting it",
    ),
    (
        "xfsprogs",
        Purpose::Test,
        "makes a file system that must not become swap",
    ),
    (
        "btrfs-progs",
        Purpose::Test,
        "makes a file system that must not become swap",
    ),
    (
        "exfatprogs",
        Purpose::Test,
        "makes a file system that must not become swap",
    ),
    (
        "f2fs-tools",
        Purpose::Test,
        "makes a file system that must not become swap",
    ),
    (
        "ntfs-3g",
        Purpose::Test,
        "makes a file system that must not become swap",
    ),
    (
        "jfsutils",
        Purpose::Test,
        "makes a file system that must not become swap",
    ),
    (
        "reiserfsprogs",
        Purpose::Test,
        "makes a file system that must not become swap",
    ),
    (
        "nilfs-tools",
        Purpose::Test,
        "makes a file system that must not become swap",
    ),
    (
        "bcache-tools",
        Purpose::Test,
        "makes a file system that must not become swap",
    ),
    (
        "lvm2",
        Purpose::Test,
        "makes volume groups, to compare with",
    ),
    ("mdadm", Purpose::Test, "makes arrays, to compare with"),
    ("fdisk", Purpose::Test, "partitions disk images"),
    (
        "e2fsprogs",
        Purpose::Test,
        "makes ext4 images from directories",
    ),
    ("util-linux", Purpose::Test, "mkswap, to compare with"),
    (
        "mmdebstrap",
        Purpose::Test,
        "makes the Debian userland that is booted",
    ),
    (
        "uidmap",
        Purpose::Test,
        "lets an ordinary user run mmdebstrap",
    ),
    (
        "fakeroot",
        Purpose::Test,
        "keeps its owners without being root",
    ),
    (
        "busybox-static",
        Purpose::Test,
        "the harness's own test image",
    ),
    ("kmod", Purpose::Test, "depmod for the unpacked kernel"),
    ("cpio", Purpose::Test, "the other side of image comparisons"),
    ("gzip", Purpose::Test, "the other side of image comparisons"),
    ("lz4", Purpose::Test, "the other side of image comparisons"),
    ("zstd", Purpose::Test, "the other side of image comparisons"),
    ("openssl", Purpose::Test, "checks signatures"),
    (
        "initramfs-tools-core",
        Purpose::Bench,
        "mkinitramfs, to compare with",
    ),
    ("dracut-core", Purpose::Bench, "dracut, to compare with"),
];

/// Installs what `purpose` needs and the machine has not.
pub fn ensure(purpose: Purpose) -> Result<()> {
    let missing = missing(|p| p == purpose)?;
    if missing.is_empty() {
        return Ok(());
    }
    if !is_debian() {
        list(&missing);
        bail!(
            "this is not Debian: install the equivalents of the packages above, then run this again"
        );
    }
    list(&missing);
    let names: Vec<&str> = missing.iter().map(|(name, ..)| *name).collect();
    // Package lists may be missing or too old to be served any more.
    step::run("apt-get update", &mut apt(&["update"])?)?;
    let mut install = apt(&["install", "--yes", "--no-install-recommends"])?;
    step::run("apt-get install", install.args(names))
}

/// Prints what each purpose lacks.
pub fn explain() -> Result<()> {
    let missing = missing(|_| true)?;
    if missing.is_empty() {
        eprintln!("no Debian package is missing");
    } else {
        list(&missing);
    }
    Ok(())
}

fn list(missing: &[(&str, Purpose, &str)]) {
    eprintln!("Debian packages that are missing:");
    for (name, purpose, why) in missing {
        eprintln!("  {name:24} {} ({})", why, purpose.words());
    }
}

type Package = (&'static str, Purpose, &'static str);

fn missing(wanted: impl Fn(Purpose) -> bool) -> Result<Vec<Package>> {
    let wanted: Vec<Package> = PACKAGES
        .iter()
        .copied()
        .filter(|(_, purpose, _)| wanted(*purpose))
        .collect();
    let Ok(output) = Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Abbrev} ${Package}\n"])
        .output()
    else {
        return Ok(wanted); // no dpkg: everything is missing, and somebody has to find the names
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let installed: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("ii "))
        .map(str::trim)
        .collect();
    Ok(wanted
        .into_iter()
        .filter(|(name, ..)| !installed.contains(name))
        .collect())
}

fn is_debian() -> bool {
    fs::read_to_string("/etc/os-release")
        .is_ok_and(|text| text.lines().any(|line| line == "ID=debian"))
}

/// apt-get as root, through sudo where that is needed.
fn apt(arguments: &[&str]) -> Result<Command> {
    let mut command = if is_root()? {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["--non-interactive", "apt-get"]);
        sudo
    };
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["--quiet", "-o", "Dpkg::Use-Pty=0"])
        .args(arguments);
    Ok(command)
}

fn is_root() -> Result<bool> {
    let status =
        fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    let uids = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .context("no Uid in /proc/self/status")?;
    Ok(uids.split_ascii_whitespace().nth(1) == Some("0"))
}
