//! A Debian package of the installation, made by `dpkg-deb`.

use std::{
    fmt::Write as _,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use super::{CONFIGURATION, Source, stage::Stage};

/// Who made it, where the caller does not say. The domain is one that never exists (RFC 2606).
const MAINTAINER: &str = "taoboot developers <taoboot@taoboot.invalid>";

/// What the package is called.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its version, e.g. 0.1.0-1.
    pub version: String,
    /// `NAME <ADDRESS>`; `None`: nobody in particular.
    pub maintainer: Option<String>,
    /// How dpkg-deb compresses: xz, zstd, gzip or none.
    pub compression: &'static str,
}

impl Package {
    /// Builds the package from a fresh installation.
    ///
    /// # Errors
    /// As [`Source::install`]; or dpkg-deb is missing or refuses.
    pub fn build(&self, source: &Source, file: &Path) -> Result<()> {
        let right = |c: char| c.is_ascii_alphanumeric() || ".+~-".contains(c);
        ensure!(
            self.version.starts_with(|c: char| c.is_ascii_digit())
                && self.version.chars().all(right),
            "{:?} is not a version of a Debian package: expected a digit, then letters, digits and . + ~ -",
            self.version
        );
        let scratch = tempfile::tempdir().context("cannot make a directory")?;
        let root = scratch.path().join("root");
        source.install(&root)?;
        let mut stage = Stage::new(&root, source.epoch)?;
        self.documents(source, &mut stage)?;
        let size = installed_size(&root)?;
        stage.write("DEBIAN/control", self.control(size).as_bytes(), 0o644)?;
        let conffiles: String = CONFIGURATION
            .iter()
            .map(|name| format!("/{name}\n"))
            .collect();
        stage.write("DEBIAN/conffiles", conffiles.as_bytes(), 0o644)?;
        for (name, mode) in [("postinst", 0o755), ("postrm", 0o755), ("triggers", 0o644)] {
            let from = source.file(&format!("grub.d/debian/{name}"));
            stage.copy(&from, &format!("DEBIAN/{name}"), mode)?;
        }
        let sums = checksums(&root)?;
        stage.write("DEBIAN/md5sums", sums.as_bytes(), 0o644)?;
        stage.finish()?;
        fs::set_permissions(&root, Permissions::from_mode(0o755))?;
        let output = Command::new("dpkg-deb")
            // More threads would make other bytes.
            .args(["--root-owner-group", "--threads-max=1"])
            .arg(format!("-Z{}", self.compression))
            .arg("--build")
            .arg(&root)
            .arg(file)
            .env("SOURCE_DATE_EPOCH", source.epoch.to_string())
            .output()
            .context("cannot start dpkg-deb (Debian package dpkg)")?;
        if !output.status.success() {
            bail!(
                "dpkg-deb refused: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    }

    fn maintainer(&self) -> &str {
        self.maintainer.as_deref().unwrap_or(MAINTAINER)
    }

    /// The programs are static: what is needed is what the scripts call.
    fn control(&self, size: u64) -> String {
        format!(
            "Package: taoboot\n\
             Version: {}\n\
             Architecture: amd64\n\
             Maintainer: {}\n\
             Installed-Size: {size}\n\
             Depends: grub-common\n\
             Recommends: tboot, grub-pc | grub-efi-amd64, kbd, console-setup\n\
             Suggests: cryptsetup-bin, tpm2-tools\n\
             Section: admin\n\
             Priority: optional\n\
             Description: measured boot that unlocks the disk by itself (Intel TXT, TPM 2.0)\n \
             Intel TXT measures tboot, the kernel with its command line and a small\n \
             initramfs into the TPM. The agent in that initramfs unseals the key of a LUKS2\n \
             root volume, for exactly the launches that were approved, and stays as the\n \
             host of measured programs.\n .\n \
             This package has the agent, the builder of the initramfs, taoboot(8) for\n \
             enrolment, tboot-policy(8) for the prediction of PCR 17-19, lcp(8) for launch\n \
             control policies, a script for grub-mkconfig, and hooks that seal to a new\n \
             kernel before it is booted.\n",
            self.version,
            self.maintainer()
        )
    }

    /// What Debian's policy asks for below /usr/share/doc.
    fn documents(&self, source: &Source, stage: &mut Stage) -> Result<()> {
        let mit = fs::read_to_string(source.file("LICENSE-MIT")).context("LICENSE-MIT")?;
        let mut copyright = String::from(
            "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
             Upstream-Name: taoboot\n\
             Comment: What is linked into the static programs has licences of its own; they are\n \
             listed in /usr/share/doc/taoboot/LICENSING.md.\n\n\
             Files: *\n\
             Copyright: the taoboot developers\n\
             License: Apache-2.0 or Expat\n\n\
             License: Apache-2.0\n \
             The text is in /usr/share/common-licenses/Apache-2.0.\n\n\
             License: Expat\n",
        );
        for line in mit.lines() {
            let line = if line.trim().is_empty() { "." } else { line };
            writeln!(copyright, " {line}")?;
        }
        stage.write(
            "usr/share/doc/taoboot/copyright",
            copyright.as_bytes(),
            0o644,
        )?;
        let changelog = format!(
            "taoboot ({}) unstable; urgency=medium\n\n  * See changelog.gz.\n\n -- {}  {}\n",
            self.version,
            self.maintainer(),
            commands::date::rfc2822(source.epoch)
        );
        stage.compressed(
            "usr/share/doc/taoboot/changelog.Debian.gz",
            changelog.as_bytes(),
        )
    }
}

/// KiB as dpkg counts them: each file rounded up, each directory one.
fn installed_size(directory: &Path) -> Result<u64> {
    let mut size = 1_u64;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        size = size.saturating_add(match kind.is_dir() {
            true => installed_size(&entry.path())?,
            false if kind.is_file() => entry.metadata()?.len().div_ceil(1024),
            false => 1,
        });
    }
    Ok(size)
}

/// The list that `dpkg --verify` and debsums compare with; configuration is not in it.
fn checksums(root: &Path) -> Result<String> {
    let mut names = Vec::new();
    collect(root, "", &mut names)?;
    names.retain(|name| !name.starts_with("DEBIAN/") && !CONFIGURATION.contains(&name.as_str()));
    names.sort();
    let output = Command::new("md5sum")
        .arg("--")
        .args(&names)
        .current_dir(root)
        .output()
        .context("cannot start md5sum")?;
    ensure!(output.status.success(), "md5sum failed");
    String::from_utf8(output.stdout).context("md5sum printed something that is not UTF-8")
}

fn collect(root: &Path, below: &str, names: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(root, &format!("{name}/"), names)?;
        } else if kind.is_file() {
            names.push(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_versions_are_refused() {
        let source = Source {
            checkout: "/nonexistent".into(),
            programs: "/nonexistent".into(),
            epoch: 0,
        };
        for version in ["", "v1", "1 2", "1\nDepends: x", "1_2"] {
            let package = Package {
                version: version.to_owned(),
                maintainer: None,
                compression: "xz",
            };
            let error = package
                .build(&source, Path::new("/nonexistent.deb"))
                .unwrap_err();
            assert!(error.to_string().contains("is not a version"), "{error}");
        }
    }
}
