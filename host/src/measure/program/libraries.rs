//! The libraries of a program, as glibc's loader would find them (ld.so(8)), each with the
//! places where it may be.
//!
//! Where the loader's choice depends on the processor (glibc-hwcaps), all candidates are
//! given: whichever it takes is one of them. What the program opens by itself later
//! (dlopen(3): plugins, name services) is not among them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
};

use super::{
    elf::{ElfError, Needs},
    ld_cache::Cache,
};

/// Most files of one program.
const MOST: usize = 512;
/// Where the loader looks at last; distributions differ.
const USUAL: [&str; 6] = [
    #[cfg(target_arch = "x86_64")]
    "/lib/x86_64-linux-gnu",
    #[cfg(target_arch = "x86_64")]
    "/usr/lib/x86_64-linux-gnu",
    #[cfg(target_arch = "aarch64")]
    "/lib/aarch64-linux-gnu",
    #[cfg(target_arch = "aarch64")]
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
];
/// Directories for better processors, within each directory.
const LEVELS: [&str; 3] = ["x86-64-v4", "x86-64-v3", "x86-64-v2"];
const BETTER: &str = "glibc-hwcaps";

/// Why a program's libraries are not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// It is nowhere.
    #[error("{needed_by} needs the library {name}, which is in none of the loader's directories", needed_by = needed_by.display())]
    Missing {
        /// The library.
        name: String,
        /// Who needs it.
        needed_by: PathBuf,
    },
    /// It cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The library.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its needs are not known.
    #[error("{path}: {source}", path = path.display())]
    Elf {
        /// The library.
        path: PathBuf,
        /// What is wrong.
        source: ElfError,
    },
    /// A loader of another C library has other rules.
    #[error("{0} is not the loader of glibc; whose libraries it would load is not known")]
    Loader(String),
    /// A directory that depends on where the file is, or on the machine.
    #[error("{path} looks for libraries in {directory}, which cannot be resolved for a program that runs from memory", path = path.display())]
    Directory {
        /// Who looks.
        path: PathBuf,
        /// The directory as it is written there.
        directory: String,
    },
    /// By a path: the loader would walk it again after the file was measured.
    #[error("{path} needs {name} by its path, where a program cannot find the copy that was measured; link it by the library's name", path = path.display())]
    ByPath {
        /// Who needs it.
        path: PathBuf,
        /// What it needs.
        name: String,
    },
    /// Libraries for all programs.
    #[error(
        "/etc/ld.so.preload names libraries that the loader would load by their paths, after anything was measured; empty it, or do not measure libraries"
    )]
    Preloaded,
    /// More than anybody needs.
    #[error("the program needs more than {MOST} libraries")]
    TooMany,
}

/// What the resolver needs to know of the world.
pub trait Files {
    /// What the file at this path needs, or why that is not known.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is not an ELF file.
    fn needs(&mut self, path: &Path) -> Result<Needs, LibraryError>;
    /// Is there such a file? One that there is stays the same one from then on.
    fn exists(&mut self, path: &Path) -> bool;
}

/// Where below a directory of the loader's the library of that name, found at that path, belongs:
/// in the directory for a better processor, or in the directory itself.
pub fn place_of(name: &str, path: &Path) -> PathBuf {
    let mut above = path.ancestors().skip(1).map(Path::file_name);
    let (level, better) = (above.next().flatten(), above.next().flatten());
    let level = LEVELS.iter().find(|known| level == Some(OsStr::new(known)));
    match level.filter(|_| better == Some(OsStr::new(BETTER))) {
        Some(level) => Path::new(BETTER).join(level).join(name),
        None => PathBuf::from(name),
    }
}

/// A library by the name it is asked for, and the files that it may be.
pub type Libraries = BTreeMap<String, BTreeSet<PathBuf>>;

struct Asked {
    name: String,
    by: PathBuf,
    optional: bool,
    /// Directories in their order.
    directories: Vec<PathBuf>,
    /// DT_RPATH of who asks and of who asked for it, for the libraries of this one.
    inherited: Vec<PathBuf>,
}

