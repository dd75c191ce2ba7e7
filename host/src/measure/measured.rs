//! From a file to the bytes that will run: hashed, and copied into memory that nobody can change
//! any more. What is measured is what is executed, whatever happens to the file.

use std::{
    ffi::CString,
    fs::File,
    io,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt as _, fs::FileExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::measure::program::{elf, libraries::LibraryError, script::ScriptError};
use crate::{
    measure::copying::copy_and_hash,
    measure::measured_lately::{self, FileState},
    measure::opening::{Opener, Refusal, Use},
    measure::priority::gently,
    measure::sealed_memory::sealable_memory,
};

/// ELF machine number of the programs this processor runs by itself.
pub(crate) const MACHINE: u16 = if cfg!(target_arch = "aarch64") {
    183
} else {
    62
};

/// Why a program can't be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The file can't be read, or its copy not made.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder, a device, ...
    #[error("{path}: not a regular file", path = .0.display())]
    NotRegular(PathBuf),
    /// A script: what runs is its interpreter.
    #[error("{path}: a script; this host's policy does not start scripts (tao host start --scripts measure). Start the interpreter itself", path = .0.display())]
    Script(PathBuf),
    /// A script is to read a script.
    #[error("{path}: the interpreter of a script is a script itself, which is not supported", path = .0.display())]
    Nested(PathBuf),
    /// Who is to read the script is not clear.
    #[error("{path}: {source}", path = path.display())]
    Interpreter {
        /// The script.
        path: PathBuf,
        /// What is wrong.
        source: ScriptError,
    },
    /// Its libraries can't be measured.
    #[error("{path}: its libraries can't be measured: {source}", path = path.display())]
    Libraries {
        /// The program.
        path: PathBuf,
        /// What is wrong.
        source: LibraryError,
    },
    /// Not a program for this machine.
    #[error("{path}: not an ELF program for this processor", path = .0.display())]
    NotElf(PathBuf),
    /// Loads what it is told to.
    #[error("{path}: the loader of dynamic programs: what it will load is not measured. Start the program itself", path = .0.display())]
    Loader(PathBuf),
    /// Needs dynamic libraries.
    #[error("{path}: needs dynamic libraries; this host's policy starts static programs only", path = .0.display())]
    Dynamic(PathBuf),
    /// Too large.
    #[error("{path}: with all that is measured for this program more than {most} bytes, which is the most that this host's policy measures (tao host start --largest)", path = path.display())]
    TooLarge {
        /// The file with which it is too much.
        path: PathBuf,
        /// What the policy allows.
        most: u64,
    },
}

/// How much may still be measured for one program. A file counts by its length, whatever of it
/// is on the disk: a file of nothing but holes takes as long to hash.
#[derive(Debug)]
pub(crate) struct Budget {
    most: u64,
    left: u64,
}

impl Budget {
    pub(crate) fn new(most: u64) -> Self {
        Budget { most, left: most }
    }

    fn too_large(&self, path: &Path) -> MeasureError {
        MeasureError::TooLarge {
            path: path.to_owned(),
            most: self.most,
        }
    }

    /// Before anything of the file is read: what of it may be.
    pub(crate) fn allow(&self, path: &Path, file: &File) -> Result<u64, MeasureError> {
        let length = file.metadata().map_err(at(path))?.len();
        match length <= self.left {
            true => Ok(self.left),
            false => Err(self.too_large(path)),
        }
    }

    /// So much was there: the file may have grown.
    pub(crate) fn take(&mut self, path: &Path, length: u64) -> Result<(), MeasureError> {
        let left = self.left.checked_sub(length);
        self.left = left.ok_or_else(|| self.too_large(path))?;
        Ok(())
    }
}

/// The system's word on the file at this path.
pub(crate) fn at(path: &Path) -> impl Fn(io::Error) -> MeasureError {
    move |source| MeasureError::Io {
        path: path.to_owned(),
        source,
    }
}

