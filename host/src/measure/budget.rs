//! How much may be measured for one program.

use std::{fs::File, path::Path};

use crate::measure::error::{MeasureError, at};

/// How much may still be measured for one program. A file counts by its length, whatever of it
/// is on the disk: a file of nothing but holes takes as long to hash.
#[derive(Debug)]
pub(crate) struct Budget {
    most: u64,
    left: u64,
}

impl Budget {
    pub(crate) fn new(most: u64) -> Self {
        Self { most, left: most }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts_by_its_length_and_all_of_a_program_together() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sparse");
        let sparse = File::create(&path).unwrap();
        sparse.set_len(1 << 40).unwrap();
        let source = File::open(&path).unwrap();
        let mut budget = Budget::new(1 << 20);
        let refused = budget.allow(&path, &source);
        assert!(matches!(refused, Err(MeasureError::TooLarge { .. })));
        sparse.set_len(700 << 10).unwrap();
        budget.allow(&path, &source).unwrap();
        budget.take(&path, 700 << 10).unwrap();
        assert!(budget.allow(&path, &source).is_err());
        assert!(budget.take(&path, 700 << 10).is_err());
    }
}
