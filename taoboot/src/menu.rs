//! The menu whose launches are sealed for. What lies in /boot anybody may have written; the
//! command lines come from settings on the encrypted root, by way of `grub-mkconfig`.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

/// The menu that was generated last, kept by the kernel hook.
const KEPT: &str = "var/lib/taoboot/grub.cfg";
/// The menu that GRUB reads.
const IN_BOOT: &str = "boot/grub/grub.cfg";
const MAX_LEN: u64 = 16 << 20;

/// A menu that is not in /boot.
pub struct Menu {
    pub path: PathBuf,
    /// Made for this run only.
    made: Option<PathBuf>,
}

impl Drop for Menu {
    fn drop(&mut self) {
        if let Some(folder) = &self.made
            && let Err(error) = fs::remove_dir_all(folder)
        {
            eprintln!("taoboot: {} is left over: {error}", folder.display());
        }
    }
}

impl Menu {
    /// The file that was named; else the kept menu, where /boot has the same; else one that is
    /// generated now.
    pub fn to_seal(root: &Path, named: Option<&Path>) -> Result<Self> {
        if let Some(path) = named {
            refuse_in_boot(root, path)?;
            return Ok(Menu {
                path: path.to_owned(),
                made: None,
            });
        }
        if is_kept(root) {
            return Ok(Menu {
                path: root.join(KEPT),
                made: None,
            });
        }
        generate(root)
    }
}

/// Is the menu in /boot the one that was generated last, to the byte?
pub fn is_kept(root: &Path) -> bool {
    let read = |path: &Path| -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = File::open(path).ok()?;
        file.take(MAX_LEN).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    };
    let kept = read(&root.join(KEPT));
    kept.is_some() && kept == read(&root.join(IN_BOOT))
}

fn refuse_in_boot(root: &Path, path: &Path) -> Result<()> {
    let shown = path.display();
    let real = path.canonicalize().with_context(|| shown.to_string())?;
    let boot = root.join("boot");
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
    let boot_device = device(&boot).filter(|boot| Some(*boot) != device(root));
    let real_boot = boot.canonicalize().unwrap_or(boot);
    ensure!(
        !real.starts_with(&real_boot) && (boot_device.is_none() || device(&real) != boot_device),
        "{shown} is in /boot, where anybody who had the disk in hands may have written it: leave --grub-config out (the menu is then generated from the settings on the encrypted root), or name a menu that lies there"
    );
    Ok(())
}

fn generate(root: &Path) -> Result<Menu> {
    if root != Path::new("/") {
        bail!(
            "no menu was kept at {}, and another machine's is not generated here: name one with --grub-config",
            root.join(KEPT).display()
        );
    }
    let folder = root.join(format!("{KEPT}.{}", std::process::id()));
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let menu = Menu {
        path: folder.join("grub.cfg"),
        made: Some(folder),
    };
    let run = Command::new("grub-mkconfig")
        .arg("-o")
        .arg(&menu.path)
        .stdin(Stdio::null())
        .output()
        .context("cannot run grub-mkconfig")?;
    ensure!(
        run.status.success(),
        "grub-mkconfig could not make the menu ({}): {}",
        run.status,
        String::from_utf8_lossy(&run.stderr).trim()
    );
    Ok(menu)
}
