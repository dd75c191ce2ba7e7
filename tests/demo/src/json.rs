//! `--json FILE`: the facts for machines, in one piece or not at all.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tempfile::NamedTempFile;

use super::facts::Facts;

/// A file that will be replaced; until then the old one is there.
pub struct JsonFile {
    unfinished: NamedTempFile,
    path: PathBuf,
}

impl JsonFile {
    /// Makes sure that `path` can be written, before the work begins.
    pub fn prepare(path: &Path) -> Result<Self> {
        if let Ok(found) = path.metadata() {
            ensure!(
                found.is_file(),
                "--json {} is not a regular file: name one, or a new one",
                path.display()
            );
        }
        let directory = match path.parent() {
            Some(directory) if !directory.as_os_str().is_empty() => directory,
            _ => Path::new("."),
        };
        let unfinished = NamedTempFile::new_in(directory).with_context(|| {
            format!(
                "--json {}: cannot write in {}",
                path.display(),
                directory.display()
            )
        })?;
        Ok(Self {
            unfinished,
            path: path.to_owned(),
        })
    }

    /// Writes the facts and puts them in place.
    pub fn write(mut self, facts: &Facts) -> Result<()> {
        let text =
            serde_json::to_string_pretty(facts).context("cannot write the report as JSON")?;
        let file = self.unfinished.as_file_mut();
        let written = writeln!(file, "{text}")
            .and_then(|()| file.set_permissions(Permissions::from_mode(0o644)))
            .and_then(|()| file.sync_all());
        written.with_context(|| format!("cannot write {}", self.path.display()))?;
        self.unfinished
            .persist(&self.path)
            .with_context(|| format!("cannot replace {}", self.path.display()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_a_report_that_was_never_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        std::fs::write(&path, "old").unwrap();
        drop(JsonFile::prepare(&path).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        JsonFile::prepare(&path)
            .unwrap()
            .write(&Facts::default())
            .unwrap();
        let value: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(value["passed"], false);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_is_refused_before_the_work_begins() {
        let directory = tempfile::tempdir().unwrap();
        assert!(JsonFile::prepare(directory.path()).is_err());
        assert!(JsonFile::prepare(&directory.path().join("none/report.json")).is_err());
    }
}
