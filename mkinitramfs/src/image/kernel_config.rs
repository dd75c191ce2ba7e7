//! What the kernel can unpack: `CONFIG_RD_*` of its configuration. An image in another form makes it
//! stop with "unable to mount root fs", so that is found out before the reboot.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::compress::Compression;

/// The forms to choose from when nobody names one, the best first.
const PREFERRED: [Compression; 4] = [
    Compression::Zstd,
    Compression::Xz,
    Compression::Gzip,
    Compression::Lz4,
];

/// Largest configuration; a distribution's has below 300 KB.
const MAX_CONFIG: u64 = 8 << 20;

/// A kernel's configuration, where one was found.
#[derive(Debug, Default)]
pub struct KernelConfig {
    found: Option<(PathBuf, String)>,
}

impl KernelConfig {
    /// Looks where distributions put it: beside the modules (Fedora), in /boot (Debian, SUSE), in
    /// the modules' build directory (Arch, with headers).
    ///
    /// # Errors
    /// A file that is there cannot be read.
    pub fn find(given: Option<&Path>, modules: &Path, kernel: &str) -> Result<Self> {
        if let Some(path) = given {
            return Self::read(path)
                .with_context(|| format!("cannot read --kernel-config {}", path.display()));
        }
        let places = [
            modules.join("config"),
            PathBuf::from(format!("/boot/config-{kernel}")),
            modules.join("build/.config"),
        ];
        match places.iter().find(|path| path.is_file()) {
            Some(path) => {
                Self::read(path).with_context(|| format!("cannot read {}", path.display()))
            }
            None => Ok(Self::default()),
        }
    }

    fn read(path: &Path) -> Result<Self> {
        let length = fs::metadata(path)?.len();
        if length > MAX_CONFIG {
            bail!("it has {length} bytes, more than a kernel's configuration ever has");
        }
        let text = String::from_utf8_lossy(&fs::read(path)?).into_owned();
        Ok(Self {
            found: Some((path.to_owned(), text)),
        })
    }

    /// Can the kernel unpack that? Unknown configurations are taken to be able to.
    fn unpacks(&self, form: Compression) -> bool {
        let option = match form {
            Compression::Zstd => "CONFIG_RD_ZSTD=y",
            Compression::Gzip => "CONFIG_RD_GZIP=y",
            Compression::Xz => "CONFIG_RD_XZ=y",
            Compression::Lz4 => "CONFIG_RD_LZ4=y",
            Compression::None => return true,
        };
        self.found
            .as_ref()
            .is_none_or(|(_, text)| text.lines().any(|line| line.trim_end() == option))
    }

    /// The compression to use: the given one, if the kernel unpacks it; else the best that it does.
    ///
    /// # Errors
    /// The kernel cannot unpack the given one, or unpacks no initramfs at all.
    pub fn choose(&self, given: Option<Compression>) -> Result<Compression> {
        let Some((path, text)) = &self.found else {
            // Nothing is known of the kernel: the usual compression.
            return Ok(given.unwrap_or_default());
        };
        let path = path.display();
        if !text
            .lines()
            .any(|line| line.trim_end() == "CONFIG_BLK_DEV_INITRD=y")
        {
            bail!(
                "{path}: the kernel is built without CONFIG_BLK_DEV_INITRD, so that it takes no initramfs"
            );
        }
        let usable = |form: &Compression| self.unpacks(*form);
        let best = PREFERRED
            .into_iter()
            .find(usable)
            .unwrap_or(Compression::None);
        match given {
            Some(form) if !self.unpacks(form) => bail!(
                "--compress {}: the kernel cannot unpack that ({path} has no CONFIG_RD_{}=y); {} is the best that it can",
                form.name(),
                form.name().to_uppercase(),
                best.name()
            ),
            Some(form) => Ok(form),
            None => Ok(best),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> KernelConfig {
        KernelConfig {
            found: Some(("config".into(), format!("CONFIG_BLK_DEV_INITRD=y\n{text}"))),
        }
    }

    #[test]
    fn only_what_the_kernel_unpacks_is_chosen() {
        let old = config("CONFIG_RD_GZIP=y\n# CONFIG_RD_ZSTD is not set\nCONFIG_RD_LZ4=y\n");
        assert_eq!(old.choose(None).unwrap(), Compression::Gzip);
        assert_eq!(
            old.choose(Some(Compression::Lz4)).unwrap(),
            Compression::Lz4
        );
        assert_eq!(
            old.choose(Some(Compression::None)).unwrap(),
            Compression::None
        );
        let error = old.choose(Some(Compression::Zstd)).unwrap_err().to_string();
        assert!(
            error.contains("no CONFIG_RD_ZSTD=y") && error.contains("gzip"),
            "{error}"
        );
        assert_eq!(config("").choose(None).unwrap(), Compression::None);
        let usual = config("CONFIG_RD_GZIP=y\nCONFIG_RD_ZSTD=y\n");
        assert_eq!(usual.choose(None).unwrap(), Compression::Zstd);
        assert_eq!(
            KernelConfig::default().choose(None).unwrap(),
            Compression::Zstd
        );
    }

    #[test]
    fn a_kernel_without_initramfs_is_refused() {
        let config = KernelConfig {
            found: Some(("config".into(), "CONFIG_RD_ZSTD=y\n".into())),
        };
        let error = config.choose(None).unwrap_err().to_string();
        assert!(error.contains("CONFIG_BLK_DEV_INITRD"), "{error}");
    }
}
