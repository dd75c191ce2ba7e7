//! All that will run when a program is started: the program, or the interpreter of a script
//! and the script; and where the policy measures them, the loader and the libraries.
//!
//! Each file is opened once, as who asks for it, and what is hashed is what the program gets:
//! nothing here is found by its path a second time.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _, Seek as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};

use crate::{
    measure::{
        budget::Budget,
        error::{MeasureError, at},
        measured,
        measured_program::MeasuredProgram,
        opening::{Opener, Use},
        priority::gently,
        program::{
            elf::{self, Needs, ReadAt as _},
            ld_cache::Cache,
            libraries::{self, Files, LibraryError},
            script::{self, Interpreter},
        },
    },
    policy::programs::{Libraries, ProgramPolicy, Scripts},
};

const CACHE: &str = "/etc/ld.so.cache";
const PRELOADED: &str = "/etc/ld.so.preload";

/// Folders of the copies, in the folder that the program gets.
const LIBRARIES: &str = "lib";
const PROGRAM: &str = "program";
const SCRIPT: &str = "script";

/// The bytes of a copy.
#[derive(Debug)]
pub enum Bytes {
    /// These.
    Here(Arc<Vec<u8>>),
    /// Those of sealed memory.
    Sealed(OwnedFd),
}

/// A file that a program finds as it was measured.
#[derive(Debug)]
pub struct Copy {
    /// Where it is in the folder of copies: a relative path.
    pub place: PathBuf,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// The bytes.
    pub bytes: Bytes,
}

/// A script that an interpreter reads.
#[derive(Debug)]
pub struct MeasuredScript {
    /// SHA-256 of the script.
    pub sha256: [u8; 32],
    /// Its place in the folder of copies.
    pub place: String,
    /// Who reads it.
    pub interpreter: Interpreter,
}

/// The loader that loads the program and its libraries from the folder of copies.
#[derive(Debug)]
pub struct Loader {
    /// What is executed in place of the program.
    pub executable: Arc<MeasuredProgram>,
    /// It can tell the program another name than its place (glibc 2.33).
    pub tells_name: bool,
    /// The program's place.
    pub program: String,
    /// Folder of the libraries.
    pub folder: &'static str,
    /// Places of the libraries.
    pub libraries: Vec<String>,
}

/// All that will run.
#[derive(Debug)]
pub struct Composition {
    /// The program, or who reads the script.
    pub executable: Arc<MeasuredProgram>,
    /// What it reads, if it is an interpreter.
    pub script: Option<MeasuredScript>,
    /// Loader and libraries by name, each with the hashes of the files that it may be;
    /// `None` if there are some and they were not measured.
    pub libraries: Option<BTreeMap<String, Vec<[u8; 32]>>>,
    /// Who loads it, if there are measured libraries.
    pub loader: Option<Loader>,
    /// What the program must find as it was measured.
    pub copies: Vec<Copy>,
}

impl Composition {
    /// What the kernel is to execute.
    pub fn executed(&self) -> &MeasuredProgram {
        match &self.loader {
            Some(loader) => &loader.executable,
            None => &self.executable,
        }
    }
}

/// Measures the program at `path` and what belongs to it.
pub(crate) fn compose(
    path: &Path,
    policy: &ProgramPolicy,
    opener: &Opener,
) -> Result<Composition, MeasureError> {
    let mut budget = Budget::new(policy.largest);
    let source = measured::open(opener, path, Use::Execute)?;
    if !script::is_script(&source.read_some(0, 2)) {
        return with_libraries(path, &source, policy, opener, budget);
    }
    if policy.scripts == Scripts::Refused {
        return Err(MeasureError::Script(path.to_owned()));
    }
    let (script, copy) = read_script(path, source, &mut budget)?;
    let interpreter = Path::new(&script.interpreter.path);
    let source = measured::open(opener, interpreter, Use::Execute)?;
    let program = match with_libraries(interpreter, &source, policy, opener, budget) {
        // One script that is read by another.
        Err(MeasureError::Script(path)) => return Err(MeasureError::Nested(path)),
        other => other?,
    };
    let mut copies = program.copies;
    copies.push(copy);
    Ok(Composition {
        script: Some(script),
        copies,
        ..program
    })
}

/// The program that was opened at `path`.
fn with_libraries(
    path: &Path,
    source: &File,
    policy: &ProgramPolicy,
    opener: &Opener,
    mut budget: Budget,
) -> Result<Composition, MeasureError> {
    let executable = measured::measure(path, source, &mut budget)?;
    let mut composition = Composition {
        script: None,
        libraries: Some(BTreeMap::new()),
        loader: None,
        copies: Vec::new(),
        executable,
    };
    match policy.libraries {
        _ if !composition.executable.dynamic => {}
        Libraries::Refused => return Err(MeasureError::Dynamic(path.to_owned())),
        Libraries::Unmeasured => composition.libraries = None,
        Libraries::Measured => measure_libraries(path, &mut composition, opener, budget)?,
    }
    Ok(composition)
}

