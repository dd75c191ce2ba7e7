//! Menu entries outside of grub.cfg: the files of the Boot Loader Specification (BLS) that GRUB's
//! command `blscfg` puts into the menu (Fedora and others: loader/entries/*.conf).
//!
//! A file has lines of a key, blanks and a value; GRUB stops reading at the first line without a
//! value. The entry's id is the file's name. GRUB puts the newest first: Fedora's GRUB compares
//! name, version and release as rpm does, GRUB 2.14 compares the file's names. Where the two
//! disagree, the places of the entries are not known.

use std::{
    cmp::Ordering,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::version::{file_order, package_order};

/// Most files that are read.
const MAX_FILES: usize = 512;
/// Longest file that is read, in bytes.
pub const MAX_BLS: usize = 64 << 10;
/// Where GRUB looks on the file system with the kernels.
const FOLDER: &str = "loader/entries";

/// Why it is not known what `blscfg` shows.
#[derive(Debug, thiserror::Error)]
pub enum BlsError {
    /// `$blsdir` names a directory that is not followed.
    #[error("$blsdir is {0:?}, another device's directory, which is not read")]
    OtherDevice(String),
    /// A file or directory cannot be read.
    #[error("the BLS entries that blscfg adds cannot be read: {path}: {source}")]
    Read {
        /// The file or directory.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A name that is not text.
    #[error("{0}: a file's name is not UTF-8")]
    Name(String),
    /// More files than on any real machine.
    #[error("{0} has more than {MAX_FILES} entries")]
    TooMany(String),
    /// GRUB's order is not known.
    #[error(
        "{directory}: GRUB takes {first} and {second} for the same version and shows the one that it finds first"
    )]
    Order {
        /// The directory.
        directory: String,
        /// One file.
        first: String,
        /// The other.
        second: String,
    },
    /// Longer than any real file.
    #[error("{0} has more than {MAX_BLS} bytes: it is not a BLS entry")]
    TooLong(String),
    /// A name with a boot counter.
    #[error("{0}: the name has a boot counter, which GRUB's versions read in different ways")]
    Counter(String),
    /// Only some of GRUB's versions show it.
    #[error("the BLS entry {0} boots an EFI program, which only some of GRUB's versions show")]
    Efi(String),
}

/// An entry that `blscfg` makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlsEntry {
    /// The file's name without `.conf`.
    pub id: String,
    /// Its title, or its kernel where it has none.
    pub title: String,
    /// The kernel.
    pub linux: String,
}

/// The entries in GRUB's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlsEntries {
    /// The entries.
    pub entries: Vec<BlsEntry>,
    /// Does every GRUB sort them so?
    pub ordered: bool,
}

/// Where the files are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlsPlace {
    /// The file system or directory with the kernels.
    pub boot: PathBuf,
    /// The root file system, if the kernels have none of their own.
    pub root: Option<PathBuf>,
}

impl BlsPlace {
    /// Reads the files. `directory`: the value of `$blsdir`, where the script sets it.
    ///
    /// # Errors
    /// One sentence: the directory or a file in it cannot be read, or GRUB's versions disagree about
    /// what it shows.
    pub fn read(&self, directory: Option<&[u8]>) -> Result<BlsEntries, BlsError> {
        let relative = match directory {
            None | Some(b"") => FOLDER,
            Some(text) => match std::str::from_utf8(text) {
                Ok(text) if text.starts_with('/') => text.trim_matches('/'),
                _ => {
                    let shown = String::from_utf8_lossy(text);
                    return Err(BlsError::OtherDevice(shown.into_owned()));
                }
            },
        };
        let on_boot = self.boot.join(relative);
        let on_root = self.root.as_ref().map(|root| root.join(relative));
        // Where neither is there, the error names the one that GRUB looks at last.
        let found = on_root.filter(|place| place.is_dir()).unwrap_or(on_boot);
        read_directory(&found)
    }
}

fn read_directory(directory: &Path) -> Result<BlsEntries, BlsError> {
    let failed = |path: &Path, source: io::Error| BlsError::Read {
        path: path.display().to_string(),
        source,
    };
    let shown = || directory.display().to_string();
    let mut names = Vec::new();
    for file in fs::read_dir(directory).map_err(|error| failed(directory, error))? {
        let file = file.map_err(|error| failed(directory, error))?;
        let Ok(name) = file.file_name().into_string() else {
            return Err(BlsError::Name(shown()));
        };
        if name.len() > 5 && name.ends_with(".conf") && !name.starts_with('.') {
            names.push(name);
        }
        if names.len() > MAX_FILES {
            return Err(BlsError::TooMany(shown()));
        }
    }
    let ordered = sort(&mut names).map_err(|[first, second]| BlsError::Order {
        directory: shown(),
        first,
        second,
    })?;
    let mut entries = Vec::new();
    for name in names {
        let path = directory.join(&name);
        let file = File::open(&path).map_err(|error| failed(&path, error))?;
        let mut text = Vec::new();
        file.take((MAX_BLS as u64).saturating_add(1))
            .read_to_end(&mut text)
            .map_err(|error| failed(&path, error))?;
        if text.len() > MAX_BLS {
            return Err(BlsError::TooLong(path.display().to_string()));
        }
        let id = name.strip_suffix(".conf").unwrap_or(&name);
        if has_counter(id) {
            return Err(BlsError::Counter(format!(
                "{}: the name has a boot counter, which GRUB's versions read in different ways",
                path.display()
            )));
        }
        entries.extend(parse(id, &text)?);
    }
    Ok(BlsEntries { entries, ordered })
}

