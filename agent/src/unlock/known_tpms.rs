//! Which TPMs the kernel lists, looked at again each time that the latch is relied on.
//!
//! The latch that is closed is that of one TPM. Another that appears later (on a bus, by ACPI, by a
//! driver that was slow) may be the one that a launch was measured into, and its latch is open.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Where the kernel lists TPMs.
pub const SYSFS_TPM: &str = "/sys/class/tpm";

/// The TPMs that there may be.
#[derive(Clone, Debug)]
pub struct KnownTpms {
    sysfs: PathBuf,
    most: Most,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Most {
    /// It is proved that there is none.
    None,
    /// The one that is used.
    One,
    /// The right one is known by its pinned storage root key; no other is believed.
    Pinned,
}

/// There are others, or may be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KnownTpmsError {
    /// More than one.
    #[error(
        "there are several TPMs ({0}), and which of them a launch is measured into is not known: nothing is opened or asked for, because the latches of the others stay open. Pin the right one's storage key (srk_name; `taoboot srk --pin`), or switch the others off"
    )]
    Several(String),
    /// One, after it was proved that there is none.
    #[error(
        "a TPM has appeared ({0}) after none was found: nothing is opened or asked for, because its latch stays open"
    )]
    Appeared(String),
    /// The kernel's list.
    #[error("{path} cannot be read ({reason}), so whether there is another TPM is not certain: nothing is opened or asked for", path = .path.display())]
    Unknown {
        /// Where it is.
        path: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
}

impl KnownTpms {
    /// The one TPM of a machine, or any number where the right one is `pinned`.
    pub fn one(sysfs: impl Into<PathBuf>, pinned: bool) -> Self {
        Self {
            sysfs: sysfs.into(),
            most: if pinned { Most::Pinned } else { Most::One },
        }
    }

    /// The same machine, after the pin was given up: which of several TPMs answers is not known then.
    #[must_use]
    pub fn unpinned(&self) -> Self {
        Self {
            sysfs: self.sysfs.clone(),
            most: Most::One,
        }
    }

    /// The same machine, of which it is proved that it has none.
    #[must_use]
    pub fn none(self) -> Self {
        Self {
            most: Most::None,
            ..self
        }
    }

    /// Where the kernel lists them.
    pub fn sysfs(&self) -> &Path {
        &self.sysfs
    }

    /// Looks at the list as it is now. A machine may have several TPMs; the first is whichever
    /// driver came first.
    ///
    /// # Errors
    /// There is another one, or it cannot be found out.
    pub fn look(&self) -> Result<(), KnownTpmsError> {
        if self.most == Most::Pinned {
            return Ok(());
        }
        let names = self.names().map_err(|reason| KnownTpmsError::Unknown {
            path: self.sysfs.clone(),
            reason,
        })?;
        let list = printable::line(names.join(", ")).to_string();
        match (self.most, names.len()) {
            (Most::None, 0) | (Most::One, 0 | 1) => Ok(()),
            (Most::None, _) => Err(KnownTpmsError::Appeared(list)),
            _ => Err(KnownTpmsError::Several(list)),
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let chips = match fs::read_dir(&self.sysfs) {
            Ok(chips) => chips,
            // A kernel that knows none at all, which the proof of no TPM looks into.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for chip in chips {
            names.push(chip?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_several_tpms_nothing_is_opened_unless_one_is_pinned() {
        let directory = tempfile::tempdir().unwrap();
        let sysfs = directory.path().join("class/tpm");
        let (one, pinned) = (KnownTpms::one(&sysfs, false), KnownTpms::one(&sysfs, true));
        one.look().unwrap();
        one.clone().none().look().unwrap();
        fs::create_dir_all(sysfs.join("tpm0")).unwrap();
        one.look().unwrap();
        let appeared = pinned.clone().none().look().unwrap_err();
        assert!(matches!(&appeared, KnownTpmsError::Appeared(tpm) if tpm == "tpm0"));
        fs::create_dir(sysfs.join("tpm1")).unwrap();
        let reason = one.look().unwrap_err().to_string();
        assert!(
            reason.contains("tpm0, tpm1") && reason.contains("srk_name"),
            "{reason}"
        );
        pinned.look().unwrap();
        // What cannot be looked at may be several.
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(KnownTpms::one(&file, false).look().is_err());
    }
}