/// A program that can only run as it was measured.
#[derive(Debug)]
pub struct MeasuredProgram {
    /// Sealed memory with the program's bytes.
    pub file: OwnedFd,
    /// SHA-256 of those bytes.
    pub sha256: [u8; 32],
    /// How many they are.
    pub length: u64,
    /// It asks for a dynamic linker, or is one: what runs is more than what was measured.
    pub dynamic: bool,
}

/// Opens a file that is to be measured, once: what is measured is read from this descriptor.
pub(crate) fn open(opener: &Opener, path: &Path, purpose: Use) -> Result<File, MeasureError> {
    opener.open(path, purpose).map_err(|refusal| match refusal {
        Refusal::Io(source) => at(path)(source),
        Refusal::NotRegular => MeasureError::NotRegular(path.to_owned()),
    })
}

/// Hashes, copies and seals the program that was opened at `path`, unless that was done lately.
pub(crate) fn measure(
    path: &Path,
    source: &File,
    budget: &mut Budget,
) -> Result<Arc<MeasuredProgram>, MeasureError> {
    let metadata = source.metadata().map_err(at(path))?;
    let most = budget.allow(path, source)?;
    let state = FileState::of(&metadata);
    if let Some(program) = measured_lately::find(&state) {
        budget.take(path, program.length)?;
        return Ok(program);
    }
    let copy = gently(metadata.len(), || hashed_copy(path, source, most));
    let program = Arc::new(copy?);
    budget.take(path, program.length)?;
    measured_lately::keep(state, source, &program);
    Ok(program)
}

fn hashed_copy(path: &Path, source: &File, most: u64) -> Result<MeasuredProgram, MeasureError> {
    let failed = at(path);
    let mut start = [0; 20];
    let count = source.read_at(&mut start, 0).map_err(&failed)?;
    check_kind(path, start.get(..count).unwrap_or_default())?;
    // Nobody else can write to it: it has no name and is open in this process only. And it is
    // sealed now, so this process can't either.
    let copy = sealable_memory(&called(path)).map_err(&failed)?;
    let (length, sha256) = copy_and_hash(source, most, &copy).map_err(&failed)?;
    // Of the copy: the file may have become another since the first look.
    let count = copy.read_at(&mut start, 0).map_err(&failed)?;
    check_kind(path, start.get(..count).unwrap_or_default())?;
    if copy.metadata().map_err(&failed)?.len() != length {
        return Err(failed(io::Error::other("its copy has another length")));
    }
    // The linker itself does not ask for one. What can't be read is not known to be static.
    let linker = || elf::is_shared_object(&copy).unwrap_or(true);
    let dynamic = asks_for_linker(&copy).map_err(&failed)? || linker();
    Ok(MeasuredProgram {
        file: copy.into(),
        dynamic,
        length,
        sha256,
    })
}

/// What its processes are called in lists of processes: as the file, as far as there is room
/// (memfd_create(2): 249 bytes).
fn called(path: &Path) -> CString {
    let name = path.file_name().unwrap_or_default().as_bytes();
    CString::new(name.get(..249).unwrap_or(name)).unwrap_or_default()
}

fn check_kind(path: &Path, start: &[u8]) -> Result<(), MeasureError> {
    if start.starts_with(b"#!") {
        return Err(MeasureError::Script(path.to_owned()));
    }
    // e_ident: magic, 64 bits, little-endian; e_machine at 18.
    let machine = start.get(18..20) == Some(&MACHINE.to_le_bytes());
    if !start.starts_with(b"\x7fELF\x02\x01") || !machine {
        return Err(MeasureError::NotElf(path.to_owned()));
    }
    Ok(())
}

