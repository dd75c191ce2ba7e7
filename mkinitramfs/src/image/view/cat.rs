//! `image cat`: the content of one file of an image.

use anyhow::{Result, anyhow, bail};

use super::super::options::Cat;
use super::{REGULAR, SYMLINK, TYPE, load, parts, path_in_root, print_bytes, shown};

/// Prints the file. Of several entries with the path the last one counts, as it
/// does for the kernel. Symbolic links are not followed.
///
/// # Errors
/// The image cannot be read, or holds no such file.
pub fn run(cat: &Cat) -> Result<()> {
    let image = load(&cat.image)?;
    let parts = parts(&cat.image, &image)?;
    let wanted = path_in_root(cat.path.as_bytes());
    let (entry, data) = parts
        .iter()
        .rev()
        .find_map(|part| {
            part.entries
                .iter()
                .zip(part.contents())
                .rev()
                .find(|(entry, _)| path_in_root(&entry.name) == wanted)
        })
        .ok_or_else(|| {
            anyhow!(
                "{} holds no {}; see image ls",
                cat.image.display(),
                cat.path
            )
        })?;
    match entry.mode & TYPE {
        REGULAR => print_bytes(data),
        SYMLINK => bail!(
            "{} is a symbolic link to {} in {}; name the file itself",
            cat.path,
            shown(data),
            cat.image.display()
        ),
        _ => bail!(
            "{} is not a regular file in {}",
            cat.path,
            cat.image.display()
        ),
    }
}
