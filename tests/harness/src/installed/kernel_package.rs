//! A Debian kernel package with the real kernel, its real maintainer scripts and those of its
//! modules that the machines of the harness use. The whole one takes minutes to unpack on an
//! emulated processor.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::assets::Kernel;
use crate::disk::cache::{CacheKey, cached};
use crate::tool::Tool;

/// Directories below kernel/ of what is kept.
const KEPT: &[&str] = &[
    "drivers/md",
    "drivers/virtio",
    "drivers/block",
    "drivers/char",
    "crypto",
    "arch/x86/crypto",
    "lib",
    "fs/fat",
    "fs/nls",
];

/// The package, from the cache or new.
pub fn kernel_package(kernel: &Kernel) -> Result<PathBuf> {
    let mut key = CacheKey::new("kernel-package", 1);
    key.file(&kernel.vmlinuz)?;
    key.bytes(kernel.version.as_bytes());
    for directory in KEPT {
        key.bytes(directory.as_bytes());
    }
    cached("kernel-package", &key, |package| {
        let scratch = tempfile::tempdir().context("cannot make a directory")?;
        let tree = scratch.path().join("tree");
        fill(&tree, kernel)?;
        // Not compressed: the guest would unpack it at an emulated processor's pace.
        Tool::new("dpkg-deb")
            .args(["--root-owner-group", "-Znone", "--build"])
            .arg(&tree)
            .arg(package)
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .run()?;
        Ok(())
    })
}

fn fill(tree: &Path, kernel: &Kernel) -> Result<()> {
    let version = &kernel.version;
    let boot = tree.join("boot");
    fs::create_dir_all(&boot).context("cannot make a directory")?;
    copy(&kernel.vmlinuz, &boot.join(format!("vmlinuz-{version}")))?;
    copy(&kernel.config, &boot.join(format!("config-{version}")))?;
    modules(&kernel.modules, &tree.join("lib/modules").join(version))?;
    let control = tree.join("DEBIAN");
    fs::create_dir(&control).context("cannot make a directory")?;
    // Without the sums of files that are left out.
    for name in ["control", "preinst", "postinst", "prerm", "postrm"] {
        copy(&kernel.control.join(name), &control.join(name))?;
    }
    Ok(())
}

/// Copies the kept modules and the lists that depmod needs.
pub(super) fn modules(from: &Path, to: &Path) -> Result<()> {
    for directory in KEPT {
        let source = from.join("kernel").join(directory);
        if !source.exists() {
            continue;
        }
        let target = to.join("kernel").join(directory);
        let parent = target.parent().context("a directory has a parent")?;
        fs::create_dir_all(parent).context("cannot make a directory")?;
        Tool::new("cp").arg("-rT").arg(&source).arg(&target).run()?;
    }
    for name in [
        "modules.order",
        "modules.builtin",
        "modules.builtin.modinfo",
    ] {
        copy(&from.join(name), &to.join(name))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}
