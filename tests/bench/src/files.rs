//! Files of this host: their sizes, and the libraries that a dynamic program needs elsewhere, found by ldd.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ::harness::tool::Tool;
use anyhow::{Context, Result, ensure};

/// Size of a file in MiB.
pub fn mebibytes(file: &Path) -> Result<f64> {
    let size = fs::metadata(file)
        .with_context(|| format!("{} is missing", file.display()))?
        .len();
    Ok(size as f64 / f64::from(1 << 20))
}

/// The dynamic loader and every library that `programs` are linked with.
pub fn libraries(programs: &[&Path]) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for program in programs {
        ensure!(
            program.exists(),
            "{} is missing: run `cargo xtask setup`",
            program.display()
        );
        let output = Tool::new("ldd")
            .arg(program)
            .run()
            .context("cannot list libraries")?;
        found.extend(parse(&String::from_utf8_lossy(&output)));
    }
    Ok(found)
}

/// The paths in ldd's answer: `name => /path (address)`, or `/path (address)` for the loader.
fn parse(text: &str) -> impl Iterator<Item = PathBuf> + '_ {
    text.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [_, "=>", path, _] | [path, _] if path.starts_with('/') => Some(PathBuf::from(path)),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_the_loader_are_found_and_the_vdso_is_not() {
        let text = "\tlinux-vdso.so.1 (0x00007ffe)\n\tlibc.so.6 => /lib/libc.so.6 (0x00007f)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let found: Vec<PathBuf> = parse(text).collect();
        assert_eq!(
            found,
            [
                Path::new("/lib/libc.so.6"),
                Path::new("/lib64/ld-linux-x86-64.so.2")
            ]
        );
    }
}
