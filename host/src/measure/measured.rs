//! From a file to the bytes that will run: hashed, and copied into memory that nobody can change
//! any more. What is measured is what is executed, whatever happens to the file.

use std::{ffi::CString, fs::File, io, os::unix::ffi::OsStrExt as _, path::Path, sync::Arc};

use crate::measure::{
    budget::Budget,
    copying::copy_and_hash,
    error::{MeasureError, at},
    kind::{asks_for_linker, check_kind},
    measured_lately::{self, FileState},
    measured_program::MeasuredProgram,
    opening::{Opener, Refusal, Use},
    priority::gently,
    program::elf,
    sealed_memory::sealable_memory,
};

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
    check_kind(path, source)?;
    // Nobody else can write to it: it has no name and is open in this process only. And it is
    // sealed now, so this process cannot either.
    let copy = sealable_memory(&called(path)).map_err(&failed)?;
    let (length, sha256) = copy_and_hash(source, most, &copy).map_err(&failed)?;
    // Of the copy: the file may have become another since the first look.
    check_kind(path, &copy)?;
    if copy.metadata().map_err(&failed)?.len() != length {
        return Err(failed(io::Error::other("its copy has another length")));
    }
    // The linker itself does not ask for one. What cannot be read is not known to be static.
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
    let name = path.file_name().and_then(|name| {
        let name = name.as_bytes();
        CString::new(name.get(..249).unwrap_or(name)).ok()
    });
    // Only for people: a file that was opened has a name, and no zero in it.
    name.unwrap_or_else(|| c"program".to_owned())
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        os::unix::fs::{FileExt as _, PermissionsExt as _},
        time::Duration,
    };

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

    fn program(path: &Path, last: u8) {
        let mut bytes = std::fs::read("/proc/self/exe").unwrap()[..4096].to_vec();
        bytes.push(last);
        std::fs::write(path, bytes).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_changed_file_is_measured_again_however_soon() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        let mut hashes = std::collections::BTreeSet::new();
        for last in 0..50 {
            program(&path, last);
            assert!(hashes.insert(measure(&path).unwrap().sha256), "{last}");
        }
    }

    #[test]
    fn a_file_that_has_settled_is_copied_once_and_again_after_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        program(&path, 1);
        std::thread::sleep(Duration::from_millis(3100));
        let (first, second) = (measure(&path).unwrap(), measure(&path).unwrap());
        // Only root can make the copy nobody's.
        let root = nix::unistd::geteuid().is_root();
        assert_eq!(std::sync::Arc::ptr_eq(&first, &second), root);
        program(&path, 2);
        assert_ne!(measure(&path).unwrap().sha256, first.sha256);
    }
}
