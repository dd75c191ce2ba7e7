//! What is installed, and where.

use std::{fs, process::Command};

use anyhow::{Context, Result, bail};

use super::{Source, stage::Stage};

/// The static programs that are installed.
pub const PROGRAMS: [&str; 7] = [
    "init",
    "taoboot",
    "taoboot-image",
    "tao",
    "tao-report",
    "lcp",
    "tboot-policy",
];

/// What the administrator may change: a package keeps such changes.
pub const CONFIGURATION: [&str; 5] = [
    "etc/default/grub-taoboot",
    "etc/default/taoboot",
    "etc/grub.d/20_linux_taoboot",
    "etc/kernel/postinst.d/zy-taoboot",
    "etc/kernel/postrm.d/zy-taoboot",
];

/// Program, its directory.
const PLACES: [(&str, &str); 7] = [
    ("init", "usr/lib/taoboot"),
    ("taoboot", "usr/sbin"),
    ("taoboot-image", "usr/sbin"),
    ("tboot-policy", "usr/sbin"),
    ("lcp", "usr/sbin"),
    ("tao", "usr/bin"),
    // The examples of tao(1) start it.
    ("tao-report", "usr/bin"),
];

/// File of the checkout, where it goes, mode.
const FILES: [(&str, &str, u32); 10] = [
    ("grub.d/hooks/kernel", "usr/lib/taoboot/kernel", 0o755),
    (
        "grub.d/20_linux_taoboot",
        "etc/grub.d/20_linux_taoboot",
        0o755,
    ),
    (
        "grub.d/grub-taoboot.default",
        "etc/default/grub-taoboot",
        0o644,
    ),
    ("grub.d/taoboot.default", "etc/default/taoboot", 0o644),
    (
        "grub.d/hooks/zy-taoboot.postinst",
        "etc/kernel/postinst.d/zy-taoboot",
        0o755,
    ),
    (
        "grub.d/hooks/zy-taoboot.postrm",
        "etc/kernel/postrm.d/zy-taoboot",
        0o755,
    ),
    (
        "grub.d/hooks/90-taoboot.install",
        "usr/lib/kernel/install.d/90-taoboot.install",
        0o755,
    ),
    (
        "grub.d/taoboot-booted.service",
        "usr/lib/systemd/system/taoboot-booted.service",
        0o644,
    ),
    (
        "grub.d/image.toml",
        "usr/share/doc/taoboot/examples/image.toml",
        0o644,
    ),
    ("LICENSING.md", "usr/share/doc/taoboot/LICENSING.md", 0o644),
];

/// Documents, gzip-compressed, and their names.
const DOCUMENTS: [(&str, &str); 5] = [
    ("README.md", "README.md"),
    ("SECURITY.md", "SECURITY.md"),
    ("ARCHITECTURE.md", "ARCHITECTURE.md"),
    // The name that Debian's policy asks for.
    ("CHANGELOG.md", "changelog"),
    ("docs/tao-wire.md", "tao-wire.md"),
];

/// Puts everything into the stage.
pub fn install(source: &Source, stage: &mut Stage) -> Result<()> {
    for (name, directory) in PLACES {
        stage.copy(
            &source.programs.join(name),
            &format!("{directory}/{name}"),
            0o755,
        )?;
    }
    for (from, to, mode) in FILES {
        stage.copy(&source.file(from), to, mode)?;
    }
    for (name, base) in DOCUMENTS {
        let text = fs::read(source.file(name)).with_context(|| name.to_owned())?;
        stage.compressed(&format!("usr/share/doc/taoboot/{base}.gz"), &text)?;
    }
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        stage.copy(
            &source.file(licence),
            &format!("usr/share/doc/taoboot/{licence}"),
            0o644,
        )?;
    }
    manuals(source, stage)?;
    original_names(source, stage)?;
    // Enabled as it is installed; `systemctl mask` takes it back.
    stage.link(
        "../taoboot-booted.service",
        "usr/lib/systemd/system/multi-user.target.wants/taoboot-booted.service",
    )?;
    stage.directory("etc/taoboot", 0o755)?;
    // Records of the platform, and who may know which launches were approved.
    stage.directory("var/lib/taoboot", 0o700)
}

/// Manual pages go by their section.
fn manuals(source: &Source, stage: &mut Stage) -> Result<()> {
    let directory = source.file("docs/man");
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(&directory).with_context(|| directory.display().to_string())? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    for name in names {
        let Some((_, section)) = name.rsplit_once('.') else {
            bail!("docs/man/{name} has no section in its name");
        };
        let text = fs::read(directory.join(&name)).with_context(|| name.clone())?;
        stage.compressed(&format!("usr/share/man/man{section}/{name}.gz"), &text)?;
    }
    Ok(())
}

/// Links by the names of tboot's tools, in a directory that is not on anybody's PATH: Debian's tboot
/// has programs of these names. The programs themselves know the names.
fn original_names(source: &Source, stage: &mut Stage) -> Result<()> {
    let scratch = tempfile::tempdir().context("cannot make a directory")?;
    for program in ["lcp", "tboot-policy"] {
        let output = Command::new(source.programs.join(program))
            .arg("links")
            .arg(scratch.path())
            .output()
            .with_context(|| format!("cannot start {program}"))?;
        if !output.status.success() {
            bail!(
                "{program} links failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        for line in printed.lines() {
            let name = line.rsplit('/').next().unwrap_or(line);
            stage.link(
                &format!("../../../sbin/{program}"),
                &format!("usr/lib/taoboot/original/{name}"),
            )?;
        }
    }
    Ok(())
}
