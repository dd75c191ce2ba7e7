//! A Debian root to install packages into: with the real dpkg, in namespaces of its own, without
//! booting. Needs no root.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};

use super::base;
use crate::disk::cache::{CacheKey, cached};

/// What packages of ours depend on and what Debian's kernel packages call.
const PACKAGES: &str = "grub2-common";

/// The cached archive, bootstrapped if need be (about half a minute, and the network).
fn archive(packages: &str) -> Result<PathBuf> {
    let mut key = CacheKey::new("debian-chroot", 1);
    key.bytes(packages.as_bytes());
    cached("debian-chroot", &key, |tar| {
        eprintln!("bootstrapping Debian to install packages in, once (half a minute or more)");
        let with_suffix = tar.with_extension("tar");
        base::bootstrap(&with_suffix, packages)?;
        std::fs::rename(&with_suffix, tar).context("cannot keep the archive")
    })
}

/// Runs a script in a fresh Debian root, which is gone afterwards. What is in `files` is at
/// /files there, what is in `modules` at /lib/modules.
///
/// # Errors
/// The archive cannot be made, or the tools of util-linux are missing.
pub fn run(files: &Path, modules: &Path, script: &str) -> Result<Output> {
    run_with(PACKAGES, files, modules, script)
}

/// The same in a root with these packages, separated by commas.
///
/// # Errors
/// As [`run`].
pub fn run_with(packages: &str, files: &Path, modules: &Path, script: &str) -> Result<Output> {
    let outer = r#"
set -e
# Not by unshare itself: in a chroot `/` is not a mount, and it would give up.
mount --make-rprivate / 2>/dev/null || true
tree=$(mktemp -d)
mount -t tmpfs -o mode=755 tmpfs "$tree"
tar --numeric-owner -xf "$ARCHIVE" -C "$tree" --exclude='./dev/*'
mount --rbind /dev "$tree/dev"
mount -t proc proc "$tree/proc"
mkdir -p "$tree/files" "$tree/lib/modules"
mount --bind "$FILES" "$tree/files"
mount --bind "$MODULES" "$tree/lib/modules"
chroot "$tree" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root \
    DEBIAN_FRONTEND=noninteractive sh -eu -c "$SCRIPT"
"#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "unchanged", "--pid", "--fork"]);
    if !nix::unistd::geteuid().is_root() {
        command.args(["--map-root-user", "--map-auto"]);
    }
    command
        .args(["sh", "-c", outer])
        .env("ARCHIVE", archive(packages)?)
        .env("FILES", files)
        .env("MODULES", modules)
        .env("SCRIPT", script)
        .stdin(Stdio::null())
        .output()
        .context("cannot start unshare (Debian package util-linux)")
}