/// Does the ELF have a PT_INTERP segment? A program header table that is not wholly in the
/// file counts as asking: the kernel would refuse it.
fn asks_for_linker(copy: &File) -> io::Result<bool> {
    const INTERPRETER: u32 = 3;
    const SMALLEST_ENTRY: u16 = 56;
    let mut header = [0; 64];
    if copy.read_at(&mut header, 0)? < header.len() {
        return Ok(true);
    }
    let number = |at: usize, length: usize| {
        let bytes = header.get(at..).and_then(|rest| rest.get(..length));
        let bytes = bytes.unwrap_or_default();
        bytes
            .iter()
            .rev()
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let (offset, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    if size < u64::from(SMALLEST_ENTRY) {
        return Ok(true);
    }
    // A table is some hundred bytes long, and one that is not is read entry by entry.
    let mut start = [0; 1024];
    let there = copy.read_at(&mut start, offset)?;
    let start = start.get(..there).unwrap_or_default();
    for place in (0..count).map(|number| number.saturating_mul(size)) {
        let mut kind = [0; 4];
        let near = usize::try_from(place).ok();
        match near.and_then(|place| start.get(place..)?.first_chunk()) {
            Some(bytes) => kind = *bytes,
            None if copy.read_at(&mut kind, offset.saturating_add(place))? < kind.len() => {
                return Ok(true);
            }
            None => {}
        }
        if u32::from_le_bytes(kind) == INTERPRETER {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use sha2::{Digest, Sha256};

    use super::*;

    fn measure(path: &Path) -> Result<Arc<MeasuredProgram>, MeasureError> {
        let source = open(&Opener::to_name(), path, Use::Execute)?;
        super::measure(path, &source, &mut Budget::new(1 << 30))
    }

    #[test]
    fn the_hash_is_that_of_the_file_and_the_copy_cannot_be_changed() {
        let path = std::env::current_exe().unwrap();
        let program = measure(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let expected: [u8; 32] = Sha256::digest(&bytes).into();
        assert_eq!(program.sha256, expected);
        let mut copy = vec![0; bytes.len() + 1];
        let sealed = File::from(program.file.try_clone().unwrap());
        assert_eq!(sealed.read_at(&mut copy, 0).unwrap(), bytes.len());
        copy.pop();
        assert!(copy == bytes);
        let mut file = File::from(program.file.try_clone().unwrap());
        assert!(file.write_all(b"x").is_err());
        assert!(file.set_len(0).is_err());
        assert!(file.set_len(1 << 30).is_err());
    }

    #[test]
    fn what_is_not_a_program_is_refused_by_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        assert!(matches!(
            measure(&file("s", b"#!/bin/sh\n")),
            Err(MeasureError::Script(_))
        ));
        assert!(matches!(
            measure(&file("t", b"text")),
            Err(MeasureError::NotElf(_))
        ));
        assert!(matches!(
            measure(&file("e", b"")),
            Err(MeasureError::NotElf(_))
        ));
        assert!(matches!(
            measure(dir.path()),
            Err(MeasureError::NotRegular(_))
        ));
        assert!(matches!(
            measure(Path::new("/dev/null")),
            Err(MeasureError::NotRegular(_))
        ));
        assert!(matches!(
            measure(&dir.path().join("absent")),
            Err(MeasureError::Io { .. })
        ));
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(measure(&fifo), Err(MeasureError::NotRegular(_))));
    }

    #[test]
    fn a_file_counts_by_its_length_and_all_of_a_program_together() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sparse");
        let sparse = File::create(&path).unwrap();
        sparse.set_len(1 << 40).unwrap();
        let source = File::open(&path).unwrap();
        let mut budget = Budget::new(1 << 20);
        let refused = super::measure(&path, &source, &mut budget);
        assert!(matches!(refused, Err(MeasureError::TooLarge { .. })));
        sparse.set_len(700 << 10).unwrap();
        budget.allow(&path, &source).unwrap();
        budget.take(&path, 700 << 10).unwrap();
        assert!(budget.allow(&path, &source).is_err());
        assert!(budget.take(&path, 700 << 10).is_err());
    }
}