/// Finds the libraries of a program at `path` that needs `needs`.
///
/// # Errors
///
/// If one is missing, cannot be read, or asks for what is not supported.
pub fn resolve(
    path: &Path,
    needs: &Needs,
    cache: &Cache,
    files: &mut impl Files,
) -> Result<Libraries, LibraryError> {
    if let Some(loader) = &needs.interpreter {
        let name = loader.rsplit_once('/').map_or(&**loader, |(_, name)| name);
        if !name.starts_with("ld-linux-") {
            return Err(LibraryError::Loader(loader.clone()));
        }
    }
    let mut found = Libraries::new();
    let mut waiting = VecDeque::new();
    let mut seen = BTreeSet::new();
    // A program in memory is in no directory.
    ask(path, needs, None, &[], &mut waiting)?;
    while let Some(asked) = waiting.pop_front() {
        if found.contains_key(&asked.name) {
            continue;
        }
        let places = places(&asked, cache, files)?;
        if places.is_empty() {
            if asked.optional {
                continue;
            }
            return Err(LibraryError::Missing {
                name: asked.name,
                needed_by: asked.by,
            });
        }
        for place in &places {
            if seen.insert(place.clone()) {
                let needs = files.needs(place)?;
                let inherited = &asked.inherited;
                ask(place, &needs, place.parent(), inherited, &mut waiting)?;
            }
        }
        found.insert(asked.name, places.into_iter().collect());
        if seen.len() > MOST || found.len() > MOST {
            return Err(LibraryError::TooMany);
        }
    }
    Ok(found)
}

/// Adds what a file needs to what is waiting to be found.
fn ask(
    path: &Path,
    needs: &Needs,
    origin: Option<&Path>,
    inherited: &[PathBuf],
    waiting: &mut VecDeque<Asked>,
) -> Result<(), LibraryError> {
    let expand = |directories: &[String]| -> Result<Vec<PathBuf>, LibraryError> {
        directories
            .iter()
            .map(|directory| expanded(path, directory, origin))
            .collect()
    };
    let (directories, inherited) = match &needs.runpath {
        Some(runpath) => (expand(runpath)?, inherited.to_vec()),
        None => {
            let own = expand(&needs.rpath)?;
            let all: Vec<PathBuf> = own.iter().chain(inherited).cloned().collect();
            (all.clone(), all)
        }
    };
    let libraries = needs.libraries.iter().map(|name| (name, false));
    for (name, optional) in libraries.chain(needs.optional.iter().map(|name| (name, true))) {
        waiting.push_back(Asked {
            name: name.clone(),
            by: path.to_owned(),
            optional,
            directories: directories.clone(),
            inherited: inherited.clone(),
        });
    }
    Ok(())
}

/// `$ORIGIN` is the directory of the file that names it.
fn expanded(path: &Path, directory: &str, origin: Option<&Path>) -> Result<PathBuf, LibraryError> {
    let wrong = || LibraryError::Directory {
        path: path.to_owned(),
        directory: directory.to_owned(),
    };
    let mut text = directory.to_owned();
    if text.contains('$') {
        let origin = origin.and_then(Path::to_str).ok_or_else(wrong)?;
        text = text.replace("${ORIGIN}", origin).replace("$ORIGIN", origin);
    }
    if text.contains('$') || !text.starts_with('/') {
        return Err(wrong());
    }
    Ok(PathBuf::from(text))
}

/// The files of that name in a directory of the loader's, and in its directories for better processors.
fn inside(directory: &Path, name: &str, files: &mut impl Files) -> Vec<PathBuf> {
    let better = LEVELS.map(|level| directory.join(BETTER).join(level));
    let all = better.into_iter().chain([directory.to_owned()]);
    all.map(|directory| directory.join(name))
        .filter(|file| files.exists(file))
        .collect()
}

/// The files that a library may be: those of the first directory that has any, or of the cache.
fn places(
    asked: &Asked,
    cache: &Cache,
    files: &mut impl Files,
) -> Result<Vec<PathBuf>, LibraryError> {
    if asked.name.contains('/') {
        return Err(LibraryError::ByPath {
            path: asked.by.clone(),
            name: asked.name.clone(),
        });
    }
    let mut first = asked
        .directories
        .iter()
        .map(|directory| inside(directory, &asked.name, files));
    if let Some(places) = first.find(|places| !places.is_empty()) {
        return Ok(places);
    }
    let cached = cache.find(&asked.name).map(PathBuf::from);
    let cached: Vec<_> = cached.filter(|path| files.exists(path)).collect();
    if !cached.is_empty() {
        return Ok(cached);
    }
    // Distributions differ in the order: whichever it is, it is measured.
    let usual = USUAL
        .iter()
        .flat_map(|directory| inside(Path::new(directory), &asked.name, files));
    Ok(usual.collect())
}

#[cfg(test)]
#[path = "libraries_tests.rs"]
mod tests;
