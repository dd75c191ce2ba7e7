//! What dpkg has installed below /boot, by its own record on the root file system.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// dpkg's directory.
const DPKG: &str = "var/lib/dpkg";
/// The paths that count, as dpkg writes them.
const BELOW: &str = "boot/";
/// Longest list of sums: those of the largest packages have some 10 MiB.
const MAX_LIST: u64 = 64 << 20;

/// A file as a package installed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packaged {
    pub package: String,
    pub version: String,
    pub md5: String,
}

/// Every file below /boot that a package has installed.
#[derive(Debug, Default)]
pub struct Packages(BTreeMap<String, Vec<Packaged>>);

impl Packages {
    /// Reads dpkg's records of the machine whose root file system is mounted at `root`; without
    /// dpkg there are none.
    pub fn read(root: &Path) -> Result<Self> {
        let directory = root.join(DPKG).join("info");
        let mut found = Self::default();
        let list = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            list => list.with_context(|| directory.display().to_string())?,
        };
        let status = root.join(DPKG).join("status");
        let mut versions = BTreeMap::new();
        read_stanzas(
            &text(&status).with_context(|| status.display().to_string())?,
            &mut versions,
        );
        for update in updates(&root.join(DPKG).join("updates"))? {
            let stanza = text(&update).with_context(|| update.display().to_string())?;
            read_stanzas(&stanza, &mut versions);
        }
        for entry in list {
            let path = entry
                .with_context(|| directory.display().to_string())?
                .path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let Some(package) = name.strip_suffix(".md5sums") else {
                continue;
            };
            // `NAME:ARCHITECTURE` of packages that may be installed more than once.
            let package = package.split(':').next().unwrap_or(package);
            // What is not installed has no say.
            let Some(version) = versions.get(package) else {
                continue;
            };
            let sums = text(&path).with_context(|| path.display().to_string())?;
            for (md5, file) in sums.lines().filter_map(sum) {
                let packaged = Packaged {
                    package: package.to_owned(),
                    version: version.clone(),
                    md5: md5.to_owned(),
                };
                found
                    .0
                    .entry(format!("/{file}"))
                    .or_default()
                    .push(packaged);
            }
        }
        Ok(found)
    }

    /// The packages that have installed this file.
    pub fn of(&self, path: &str) -> &[Packaged] {
        self.0.get(path).map_or(&[], Vec::as_slice)
    }
}

/// A line `MD5  PATH` of a file below /boot.
fn sum(line: &str) -> Option<(&str, &str)> {
    let (md5, path) = line.split_once("  ")?;
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (md5.len() == 32 && md5.bytes().all(hex) && path.starts_with(BELOW)).then_some((md5, path))
}

/// What dpkg has changed since it wrote `status` last, the oldest first: while it runs a package's
/// script, the package is only there.
fn updates(directory: &Path) -> Result<Vec<PathBuf>> {
    let list = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        list => list.with_context(|| directory.display().to_string())?,
    };
    let mut numbered = BTreeMap::new();
    for entry in list {
        let path = entry
            .with_context(|| directory.display().to_string())?
            .path();
        let name = path.file_name().and_then(|name| name.to_str());
        // Others are being written.
        if let Some(number) = name.and_then(|name| name.parse::<u64>().ok()) {
            numbered.insert(number, path);
        }
    }
    Ok(numbered.into_values().collect())
}

/// The versions of the packages whose files are there.
fn read_stanzas(status: &str, versions: &mut BTreeMap<String, String>) {
    for stanza in status.split("\n\n") {
        let field = |name: &str| {
            stanza
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let Some(package) = field("Package") else {
            continue;
        };
        let state = field("Status").and_then(|status| status.split(' ').nth(2));
        match field("Version") {
            Some(version) if !matches!(state, None | Some("not-installed" | "config-files")) => {
                versions.insert(package.to_owned(), version.to_owned());
            }
            _ => {
                versions.remove(package);
            }
        }
    }
}

fn text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_LIST + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_LIST {
        return Err(io::Error::other(format!("has more than {MAX_LIST} bytes")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_installed_packages_and_files_below_boot_count() {
        let root = tempfile::tempdir().unwrap();
        assert!(
            Packages::read(root.path())
                .unwrap()
                .of("/boot/vmlinuz")
                .is_empty()
        );
        let info = root.path().join("var/lib/dpkg/info");
        fs::create_dir_all(&info).unwrap();
        let sum = "0123456789abcdef0123456789abcdef";
        let stanza = |name: &str, state: &str| {
            format!("Package: {name}\nStatus: install ok {state}\nVersion: 1-{name}\n\n")
        };
        let status = [
            stanza("kernel", "half-configured"),
            stanza("gone", "config-files"),
        ];
        fs::write(root.path().join("var/lib/dpkg/status"), status.concat()).unwrap();
        for (name, text) in [
            (
                "kernel:amd64.md5sums",
                format!("{sum}  boot/vmlinuz\n{sum}  usr/x\nx  boot/y\n"),
            ),
            ("gone.md5sums", format!("{sum}  boot/tboot.gz\n")),
            ("stray.md5sums", format!("{sum}  boot/stray\n")),
        ] {
            fs::write(info.join(name), text).unwrap();
        }
        let packages = Packages::read(root.path()).unwrap();
        assert_eq!(
            packages.of("/boot/vmlinuz"),
            [Packaged {
                package: "kernel".into(),
                version: "1-kernel".into(),
                md5: sum.into()
            }]
        );
        for path in ["/boot/tboot.gz", "/boot/stray", "/boot/y", "/usr/x"] {
            assert!(packages.of(path).is_empty(), "{path}");
        }
        // While dpkg runs a script, its last changes are beside the list.
        let updates = root.path().join("var/lib/dpkg/updates");
        fs::create_dir(&updates).unwrap();
        for (name, text) in [
            ("0000", stanza("stray", "unpacked")),
            ("0001", stanza("stray", "half-configured")),
            ("0002", stanza("kernel", "config-files")),
            ("tmp.i", stanza("gone", "installed")),
        ] {
            fs::write(updates.join(name), text).unwrap();
        }
        let packages = Packages::read(root.path()).unwrap();
        assert_eq!(packages.of("/boot/stray").len(), 1);
        for path in ["/boot/vmlinuz", "/boot/tboot.gz"] {
            assert!(packages.of(path).is_empty(), "{path}");
        }
    }
}
