//! All that will run when a program is started: the program, or the interpreter of a script
//! and the script; and where the policy measures them, the loader and the libraries.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};

use super::{
    isolation::{Libraries, ProgramPolicy, Scripts},
    measured::{self, MAX_PROGRAM, MeasureError, MeasuredProgram},
};
use crate::program::{
    elf::{self, Needs},
    ld_cache::Cache,
    libraries::{self, Files, LibraryError},
    script::{self, Interpreter},
};

const CACHE: &str = "/etc/ld.so.cache";
const PRELOADED: &str = "/etc/ld.so.preload";
/// Largest library or script.
const MAX_FILE: u64 = 512 << 20;

/// A file that a program finds as it was measured.
#[derive(Debug)]
pub struct Pinned {
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A script that an interpreter reads.
#[derive(Debug)]
pub struct MeasuredScript {
    /// SHA-256 of the script.
    pub sha256: [u8; 32],
    /// Its real path.
    pub path: String,
    /// Who reads it.
    pub interpreter: Interpreter,
}

/// All that will run.
#[derive(Debug)]
pub struct Composition {
    /// What is executed.
    pub executable: Arc<MeasuredProgram>,
    /// What it reads, if it is an interpreter.
    pub script: Option<MeasuredScript>,
    /// Loader and libraries by name, each with the hashes of the files that it may be;
    /// `None` if there are some and they were not measured.
    pub libraries: Option<BTreeMap<String, Vec<[u8; 32]>>>,
    /// What the program must find as it was measured.
    pub pinned: Vec<Pinned>,
}

fn at(path: &Path) -> impl Fn(io::Error) -> MeasureError {
    move |source| MeasureError::Io {
        path: path.to_owned(),
        source,
    }
}

/// Measures the program at `path` and what belongs to it.
pub fn compose(path: &Path, policy: &ProgramPolicy) -> Result<Composition, MeasureError> {
    let (executable, script, mut pinned) = match script_at(path)? {
        None => (path.to_owned(), None, Vec::new()),
        Some(_) if policy.scripts == Scripts::Refused => {
            return Err(MeasureError::Script(path.to_owned()));
        }
        Some((script, pinned)) => {
            let interpreter = PathBuf::from(&script.interpreter.path);
            (interpreter, Some(script), vec![pinned])
        }
    };
    let measured = match measured::measure(&executable) {
        // One script that is read by another.
        Err(MeasureError::Script(path)) if script.is_some() => {
            return Err(MeasureError::Nested(path));
        }
        other => other?,
    };
    let libraries = match policy.libraries {
        _ if !measured.dynamic => Some(BTreeMap::new()),
        Libraries::Refused => return Err(MeasureError::Dynamic(executable)),
        Libraries::Unmeasured => None,
        Libraries::Measured => {
            let (names, files) = measure_libraries(&executable, &measured)?;
            pinned.extend(files);
            Some(names)
        }
    };
    Ok(Composition {
        executable: measured,
        script,
        libraries,
        pinned,
    })
}

/// The script at that path, if it is one.
fn script_at(path: &Path) -> Result<Option<(MeasuredScript, Pinned)>, MeasureError> {
    let mut start = Vec::with_capacity(1024);
    measured::open(path)?
        .take(512)
        .read_to_end(&mut start)
        .map_err(at(path))?;
    if !script::is_script(&start) {
        return Ok(None);
    }
    // By its real path, so that no link can be turned to another file meanwhile.
    let real = fs::canonicalize(path).map_err(at(path))?;
    let pinned = read(&real)?;
    let interpreter = script::interpreter(pinned.bytes.get(..512).unwrap_or(&pinned.bytes));
    let interpreter = interpreter.map_err(|source| MeasureError::Interpreter {
        path: path.to_owned(),
        source,
    })?;
    let text = real.to_str().ok_or(io::ErrorKind::InvalidFilename);
    let script = MeasuredScript {
        sha256: pinned.sha256,
        path: text.map_err(|kind| at(path)(kind.into()))?.to_owned(),
        interpreter,
    };
    Ok(Some((script, pinned)))
}

/// The bytes of a file, once: these are hashed, and these the program gets.
fn read(path: &Path) -> Result<Pinned, MeasureError> {
    let file = measured::open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE.min(MAX_PROGRAM) + 1)
        .read_to_end(&mut bytes)
        .map_err(at(path))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(MeasureError::TooLarge(path.to_owned()));
    }
    Ok(Pinned {
        path: path.to_owned(),
        sha256: Sha256::digest(&bytes).into(),
        bytes,
    })
}

