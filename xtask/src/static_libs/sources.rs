//! Pinned source packages and their download through apt.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::step;

/// One upstream tarball of a Debian source package.
#[derive(Debug)]
pub struct Source {
    /// The source package.
    pub package: &'static str,
    /// Its Debian version, by which apt finds it.
    pub version: &'static str,
    /// The tarball.
    pub file: &'static str,
    /// SHA-256 of the tarball.
    pub sha256: &'static str,
}

/// What is built, in order; each with its second choice, because mirrors drop old versions.
pub const SOURCES: &[&[Source]] = &[
    &[
        Source {
            package: "lvm2",
            version: "2.03.16-2",
            file: "lvm2_2.03.16.orig.tar.xz",
            sha256: "9eee14d34f7962ade7d4624114ce7b6bd3d868d210afb72b3769f8c6a082646e",
        },
        Source {
            package: "lvm2",
            version: "2.03.31-2",
            file: "lvm2_2.03.31.orig.tar.xz",
            sha256: "5541d15f739bc62263b551b1d8091ea8fc889a31ed20cdc58ff9f7192d8ecd4a",
        },
    ],
    &[
        Source {
            package: "cryptsetup",
            version: "2:2.6.1-4~deb12u2",
            file: "cryptsetup_2.6.1.orig.tar.gz",
            sha256: "b8adeb071bb396a1a8515f1d54b4cc8901a536d0da3f5970971beb2ec8427c17",
        },
        Source {
            package: "cryptsetup",
            version: "2:2.7.5-2",
            file: "cryptsetup_2.7.5.orig.tar.gz",
            sha256: "66f82757456411353216def2e93ee6f82e1dc5c8b583cb9b1c84ecb918b60980",
        },
    ],
    // Debian 12's own 3.2.1 is no longer served, and 4.2.0 was not yet: there is no second choice.
    &[Source {
        package: "tpm2-tss",
        version: "4.1.3-1.2",
        file: "tpm2-tss_4.1.3.orig.tar.gz",
        sha256: "8a389bda64690910e7af7deaf64703a3faed416dc538c9c3e4f893f24893524d",
    }],
];

/// The first of `candidates` that can be had, checked.
pub fn fetch<'a>(candidates: &'a [Source], directory: &Path) -> Result<(&'a Source, PathBuf)> {
    for source in candidates {
        let path = directory.join(source.file);
        if path.is_file() {
            check(source, &path)?;
            return Ok((source, path));
        }
    }
    let mut failures = Vec::new();
    for source in candidates {
        match download(source, directory) {
            Ok(path) => {
                check(source, &path)?;
                return Ok((source, path));
            }
            Err(error) => failures.push(format!("{}: {error:#}", source.file)),
        }
    }
    let wanted: Vec<String> = candidates
        .iter()
        .map(|source| format!("{} (sha256 {})", source.file, source.sha256))
        .collect();
    bail!(
        "no source could be downloaded: put one of {} into {}, or name a ready prefix with TAOBOOT_STATIC_PREFIX\n{}",
        wanted.join(", "),
        directory.display(),
        failures.join("\n")
    )
}

fn check(source: &Source, path: &Path) -> Result<()> {
    let found = sha256(path)?;
    if found != source.sha256 {
        bail!(
            "{} has sha256 {found}, but {} is pinned: it is damaged or not the file that was reviewed; delete it and try again",
            path.display(),
            source.sha256
        );
    }
    Ok(())
}

fn sha256(path: &Path) -> Result<String> {
    let mut file =
        fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        let read = buffer.get(..length);
        hash.update(read.context("more was read than there is room for")?);
    }
}

/// Through apt with a configuration of our own, so that the machine's is not touched.
fn download(source: &Source, directory: &Path) -> Result<PathBuf> {
    let apt = directory.join("apt");
    for part in ["lists/partial", "archives/partial", "empty"] {
        fs::create_dir_all(apt.join(part))?;
    }
    let configuration = apt.join("apt.conf");
    fs::write(&configuration, apt_configuration(&apt))?;
    let fresh = apt.join("sources.list");
    if !fresh.is_file() {
        let unfinished = apt.join("sources.list.new");
        fs::write(&unfinished, sources_list()?)?;
        fs::rename(&unfinished, &fresh)?;
        if let Err(error) = step::run(
            "package lists of Debian sources",
            apt_get(&configuration).arg("update"),
        ) {
            fs::remove_file(&fresh)?;
            return Err(error);
        }
    }
    let wanted = format!("{}={}", source.package, source.version);
    let mut get = apt_get(&configuration);
    get.args([
        "source",
        "--download-only",
        "--tar-only",
        "--only-source",
        &wanted,
    ])
    .current_dir(directory);
    step::run(&format!("download {}", source.file), &mut get)?;
    let path = directory.join(source.file);
    if !path.is_file() {
        bail!("apt-get source {wanted} left no {}", source.file);
    }
    Ok(path)
}

fn apt_get(configuration: &Path) -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet").env("APT_CONFIG", configuration);
    command
}

fn apt_configuration(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "Dir::Etc::sourcelist \"{directory}/sources.list\";\nDir::Etc::sourceparts \"{directory}/empty\";\n\
         Dir::State::lists \"{directory}/lists\";\nDir::Cache \"{directory}\";\nDir::Cache::archives \"{directory}/archives\";\n\
         APT::Get::List-Cleanup \"false\";\nAPT::Sandbox::User \"\";\n"
    )
}

/// `deb-src` lines on the mirror that this machine uses for its own packages.
fn sources_list() -> Result<String> {
    let targets = step::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(CODENAME) $(COMPONENT)",
        "Created-By: Packages",
    ]))?;
    let mirror = targets
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?, words.next()?))
        })
        .find(|(_, codename, component)| *component == "main" && !codename.contains('-'))
        .map(|(mirror, ..)| mirror.to_string())
        .context("apt has no Debian mirror with a component `main`: see /etc/apt/sources.list")?;
    let signed = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]";
    Ok(["bookworm", "trixie"]
        .iter()
        .map(|suite| format!("deb-src {signed} {mirror} {suite} main\n"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tarball_with_another_sum_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let source = Source {
            package: "x",
            version: "1",
            file: "x_1.orig.tar.gz",
            sha256: "00",
        };
        fs::write(directory.path().join(source.file), "not it").unwrap();
        let candidates = [source];
        let error = fetch(&candidates, directory.path())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("x_1.orig.tar.gz has sha256 ") && error.contains("00 is pinned"),
            "{error}"
        );
    }

    #[test]
    fn every_pinned_sum_is_a_sha256() {
        for source in SOURCES.iter().copied().flatten() {
            assert_eq!(
                hex::decode(source.sha256).unwrap().len(),
                32,
                "{}",
                source.file
            );
        }
    }
}