/// The script that was opened at that path.
fn read_script(
    path: &Path,
    source: File,
    budget: &mut Budget,
) -> Result<(MeasuredScript, Copy), MeasureError> {
    let (bytes, sha256) = read(path, source, budget)?;
    // Of what was read, and not of the first look.
    let interpreter = script::interpreter(bytes.get(..512).unwrap_or(&bytes));
    let interpreter = interpreter.map_err(|source| MeasureError::Interpreter {
        path: path.to_owned(),
        source,
    })?;
    let place = place(SCRIPT, path)?;
    let copy = Copy {
        place: PathBuf::from(&place),
        sha256,
        bytes: Bytes::Here(Arc::new(bytes)),
    };
    let script = MeasuredScript {
        sha256,
        place,
        interpreter,
    };
    Ok((script, copy))
}

/// In that folder under the file's own name.
fn place(folder: &str, path: &Path) -> Result<String, MeasureError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| at(path)(io::ErrorKind::InvalidFilename.into()))?;
    Ok(format!("{folder}/{name}"))
}

/// The bytes of a file, once: these are hashed, and these the program gets.
fn read(
    path: &Path,
    mut file: File,
    budget: &mut Budget,
) -> Result<(Vec<u8>, [u8; 32]), MeasureError> {
    let most = budget.allow(path, &file)?;
    let length = file.metadata().map_err(at(path))?.len();
    let hashed = gently(length, || -> io::Result<_> {
        let mut bytes = Vec::new();
        file.rewind()?;
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        let sha256 = Sha256::digest(&bytes).into();
        Ok((bytes, sha256))
    });
    let (bytes, sha256) = hashed.map_err(at(path))?;
    budget.take(path, bytes.len() as u64)?;
    Ok((bytes, sha256))
}

/// What is known of a path.
enum Seen {
    /// The caller can't open it, or it is no file.
    Nothing,
    /// It was opened.
    Open(File),
    /// It was read.
    Read(Arc<Vec<u8>>, [u8; 32]),
}

/// Opens and reads each file once.
struct Disk<'a> {
    opener: &'a Opener,
    budget: Budget,
    seen: BTreeMap<PathBuf, Seen>,
    failed: Option<MeasureError>,
}

impl Disk<'_> {
    /// The file's bytes, which stay the same from now on.
    fn pin(&mut self, path: &Path) -> Result<(Arc<Vec<u8>>, [u8; 32]), MeasureError> {
        let file = match self.seen.remove(path) {
            Some(Seen::Open(file)) => Some(file),
            Some(Seen::Nothing) | None => Some(measured::open(self.opener, path, Use::Read)?),
            Some(read) => {
                self.seen.insert(path.to_owned(), read);
                None
            }
        };
        if let Some(file) = file {
            let (bytes, sha256) = read(path, file, &mut self.budget)?;
            self.seen
                .insert(path.to_owned(), Seen::Read(Arc::new(bytes), sha256));
        }
        match self.seen.get(path) {
            Some(Seen::Read(bytes, sha256)) => Ok((Arc::clone(bytes), *sha256)),
            _ => Err(at(path)(io::ErrorKind::NotFound.into())),
        }
    }
}

impl Files for Disk<'_> {
    fn needs(&mut self, path: &Path) -> Result<Needs, LibraryError> {
        let failed = |source| LibraryError::Elf {
            path: path.to_owned(),
            source,
        };
        match self.pin(path) {
            Ok((bytes, _)) => elf::needs(bytes.as_slice()).map_err(failed),
            Err(error) => {
                let source = io::Error::other(error.to_string());
                self.failed = Some(error);
                Err(LibraryError::Io {
                    path: path.to_owned(),
                    source,
                })
            }
        }
    }

    /// For the caller, who would run it.
    fn exists(&mut self, path: &Path) -> bool {
        let seen = self.seen.entry(path.to_owned()).or_insert_with(|| {
            match self.opener.open(path, Use::Read) {
                Ok(file) => Seen::Open(file),
                Err(_) => Seen::Nothing,
            }
        });
        !matches!(seen, Seen::Nothing)
    }
}

/// Measures loader and libraries of the program at `path`, and prepares their folder.
fn measure_libraries(
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
    let mut disk = Disk {
        opener,
        budget,
        seen: BTreeMap::new(),
        failed: None,
    };
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
    let name = loader_path.file_name().unwrap_or_default();
    let hashes = names.entry(name.to_string_lossy().into_owned());
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
        folder: LIBRARIES,
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

/// What the folder of libraries holds, by place. Of two files for one place the loader would
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