/// Reads each file once, by its real path.
#[derive(Default)]
struct Disk {
    read: BTreeMap<PathBuf, Pinned>,
    failed: Option<MeasureError>,
}

impl Disk {
    fn pin(&mut self, path: &Path) -> Result<&Pinned, MeasureError> {
        let real = fs::canonicalize(path).map_err(at(path))?;
        if !self.read.contains_key(&real) {
            let pinned = read(&real)?;
            self.read.insert(real.clone(), pinned);
        }
        self.read
            .get(&real)
            .ok_or_else(|| at(path)(io::ErrorKind::NotFound.into()))
    }
}

impl Files for Disk {
    fn needs(&mut self, path: &Path) -> Result<Needs, LibraryError> {
        let failed = |source| LibraryError::Elf {
            path: path.to_owned(),
            source,
        };
        match self.pin(path) {
            Ok(pinned) => elf::needs(pinned.bytes.as_slice()).map_err(failed),
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

    fn exists(&self, path: &Path) -> bool {
        path.is_file()
    }
}

type Measured = (BTreeMap<String, Vec<[u8; 32]>>, Vec<Pinned>);

fn measure_libraries(path: &Path, program: &MeasuredProgram) -> Result<Measured, MeasureError> {
    let wrong = |source: LibraryError| MeasureError::Libraries {
        path: path.to_owned(),
        source,
    };
    let copy = File::from(program.file.try_clone().map_err(at(path))?);
    let needs = elf::needs(&copy).map_err(|source| {
        wrong(LibraryError::Elf {
            path: path.to_owned(),
            source,
        })
    })?;
    if needs.interpreter.is_none() {
        return Err(MeasureError::Loader(path.to_owned()));
    }
    let mut disk = Disk::default();
    // The loader decides by these files: it finds them as they were read here.
    let cache = match Path::new(CACHE).exists() {
        true => Cache::parse(&disk.pin(Path::new(CACHE))?.bytes).map_err(|error| {
            let source = io::Error::other(error);
            at(Path::new(CACHE))(source)
        })?,
        false => Cache::default(),
    };
    let preloaded = match Path::new(PRELOADED).exists() {
        true => {
            let list = &disk.pin(Path::new(PRELOADED))?.bytes;
            let list = String::from_utf8_lossy(list).into_owned();
            list.split([' ', '\t', '\n', ':', ','])
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect()
        }
        false => Vec::new(),
    };
    let found = match libraries::resolve(path, &needs, &cache, &preloaded, &mut disk) {
        Ok(found) => found,
        // In the words of what failed.
        Err(error) => return Err(disk.failed.take().unwrap_or_else(|| wrong(error))),
    };
    let mut names: BTreeMap<String, Vec<[u8; 32]>> = BTreeMap::new();
    for (name, places) in found {
        for place in places {
            let sha256 = disk.pin(&place)?.sha256;
            names.entry(base_name(&name)).or_default().push(sha256);
        }
    }
    if let Some(loader) = &needs.interpreter {
        let sha256 = disk.pin(Path::new(loader))?.sha256;
        names.entry(base_name(loader)).or_default().push(sha256);
    }
    for hashes in names.values_mut() {
        hashes.sort_unstable();
        hashes.dedup();
    }
    Ok((names, disk.read.into_values().collect()))
}

fn base_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}
