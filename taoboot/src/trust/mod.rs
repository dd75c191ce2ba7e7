//! `taoboot trust`: which files in /boot may be sealed for, beside those of packages.

pub mod known;
mod packages;

use std::{
    collections::BTreeSet,
    fs,
    io::ErrorKind,
    path::{Component, Path, PathBuf},
    process::ExitCode,
};

use agent::reseal::{BootFiles, KnownFile, Origin, below};
use anyhow::{Context as _, Result, bail, ensure};
use argh::FromArgs;
use commands::refuse_idle;

use crate::trust::known::{Known, digests, update};

/// Another one than that of a run that failed.
const EXIT_UNKNOWN: u8 = 3;

/// Name a file in /boot with its digest, so that launches with it may be sealed for. Images that
/// the kernel hook builds and files that packages install are known automatically; tboot, SINIT
/// modules and kernels that came otherwise are not.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "trust",
    note = "The digest is to come from whoever made the file, and not from /boot: anyone who had access to the disk may have written there.",
    example = "A SINIT module from Intel:\n  taoboot trust /boot/sinit.bin --sha256 8f0c...",
    example = "What is known:\n  taoboot trust --list"
)]
pub struct Trust {
    /// SHA-256 of the file, 64 hex digits
    #[argh(option, arg_name = "digest")]
    sha256: Option<String>,
    /// the file is an image that was built as this one, which is not in /boot (kernel hook)
    #[argh(option, arg_name = "image")]
    built: Option<PathBuf>,
    /// look which built images have been put into place, and forget what is not there any more
    /// (kernel hook)
    #[argh(switch)]
    settle: bool,
    /// say whether the file is known as it lies there; exit code 3: it is not
    #[argh(switch)]
    check: bool,
    /// the file is not to be known any more
    #[argh(switch)]
    forget: bool,
    /// print the known files
    #[argh(switch)]
    list: bool,
    /// with --list: as JSON
    #[argh(switch)]
    json: bool,
    /// where the root file system is mounted (default /)
    #[argh(option, arg_name = "directory", default = "PathBuf::from(\"/\")")]
    root: PathBuf,
    /// the file
    #[argh(positional)]
    file: Option<PathBuf>,
}

impl Trust {
    pub fn run(self) -> Result<ExitCode> {
        if !self.list {
            refuse_idle(&[("--json", self.json)], "without --list")?;
        }
        match (&self.file, &self.sha256, &self.built) {
            (Some(file), Some(digest), None) if self.given() == 0 => self.name(file, digest)?,
            (Some(file), None, Some(image)) if self.given() == 0 => self.built(file, image)?,
            (Some(file), None, None) if self.only(self.forget) => self.forget(file)?,
            (Some(file), None, None) if self.only(self.check) => return self.check(file),
            (None, None, None) if self.only(self.settle) => self.settle()?,
            (None, None, None) if self.only(self.list) => self.print()?,
            _ => bail!("say FILE --sha256 DIGEST, FILE --check, FILE --forget or --list"),
        }
        Ok(ExitCode::SUCCESS)
    }

    fn given(&self) -> usize {
        let verbs = [self.forget, self.settle, self.list, self.check];
        verbs.into_iter().filter(|given| *given).count()
    }

    fn only(&self, verb: bool) -> bool {
        verb && self.given() == 1
    }

    fn check(&self, file: &Path) -> Result<ExitCode> {
        self.key(file)?;
        let mut known = Known::read(&self.root)?;
        let objection = known.objection_to(file)?;
        known.save()?;
        match objection {
            Some(sentence) => {
                eprintln!("taoboot: {sentence}");
                Ok(ExitCode::from(EXIT_UNKNOWN))
            }
            None => Ok(ExitCode::SUCCESS),
        }
    }