/// Sorts names, the newest first. `Ok(false)`: GRUB's versions sort them in different ways.
///
/// # Errors
/// Two names that a GRUB takes for the same.
fn sort(names: &mut [String]) -> Result<bool, [String; 2]> {
    let id = |name: &String| name.strip_suffix(".conf").unwrap_or(name).to_owned();
    names.sort_by(|a, b| file_order(b, a));
    let by_file = names.to_vec();
    names.sort_by(|a, b| package_order(&id(b), &id(a)));
    for pair in names.windows(2) {
        if let [a, b] = pair
            && package_order(&id(a), &id(b)) == Ordering::Equal
        {
            return Err([a.clone(), b.clone()]);
        }
    }
    Ok(by_file == names)
}

/// `+TRIES` or `+TRIES-DONE` at the end, as systemd's boot assessment has it.
fn has_counter(id: &str) -> bool {
    let Some((_, counter)) = id.rsplit_once('+') else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match counter.split_once('-') {
        Some((tries, done)) => digits(tries) && digits(done),
        None => digits(counter),
    }
}

/// Reads a file; `None` where GRUB makes no entry of it, because it names no kernel.
///
/// # Errors
/// It boots an EFI program (`efi`, `uki`): only some of GRUB's versions show that.
pub fn parse(id: &str, text: &[u8]) -> Result<Option<BlsEntry>, BlsError> {
    let (mut title, mut linux) = (None, None);
    for line in text.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_start_matches([' ', '\t']).trim_end_matches('\r');
        if line.starts_with('#') {
            continue;
        }
        let separator = line.find(' ').or_else(|| line.find('\t'));
        let Some((key, value)) = separator.and_then(|at| line.split_at_checked(at)) else {
            break;
        };
        if value.len() < 2 {
            break;
        }
        let value = value.trim_start_matches([' ', '\t']);
        match key {
            "title" if title.is_none() => title = Some(value.to_owned()),
            "linux" if linux.is_none() => linux = Some(value.to_owned()),
            "efi" | "uki" => {
                return Err(BlsError::Efi(id.to_owned()));
            }
            _ => {}
        }
    }
    Ok(linux.map(|linux| BlsEntry {
        id: id.to_owned(),
        title: title.unwrap_or_else(|| linux.clone()),
        linux,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_grub_reads_it() {
        let entry = |text: &str| parse("m-6.1", text.as_bytes()).unwrap();
        let whole = entry(
            "# comment\ntitle Fedora (6.1)\nversion 6.1\n\tlinux  /vmlinuz-6.1\noptions $kernelopts\ntitle again\n",
        )
        .unwrap();
        assert_eq!(whole.title, "Fedora (6.1)");
        assert_eq!(whole.linux, "/vmlinuz-6.1");
        assert_eq!(entry("linux\t/v\n").unwrap().title, "/v");
        assert_eq!(entry("title x\n"), None);
        // Behind a line without a value GRUB reads nothing.
        assert_eq!(entry("title x\n\nlinux /v\n"), None);
        assert!(parse("m", b"title x\nefi /a.efi\n").is_err());
    }

    #[test]
    fn the_newest_comes_first_and_what_grubs_sort_differently_is_known() {
        let sorted = |names: &[&str]| {
            let mut names: Vec<String> = names.iter().map(|name| format!("{name}.conf")).collect();
            let ordered = sort(&mut names);
            (names, ordered)
        };
        let (names, ordered) = sorted(&["m-6.4.9-1.fc38", "m-6.4.10-1.fc38", "m-0-rescue"]);
        assert_eq!(
            names,
            [
                "m-6.4.10-1.fc38.conf",
                "m-6.4.9-1.fc38.conf",
                "m-0-rescue.conf"
            ]
        );
        assert_eq!(ordered, Ok(true));
        assert!(sorted(&["m-1.0", "m-1_0"]).1.is_err());
        assert!(has_counter("a+3") && has_counter("a+3-1") && !has_counter("6.1+deb11-x"));
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_no_empty_one() {
        let directory = tempfile::tempdir().unwrap();
        let place = BlsPlace {
            boot: directory.path().to_owned(),
            root: None,
        };
        let error = place.read(None).unwrap_err();
        assert!(error.to_string().contains("loader/entries"), "{error}");
        let entries = directory.path().join("loader/entries");
        fs::create_dir_all(&entries).unwrap();
        assert_eq!(place.read(None).unwrap().entries, []);
        fs::write(entries.join("a-1.conf"), "linux /v\n").unwrap();
        fs::write(entries.join(".b-1.conf"), "linux /v\n").unwrap();
        fs::write(entries.join("c-1.txt"), "linux /v\n").unwrap();
        assert_eq!(
            place.read(Some(b"/loader/entries/")).unwrap().entries.len(),
            1
        );
        assert!(place.read(Some(b"($root)/x")).is_err());
        fs::write(entries.join("d-1.conf"), vec![b'x'; MAX_BLS + 1]).unwrap();
        assert!(
            place
                .read(None)
                .unwrap_err()
                .to_string()
                .contains("more than")
        );
    }
}
