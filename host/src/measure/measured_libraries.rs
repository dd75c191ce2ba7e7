//! Loader and libraries of a program, where the policy measures them.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::measure::{
    budget::Budget,
    composition::{Bytes, Composition, Copy, Loader},
    disk::Disk,
    error::{MeasureError, at},
    file::{name_of, place},
    measured,
    measured_program::MeasuredProgram,
    opening::{Opener, Use},
    program::{
        elf::{self, ReadAt as _},
        ld_cache::Cache,
        libraries::{self, Files as _, LibraryError},
    },
};

const CACHE: &str = "/etc/ld.so.cache";
const PRELOADED: &str = "/etc/ld.so.preload";

/// Directories of the copies, in the directory that the program gets.
const LIBRARIES: &str = "lib";
const PROGRAM: &str = "program";

/// Measures loader and libraries of the program at `path`, and prepares their directory.
pub(crate) fn measure_libraries(
    path: &Path,
    composition: &mut Composition,
    opener: &Opener,
    budget: Budget,
) -> Result<(), MeasureError> {
    let wrong = |source: LibraryError| MeasureError::Libraries {
        path: path.to_owned(),
        source,
    };
    let program = Arc::clone(&composition.executable);
    let copy = File::from(program.file.try_clone().map_err(at(path))?);
    let needs = elf::needs(&copy).map_err(|source| {
        wrong(LibraryError::Elf {
            path: path.to_owned(),
            source,
        })
    })?;
    let no_loader = || MeasureError::Loader(path.to_owned());
    let loader_path = needs.interpreter.clone().ok_or_else(no_loader)?;
    let loader_path = Path::new(&loader_path);
    let mut disk = Disk::new(opener, budget);
    nothing_is_preloaded(&mut disk).map_err(wrong)?;
    let cache = match disk.exists(Path::new(CACHE)) {
        true => Cache::parse(&disk.pin(Path::new(CACHE))?.0)
            .map_err(|error| at(Path::new(CACHE))(io::Error::other(error)))?,
        false => Cache::default(),
    };
    let found = match libraries::resolve(path, &needs, &cache, &mut disk) {
        Ok(found) => found,
        // In the words of what failed.
        Err(error) => return Err(disk.failed.take().unwrap_or_else(|| wrong(error))),
    };
    let loader = measured::open(opener, loader_path, Use::Execute)?;
    let loader = measured::measure(loader_path, &loader, &mut disk.budget)?;

    let mut names: BTreeMap<String, Vec<[u8; 32]>> = BTreeMap::new();
    for (name, places) in &found {
        for place in places {
            let sha256 = disk.pin(place)?.1;
            names.entry(name.clone()).or_default().push(sha256);
        }
    }
    let hashes = names.entry(name_of(loader_path)?.to_owned());
    hashes.or_default().push(loader.sha256);
    for hashes in names.values_mut() {
        hashes.sort_unstable();
        hashes.dedup();
    }

    let mut copies = copies_of(&found, &mut disk)?;
    let libraries = copies.keys().map(|place| place.display().to_string());
    composition.loader = Some(Loader {
        tells_name: tells_name(&loader).map_err(at(loader_path))?,
        executable: loader,
        program: place(PROGRAM, path)?,
        directory: LIBRARIES,
        libraries: libraries.collect(),
    });
    let program = Copy {
        place: PathBuf::from(place(PROGRAM, path)?),
        sha256: program.sha256,
        bytes: Bytes::Sealed(copy.into()),
    };
    copies.insert(program.place.clone(), program);
    composition.copies = copies.into_values().collect();
    composition.libraries = Some(names);
    Ok(())
}

/// The loader reads that file by itself, and loads what it names from wherever it says.
fn nothing_is_preloaded(disk: &mut Disk<'_>) -> Result<(), LibraryError> {
    let path = Path::new(PRELOADED);
    if !disk.exists(path) {
        return Ok(());
    }
    let text = disk.pin(path).map_err(|error| LibraryError::Io {
        path: path.to_owned(),
        source: io::Error::other(error.to_string()),
    })?;
    let names_nothing = |line: &[u8]| {
        let line = line.trim_ascii();
        line.is_empty() || line.starts_with(b"#")
    };
    match text.0.split(|byte| *byte == b'\n').all(names_nothing) {
        true => Ok(()),
        false => Err(LibraryError::Preloaded),
    }
}

/// What the directory of libraries holds, by place. Of two files for one place the loader would
/// take the first; both are in the name.
fn copies_of(
    found: &libraries::Libraries,
    disk: &mut Disk<'_>,
) -> Result<BTreeMap<PathBuf, Copy>, MeasureError> {
    let mut copies = BTreeMap::new();
    for (name, paths) in found {
        for path in paths {
            let place = Path::new(LIBRARIES).join(libraries::place_of(name, path));
            if copies.contains_key(&place) {
                continue;
            }
            let (bytes, sha256) = disk.pin(path)?;
            let copy = Copy {
                place: place.clone(),
                sha256,
                bytes: Bytes::Here(bytes),
            };
            copies.insert(place, copy);
        }
    }
    Ok(copies)
}

/// Does the loader know the option --argv0?
fn tells_name(loader: &MeasuredProgram) -> io::Result<bool> {
    const OPTION: &[u8] = b"--argv0\0";
    let copy = File::from(loader.file.try_clone()?);
    let length = usize::try_from(loader.length).map_err(io::Error::other)?;
    let bytes = copy.read_some(0, length);
    Ok(bytes.windows(OPTION.len()).any(|window| window == OPTION))
}
