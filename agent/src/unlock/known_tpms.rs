//! Which TPMs the kernel lists, looked at again each time that the latch is relied on.
//!
//! The latch that is closed is that of one TPM. Another that appears later (on a bus, by ACPI, by a
//! driver that was slow) may be the one that a launch was measured into, and its latch is open: beside
//! the first, or in its place when a decoy is taken away.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Where the kernel lists TPMs.
pub const SYSFS_TPM: &str = "/sys/class/tpm";

/// The TPMs that there may be.
#[derive(Clone, Debug)]
pub struct KnownTpms {
    sysfs: PathBuf,
    most: Most,
    /// The one that was there, once it was noted: no other may be in its place.
    noted: Option<Option<Identity>>,
}

/// A TPM as the kernel made it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    /// `tpm0`
    name: String,
    /// The device below /sys/devices.
    device: PathBuf,
    /// Of the device's directory. The kernel numbers what it makes in sysfs in turn, so that a device which
    /// was taken away and made again has another number.
    inode: (u64, u64),
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.device.display())
    }
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
    /// Another in its place.
    #[error(
        "the TPM whose latch is closed was {noted}, and now there is {found}: nothing is opened or asked for, because the latch of another stays open"
    )]
    Exchanged {
        /// The one that was noted.
        noted: String,
        /// What is there.
        found: String,
    },
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
            noted: None,
        }
    }

    /// The same machine, after the pin was given up: which of several TPMs answers is not known then.
    #[must_use]
    pub fn unpinned(&self) -> Self {
        Self {
            sysfs: self.sysfs.clone(),
            most: Most::One,
            noted: None,
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
        self.looked().map(drop)
    }

    /// Looks, and notes which one is there: from now on that one is the only one. Noted before it is opened
    /// it is the one that was opened, as long as it is still there afterwards.
    ///
    /// # Errors
    /// As [`Self::look`].
    pub fn noted(&self) -> Result<Self, KnownTpmsError> {
        let found = self.looked()?;
        Ok(Self {
            noted: (self.most == Most::One).then_some(found),
            ..self.clone()
        })
    }

    fn looked(&self) -> Result<Option<Identity>, KnownTpmsError> {
        if self.most == Most::Pinned {
            return Ok(None);
        }
        let unknown = |reason| KnownTpmsError::Unknown {
            path: self.sysfs.clone(),
            reason,
        };
        let names = self.names().map_err(unknown)?;
        let list = || printable::line(names.join(", ")).to_string();
        let found = match (self.most, &names[..]) {
            (_, []) => None,
            (Most::None, _) => return Err(KnownTpmsError::Appeared(list())),
            (_, [one]) => Some(self.identity(one).map_err(unknown)?),
            _ => return Err(KnownTpmsError::Several(list())),
        };
        match &self.noted {
            Some(noted) if *noted != found => {
                let shown = |tpm: &Option<Identity>| match tpm {
                    Some(tpm) => printable::line(tpm).to_string(),
                    None => "none in the kernel's list".to_owned(),
                };
                Err(KnownTpmsError::Exchanged {
                    noted: shown(noted),
                    found: shown(&found),
                })
            }
            _ => Ok(found),
        }
    }

    fn identity(&self, name: &str) -> io::Result<Identity> {
        let device = fs::canonicalize(self.sysfs.join(name))?;
        let metadata = fs::metadata(&device)?;
        Ok(Identity {
            name: name.to_owned(),
            inode: (metadata.dev(), metadata.ino()),
            device,
        })
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
    use std::os::unix::fs::symlink;

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
        pinned.noted().unwrap().look().unwrap();
        // What cannot be looked at may be several.
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(KnownTpms::one(&file, false).look().is_err());
    }

    /// A decoy is taken away, and the one with the launch appears: there is never more than one.
    #[test]
    fn another_tpm_in_the_place_of_the_one_whose_latch_is_closed_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (sysfs, devices) = (
            directory.path().join("class/tpm"),
            directory.path().join("devices"),
        );
        fs::create_dir_all(&sysfs).unwrap();
        let add = |name: &str, device: &str| {
            let device = devices.join(device).join("tpm").join(name);
            fs::create_dir_all(&device).unwrap();
            symlink(device, sysfs.join(name)).unwrap();
        };
        let remove = |name: &str| fs::remove_file(sysfs.join(name)).unwrap();
        let tpms = KnownTpms::one(&sysfs, false);
        add("tpm0", "decoy");
        let noted = tpms.noted().unwrap();
        noted.look().unwrap();
        noted.noted().unwrap();
        let refused = |what: &str| {
            let reason = noted.look().unwrap_err();
            assert!(
                matches!(reason, KnownTpmsError::Exchanged { .. }),
                "{what}: {reason}"
            );
            // Nor is it noted in place of the first.
            noted.noted().unwrap_err();
            tpms.look().unwrap();
        };
        remove("tpm0");
        refused("it is gone");
        add("tpm0", "real");
        refused("another device of its name");
        remove("tpm0");
        add("tpm1", "decoy");
        refused("another name");
        remove("tpm1");
        let decoy = devices.join("decoy/tpm/tpm0");
        symlink(&decoy, sysfs.join("tpm0")).unwrap();
        noted.look().unwrap();
        // The same place, and another that was made there. (The first is kept, as its number would be
        // given again here.)
        fs::rename(&decoy, directory.path().join("kept")).unwrap();
        fs::create_dir(&decoy).unwrap();
        refused("one that was made anew");
        // None at first is noted, too.
        remove("tpm0");
        let none = tpms.noted().unwrap();
        none.look().unwrap();
        add("tpm2", "late");
        assert!(none.look().is_err());
    }
}
