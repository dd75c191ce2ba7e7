//! From a path to all that will run: the program, or the interpreter of a script and the script.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    measure::{
        budget::Budget,
        composition::{Bytes, Composition, Copy, MeasuredScript},
        error::MeasureError,
        file::{place, read},
        measured,
        measured_libraries::measure_libraries,
        opening::{Opener, Use},
        program::{elf::ReadAt as _, script},
    },
    policy::programs::{Libraries, ProgramPolicy, Scripts},
};

/// Directory of the script, in the directory of copies.
const SCRIPT: &str = "script";

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
