//! ext4 images from a directory, the same bytes each time.

use std::path::Path;

use anyhow::{Context, Result};

use crate::tool::Tool;

/// Identity of a file system: fixed, so that configurations can name it.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The UUID, in its usual form.
    pub uuid: &'a str,
    /// The label, at most 16 characters.
    pub label: &'a str,
}

/// Makes an ext4 file system of `size` bytes in `image` with the content of `directory`, without
/// a journal: it only costs time on disks that live for one test.
/// With `wrapper`, runs under it (fakeroot and its state file, to keep owners).
pub fn make(
    image: &Path,
    directory: &Path,
    size: u64,
    identity: Identity<'_>,
    wrapper: &[String],
) -> Result<()> {
    let tool = match wrapper.split_first() {
        Some((name, rest)) => Tool::new(name).args(rest).arg("mke2fs"),
        None => Tool::new("mke2fs"),
    };
    make_by(tool, "^has_journal", image, directory, size, identity)
}

/// The same with a journal, for a disk whose machine loses power.
pub fn make_with_journal(
    image: &Path,
    directory: &Path,
    size: u64,
    identity: Identity<'_>,
) -> Result<()> {
    let tool = Tool::new("mke2fs");
    make_by(tool, "has_journal", image, directory, size, identity)
}

fn make_by(
    tool: Tool,
    journal: &str,
    image: &Path,
    directory: &Path,
    size: u64,
    identity: Identity<'_>,
) -> Result<()> {
    let file = std::fs::File::create(image)
        .with_context(|| format!("cannot create {}", image.display()))?;
    file.set_len(size)
        .with_context(|| format!("cannot size {}", image.display()))?;
    // hash_seed and the UUID are what mke2fs would otherwise choose at random.
    // 4096 because a smaller block cannot be mounted from a volume of 4096 byte sectors.
    tool.args(["-q", "-F", "-t", "ext4", "-b", "4096"])
        .args(["-O", journal, "-m", "0"])
        .args(["-U", identity.uuid, "-L", identity.label])
        .args([
            "-E",
            &format!("hash_seed={},lazy_itable_init=0,nodiscard", identity.uuid),
        ])
        .arg("-d")
        .arg(directory)
        .arg(image)
        .env("E2FSPROGS_FAKE_TIME", "1700000000")
        .run()
        .with_context(|| format!("cannot make the file system {}", identity.label))?;
    Ok(())
}