    /// The path as the list has it: it names one file, whatever links there are.
    fn key(&self, file: &Path) -> Result<String> {
        let plain = file.is_absolute()
            && !file.components().any(|part| part == Component::ParentDir)
            && file.starts_with(self.root.join("boot"));
        ensure!(
            plain,
            "{}: expected the whole path of a file below {}",
            file.display(),
            self.root.join("boot").display()
        );
        let text = file.to_str();
        let text = text.with_context(|| format!("{} is not text", file.display()))?;
        Ok(below(&self.root, text))
    }

    fn name(&self, file: &Path, digest: &str) -> Result<()> {
        let digest = digest.to_ascii_lowercase();
        ensure!(
            digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "--sha256: expected 64 hex digits"
        );
        let key = self.key(file)?;
        let (_, found) = digests(file).with_context(|| file.display().to_string())?;
        ensure!(
            found == digest,
            "{} has the SHA-256 {found}, not {digest}: it is another file than the one that is meant; nothing was changed",
            file.display()
        );
        let known = KnownFile {
            sha256: digest,
            origin: Origin::Administrator,
            coming: false,
        };
        update(&self.root, |list| {
            list.set(&key, known);
            Ok(())
        })?;
        println!(
            "{key}: known; run /usr/lib/taoboot/kernel refresh to have its launches sealed for"
        );
        Ok(())
    }

    fn built(&self, file: &Path, image: &Path) -> Result<()> {
        let key = self.key(file)?;
        let real = image
            .canonicalize()
            .with_context(|| image.display().to_string())?;
        ensure!(
            !real.starts_with(self.root.join("boot")),
            "{}: an image's digest is taken where it was built, and not in /boot",
            image.display()
        );
        let (_, sha256) = digests(&real).with_context(|| image.display().to_string())?;
        let known = KnownFile {
            sha256,
            origin: Origin::Built,
            coming: true,
        };
        update(&self.root, |list| {
            list.set(&key, known);
            Ok(())
        })
    }

    /// After a run of the hook, finished or not: what is coming has come, or not. And what was taken
    /// away is not known any more: whoever puts an old kernel back with its image has not what
    /// the administrator named once.
    fn settle(&self) -> Result<()> {
        let there = |path: &str| self.root.join(path.trim_start_matches('/'));
        update(&self.root, |list| {
            let coming: Vec<(String, String)> = list
                .iter()
                .filter(|(_, known)| known.coming)
                .map(|(path, known)| (path.to_owned(), known.sha256.clone()))
                .collect();
            for (path, sha256) in coming {
                let now = digests(&there(&path));
                list.settle(&path, now.is_ok_and(|(_, now)| now == sha256));
            }
            let all: BTreeSet<String> = list.iter().map(|(path, _)| path.to_owned()).collect();
            let gone: Vec<&String> = all
                .iter()
                .filter(|path| {
                    fs::symlink_metadata(there(path))
                        .is_err_and(|error| error.kind() == ErrorKind::NotFound)
                })
                .collect();
            // Where nothing of it all is there, it is /boot itself that is not.
            if gone.len() < all.len() {
                for path in gone {
                    list.forget(path);
                }
            }
            Ok(())
        })
    }

    fn forget(&self, file: &Path) -> Result<()> {
        let key = self.key(file)?;
        let known = update(&self.root, |list| Ok(list.forget(&key)))?;
        ensure!(known, "{key} is not in the list");
        println!("{key}: no longer known; records that are sealed for it stay (taoboot status)");
        Ok(())
    }

    fn print(&self) -> Result<()> {
        let list = BootFiles::of(&self.root)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&list)?);
            return Ok(());
        }
        for (path, known) in list.iter() {
            let by = match &known.origin {
                Origin::Built => "built here".to_owned(),
                Origin::Package { name, version, .. } => format!("package {name} {version}"),
                Origin::Copy { of } => format!("copy of {of}"),
                Origin::Administrator => "administrator".to_owned(),
            };
            let coming = if known.coming {
                ", not in place yet"
            } else {
                ""
            };
            println!("{} {path} ({by}{coming})", known.sha256);
        }
        Ok(())
    }
}
