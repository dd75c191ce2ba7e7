//! The menu whose launches are sealed for. What lies in /boot anybody may have written; the
//! command lines come from settings on the encrypted root, by way of `grub-mkconfig`.

use std::{
    fs::{self, File},
    io::ErrorKind,
    io::Read,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

/// The menu that was generated last, kept by the kernel hook.
pub const KEPT: &str = "var/lib/taoboot/grub.cfg";
/// The menu that GRUB reads: Debian's place, and Fedora's.
const IN_BOOT: [&str; 2] = ["boot/grub/grub.cfg", "boot/grub2/grub.cfg"];
const MAX_LEN: u64 = 16 << 20;

/// A menu that is not in /boot.
pub struct Menu {
    pub path: PathBuf,
    /// Made for this run only.
    made: Option<PathBuf>,
}

impl Drop for Menu {
    fn drop(&mut self) {
        if let Some(directory) = &self.made
            && let Err(error) = fs::remove_dir_all(directory)
        {
            eprintln!("taoboot: {} is left over: {error}", directory.display());
        }
    }
}

impl Menu {
    /// The file that was named; else the kept menu, where /boot has the same; else one that is
    /// generated now.
    pub fn to_seal(root: &Path, named: Option<&Path>) -> Result<Self> {
        if let Some(path) = named {
            refuse_in_boot(root, path)?;
            return Ok(Self {
                path: path.to_owned(),
                made: None,
            });
        }
        if is_kept(root) {
            return Ok(Self {
                path: root.join(KEPT),
                made: None,
            });
        }
        generate(root)
    }
}

/// Is the menu in /boot the one that was generated last, to the byte? Where both places have one, both are: which
/// of them GRUB reads is not known here.
pub fn is_kept(root: &Path) -> bool {
    let read = |path: &Path| -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = File::open(path).ok()?;
        file.take(MAX_LEN).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    };
    let Some(kept) = read(&root.join(KEPT)) else {
        return false;
    };
    let places = IN_BOOT.map(|place| root.join(place));
    let mut there = places.iter().filter(|place| place.exists()).peekable();
    there.peek().is_some() && there.all(|place| read(place).as_ref() == Some(&kept))
}

/// The menu that is named, else the one in /boot, where that is not in Debian's place.
pub fn to_predict(root: &Path, named: Option<&Path>) -> Option<PathBuf> {
    let [debian, fedora] = IN_BOOT.map(|place| root.join(place));
    let elsewhere = !debian.exists() && fedora.exists();
    named.map(Path::to_owned).or(elsewhere.then_some(fedora))
}

fn refuse_in_boot(root: &Path, path: &Path) -> Result<()> {
    let shown = path.display();
    let real = path.canonicalize().with_context(|| shown.to_string())?;
    let boot = root.join("boot");
    // Where it cannot be told what /boot is, the file may be there.
    let device = |path: &Path| -> Result<u64> {
        let found = fs::metadata(path).with_context(|| path.display().to_string())?;
        Ok(found.dev())
    };
    let boot_device = device(&boot)?;
    let apart = boot_device != device(root)?;
    let real_boot = boot
        .canonicalize()
        .with_context(|| boot.display().to_string())?;
    let in_boot = real.starts_with(&real_boot) || (apart && device(&real)? == boot_device);
    ensure!(
        !in_boot,
        "{shown} is in /boot, where anyone who had access to the disk may have written it: leave --grub-config out (the menu is then generated from the settings on the encrypted root), or name a menu that lies there"
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
    let directory = root.join(format!("{KEPT}.{}", std::process::id()));
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let menu = Menu {
        path: directory.join("grub.cfg"),
        made: Some(directory),
    };
    let make = |program: &str| {
        let mut command = Command::new(program);
        command.arg("-o").arg(&menu.path).stdin(Stdio::null());
        command.output()
    };
    let run = match make("grub-mkconfig") {
        // Fedora's name.
        Err(error) if error.kind() == ErrorKind::NotFound => make("grub2-mkconfig"),
        run => run,
    };
    let run = run.context("cannot run grub-mkconfig")?;
    ensure!(
        run.status.success(),
        "grub-mkconfig could not make the menu ({}): {}",
        run.status,
        String::from_utf8_lossy(&run.stderr).trim()
    );
    Ok(menu)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_menu_is_taken_only_where_it_is_certain_that_it_is_not_in_boot() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let elsewhere = root.join("grub.cfg");
        fs::write(&elsewhere, "").unwrap();
        // No /boot that could be looked at.
        assert!(refuse_in_boot(&root, &elsewhere).is_err());
        fs::create_dir(root.join("boot")).unwrap();
        refuse_in_boot(&root, &elsewhere).unwrap();
        fs::write(root.join("boot/grub.cfg"), "").unwrap();
        assert!(refuse_in_boot(&root, &root.join("boot/grub.cfg")).is_err());
        std::os::unix::fs::symlink(root.join("boot/grub.cfg"), root.join("link")).unwrap();
        assert!(refuse_in_boot(&root, &root.join("link")).is_err());
    }

    #[test]
    fn the_menu_in_boot_is_the_kept_one_in_whichever_place_and_in_both_where_there_are_two() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(KEPT, "made here");
        assert!(!is_kept(root.path()) && to_predict(root.path(), None).is_none());
        write(IN_BOOT[1], "made here");
        assert!(is_kept(root.path()));
        let fedoras = root.path().join(IN_BOOT[1]);
        assert_eq!(to_predict(root.path(), None), Some(fedoras));
        write(IN_BOOT[0], "another");
        assert!(!is_kept(root.path()) && to_predict(root.path(), None).is_none());
        write(IN_BOOT[0], "made here");
        assert!(is_kept(root.path()));
        write(IN_BOOT[1], "another");
        assert!(!is_kept(root.path()));
    }

    #[test]
    fn a_menu_of_boots_file_system_is_refused_by_any_path() {
        let root = tempfile::tempdir().unwrap();
        // Another file system, where there is one.
        let Ok(boot) = tempfile::tempdir_in("/dev/shm") else {
            return;
        };
        let device = |path: &Path| fs::metadata(path).unwrap().dev();
        // Of /boot's file system and not below /boot, as by a second mount.
        let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
        symlink(boot.path(), root.path().join("boot")).unwrap();
        let menu = |directory: &Path| {
            let path = directory.join("grub.cfg");
            fs::write(&path, "").unwrap();
            refuse_in_boot(root.path(), &path)
        };
        assert!(menu(boot.path()).is_err());
        menu(root.path()).unwrap();
        let one_device = device(root.path()) == device(boot.path());
        assert_eq!(menu(elsewhere.path()).is_ok(), one_device);
    }
}
