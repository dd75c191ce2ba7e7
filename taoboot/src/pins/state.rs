//! Does the next image pin TPM and secret, and do the images in place?

use std::{fmt, fs, io, path::Path};

use agent::config::Config;
use serde::Serialize;

use super::{IN_PLACE, beside};

/// What the next image pins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PinState {
    /// The TPM's storage key.
    srk_name: bool,
    /// The boot secret.
    secret_id: bool,
    /// Were the images in /boot made with what enrolment pinned? `None`: it pinned nothing.
    in_place: Option<bool>,
}

impl PinState {
    /// `config` is what the next image has, read from `file`; `root` is where the root file system is mounted.
    pub fn of(config: &Config, file: &Path, root: &Path) -> Self {
        // No copy, and one that cannot be read, is one that differs: the images may be older than the pins.
        let in_place = match fs::read(beside(file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(_) => Some(false),
            Ok(pins) => Some(fs::read(root.join(IN_PLACE)).is_ok_and(|kept| kept == pins)),
        };
        Self {
            srk_name: config.srk_name.is_some(),
            secret_id: config.secret_id.is_some(),
            in_place,
        }
    }

    /// Were the images in /boot made with what enrolment pinned? `None`: it pinned nothing.
    pub fn in_place(self) -> Option<bool> {
        self.in_place
    }
}

/// One sentence.
impl fmt::Display for PinState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.srk_name, self.secret_id) {
            (true, true) if self.in_place == Some(false) => f.write_str(
                "the next images pin this machine's TPM and its secret; those in /boot were made before that: run /usr/lib/taoboot/kernel refresh, which approves the new ones too",
            ),
            (true, true) => f.write_str("the images pin this machine's TPM and its secret"),
            (true, false) => f.write_str(
                "the next images do not pin the secret (secret_id): they open any volume that is enrolled for their launch; `taoboot enroll` pins it",
            ),
            (false, true) => f.write_str(
                "the next images do not pin the TPM (srk_name): they believe whatever TPM is on the bus; `taoboot enroll` pins it",
            ),
            (false, false) => f.write_str(
                "the next images pin neither the TPM (srk_name) nor the secret (secret_id); `taoboot enroll` pins both",
            ),
        }
    }
}
