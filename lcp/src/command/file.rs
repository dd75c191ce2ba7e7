//! Files: read with a limit, replaced as a whole.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// Longest file of a policy, element, list, key or signature, in bytes.
pub const MAX_LEN: u64 = 1 << 20;

/// Reads a file of at most [`MAX_LEN`] bytes.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    read_at_most(path, MAX_LEN)
}

/// Reads a file of at most `limit` bytes.
pub fn read_at_most(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("can't open {shown}"))?;
    let mut bytes = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.with_context(|| format!("can't read {shown}"))?;
    if bytes.len() as u64 > limit {
        bail!("{shown} has more than {limit} bytes: it is no such file");
    }
    Ok(bytes)
}

/// Reads a text file.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).with_context(|| format!("{} is no text", path.display()))
}

/// Replaces a file as a whole: a kill at any moment leaves the old one or the new one.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let shown = path.display();
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = path
        .file_name()
        .with_context(|| format!("{shown} is no file name"))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.new", std::process::id()));
    let temporary: PathBuf = folder.join(temporary);
    let written = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    })();
    if let Err(error) = written {
        let shown = match fs::remove_file(&temporary) {
            Err(left) if left.kind() != std::io::ErrorKind::NotFound => {
                format!("{shown} (and {} is left behind)", temporary.display())
            }
            _ => shown.to_string(),
        };
        return Err(error).with_context(|| format!("can't write {shown}"));
    }
    Ok(())
}
