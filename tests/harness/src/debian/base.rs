//! Bootstraps Debian with mmdebstrap and packs it as ext4. Needs no root.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::disk::cache::{CacheKey, cached};
use crate::disk::ext4;

/// UUID of the root file system.
pub const ROOT_UUID: &str = "7a0b0003-0003-4003-8003-000000000003";
/// Its label.
pub const ROOT_LABEL: &str = "debian-root";
/// The release that is bootstrapped; that of the kernel which the tests boot.
const SUITE: &str = "bookworm";
/// What the scenarios need beyond Debian's minimum.
const PACKAGES: &str = "systemd,systemd-sysv,udev,dbus,tpm2-tools,libtss2-tcti-device0,\
    util-linux,cryptsetup-bin,dmsetup,kmod,linux-base,grub-common,grub2-common";
/// What a machine with more than one file system on one volume has in addition.
const STORAGE_PACKAGES: &str = "lvm2,btrfs-progs,mdadm,xfsprogs,f2fs-tools,e2fsprogs,fdisk";
/// Documentation is half of the files and none of the behaviour.
const LEFT_OUT: [&str; 4] = [
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/info/*",
];
/// What no scenario runs, and what a third of the bytes are: interpreters and tables that packages draw in.
/// Taken away after the installation, because the packages' own scripts use them.
const TAKEN_AWAY: &str = "rm -rf \"$1\"/usr/lib/python3* \"$1\"/usr/share/python3* \
    \"$1\"/usr/share/perl/5.* \"$1\"/usr/lib/*/perl/5.* \"$1\"/usr/lib/*/libperl.so.* \
    \"$1\"/usr/lib/udev/hwdb.d/* \"$1\"/usr/lib/udev/hwdb.bin \"$1\"/usr/share/zoneinfo/[A-Z]*/* \
    \"$1\"/usr/lib/*/gconv/*.so \"$1\"/var/lib/apt/lists/* \"$1\"/var/cache/debconf/*-old";
/// Size of the root file system in bytes.
const SIZE: u64 = 448 << 20;
/// Where packages come from when the machine's own sources name nothing for [`SUITE`].
const DEFAULT_MIRROR: &str = "http://deb.debian.org/debian";

/// Which packages a Debian has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Base {
    /// What most scenarios need.
    #[default]
    Plain,
    /// LVM, btrfs, RAID, XFS, f2fs as well.
    Storage,
}

impl Base {
    fn packages(self) -> String {
        match self {
            Self::Plain => PACKAGES.into(),
            Self::Storage => format!("{PACKAGES},{STORAGE_PACKAGES}"),
        }
    }
}

/// The cached image, bootstrapped if need be (about half a minute, and the network).
pub fn debian_base(base: Base) -> Result<PathBuf> {
    let packages = base.packages();
    let mut key = CacheKey::new("debian-base", 2);
    for part in [SUITE, &packages, TAKEN_AWAY].iter().chain(&LEFT_OUT) {
        key.bytes(part.as_bytes());
    }
    key.bytes(&SIZE.to_be_bytes());
    cached("debian-base", &key, |image| {
        let scratch = tempfile::tempdir().context("cannot make a directory")?;
        let tar = scratch.path().join("debian.tar");
        eprintln!("bootstrapping Debian {SUITE} for the guests, once (half a minute or more)");
        bootstrap(&tar, &packages)?;
        pack(&tar, scratch.path(), image)
    })
}

/// An archive of a minimal Debian with `packages`.
pub(super) fn bootstrap(tar: &Path, packages: &str) -> Result<()> {
    let mut tool = crate::tool::Tool::new("mmdebstrap")
        .args(["--variant=minbase", "--quiet"])
        .arg(format!("--customize-hook={TAKEN_AWAY}"))
        .arg(format!("--include={packages}"));
    for option in LEFT_OUT {
        tool = tool.arg(format!("--dpkgopt={option}"));
    }
    // Anything may ask for time and host in a build, so nothing here promises the same
    // bytes twice; a machine keeps what it made.
    tool.env("SOURCE_DATE_EPOCH", "1700000000")
        .arg(SUITE)
        .arg(tar)
        .args(mirrors())
        .run()
        .context("cannot bootstrap Debian: is the package mirror reachable?")?;
    Ok(())
}

/// The Debian mirrors that apt uses on this machine, as lines of a sources.list.
fn mirrors() -> Vec<String> {
    let targets = Command::new("apt-get")
        .args([
            "indextargets",
            "--format",
            "$(ORIGIN)|$(RELEASE)|$(REPO_URI)",
        ])
        .arg("Created-By: Packages")
        .output();
    let text = targets.map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut lines: Vec<String> = text
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split('|').collect();
            match fields.as_slice() {
                ["Debian", release, uri] if release.starts_with(SUITE) => {
                    Some(format!("deb {uri} {release} main"))
                }
                _ => None,
            }
        })
        .collect();
    lines.sort();
    lines.dedup();
    if !lines
        .iter()
        .any(|line| line.contains(&format!(" {SUITE} ")))
    {
        lines = vec![format!("deb {DEFAULT_MIRROR} {SUITE} main")];
    }
    lines
}

/// Turns the archive into ext4; fakeroot remembers owners that only root could set.
fn pack(tar: &Path, scratch: &Path, image: &Path) -> Result<()> {
    let tree = scratch.join("root");
    let state = scratch.join("fakeroot");
    std::fs::create_dir(&tree).context("cannot make a directory")?;
    std::fs::write(&state, "").context("cannot make fakeroot's state file")?;
    crate::tool::Tool::new("fakeroot")
        .arg("-s")
        .arg(&state)
        .args(["tar", "--numeric-owner", "-xf"])
        .arg(tar)
        .arg("-C")
        .arg(&tree)
        .run()
        .context("cannot unpack Debian")?;
    let wrapper = ["fakeroot", "-i", &state.to_string_lossy()].map(str::to_owned);
    let identity = ext4::Identity {
        uuid: ROOT_UUID,
        label: ROOT_LABEL,
    };
    ext4::make(image, &tree, SIZE, identity, &wrapper)
}
