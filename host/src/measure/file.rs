//! A file that is read as a whole, and its place among the copies.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    path::Path,
};

use sha2::{Digest, Sha256};

use crate::measure::{
    budget::Budget,
    error::{MeasureError, at},
    priority::gently,
};

/// The file's own name.
pub(crate) fn name_of(path: &Path) -> Result<&str, MeasureError> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| at(path)(io::ErrorKind::InvalidFilename.into()))
}

/// In that directory under the file's own name.
pub(crate) fn place(directory: &str, path: &Path) -> Result<String, MeasureError> {
    Ok(format!("{directory}/{}", name_of(path)?))
}

/// The bytes of a file, once: these are hashed, and these the program gets.
pub(crate) fn read(
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
