//! What `cargo xtask setup` fetched for the boots: Debian kernels with their modules, tboot.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::workplace::workspace_root;

/// The kernel that the machines boot.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Its release, as `uname -r` prints it.
    pub version: String,
    /// The bzImage.
    pub vmlinuz: PathBuf,
    /// Its configuration, `config-VERSION`.
    pub config: PathBuf,
    /// The directory `lib/modules/VERSION`.
    pub modules: PathBuf,
    /// The control files of its Debian package.
    pub control: PathBuf,
}

/// Everything a boot needs that is not built here.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assets {
    /// The Debian kernel.
    pub kernel: Kernel,
    /// An older one (or another flavour, where the mirror has no older one).
    pub kernel_before: Kernel,
    /// The flavour for every machine, with USB and all file systems. It takes four seconds more to unpack itself
    /// under emulation.
    pub kernel_general: Kernel,
    /// Debian's tboot.gz.
    pub tboot: PathBuf,
    /// Directory with tboot's own tools (`tb_polgen`, `lcp2_mlehash`, ...).
    pub tboot_tools: PathBuf,
}

impl Assets {
    /// Reads `assets.json` of `$TAOBOOT_ASSETS`, or of `target/assets`.
    ///
    /// # Errors
    /// The file, or one that it names, is missing or unreadable; the message says how to
    /// get them.
    pub fn load() -> Result<Self> {
        let directory = match std::env::var_os("TAOBOOT_ASSETS") {
            Some(path) => PathBuf::from(path),
            None => workspace_root().join("target/assets"),
        };
        Self::read(&directory)
    }

    /// Reads `assets.json` of `directory`.
    pub fn read(directory: &Path) -> Result<Self> {
        let path = directory.join("assets.json");
        let text = fs::read_to_string(&path).with_context(|| {
            format!(
                "cannot read {}: run `cargo xtask setup`, which fetches the kernel and tboot",
                path.display()
            )
        })?;
        let assets: Self = serde_json::from_str(&text).with_context(|| {
            format!("{} is not as `cargo xtask setup` writes it", path.display())
        })?;
        for file in [
            &assets.kernel.vmlinuz,
            &assets.kernel.modules,
            &assets.kernel.control,
            &assets.kernel_before.vmlinuz,
            &assets.kernel_before.modules,
            &assets.kernel_general.vmlinuz,
            &assets.kernel_general.modules,
            &assets.tboot,
        ] {
            if !file.exists() {
                bail!(
                    "{} names {}, which does not exist: run `cargo xtask setup`",
                    path.display(),
                    file.display()
                );
            }
        }
        Ok(assets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_assets_say_which_command_fetches_them() {
        let directory = tempfile::tempdir().unwrap();
        let error = Assets::read(directory.path()).unwrap_err();
        assert!(error.to_string().contains("cargo xtask setup"), "{error}");
    }

    #[test]
    fn a_file_that_is_named_but_missing_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let kernel = r#"{"version":"1","vmlinuz":"/nonexistent/k","config":"/","modules":"/","control":"/"}"#;
        let json = format!(
            r#"{{"kernel":{kernel},"kernel_before":{kernel},"kernel_general":{kernel},"tboot":"/","tboot_tools":"/"}}"#
        );
        fs::write(directory.path().join("assets.json"), json).unwrap();
        let error = Assets::read(directory.path()).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/k"), "{error}");
    }
}
