//! Is the image on a swap area to be resumed? Each rule by itself.

use std::{collections::BTreeMap, fmt};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use storage::swap::{FirstPage, Holds, MARK};
use tao::attestation::{BootEvent, Opened};
use tpm::{PcrIndex, PcrSet};

use crate::unlock::VolumeSecret;

/// An approved launch, by an authenticator of what it measured and of what this boot has told in PCR 15. The
/// one before and the one after a hibernation are the same: kernel, image with its configuration, command
/// line, volume, the Tao host's key, ACPI's tables.
///
/// All of that is public. The key is not: a guest whose disk is taken for the swap can write an image, and
/// no mark.
pub(super) struct Launch([u8; MARK]);

impl Launch {
    /// `None` where no TPM has approved it, and so released the secret.
    pub fn of(
        secret: Option<&VolumeSecret>,
        event: &BootEvent,
        pcrs: &BTreeMap<PcrIndex, String>,
    ) -> Option<Self> {
        let secret = secret.filter(|_| event.opened == Opened::Tpm)?;
        // HMAC takes a key of any length: there is no error to tell of.
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.resume_mark_key().as_slice()).ok()?;
        mac.update(b"taoboot resume 2\n");
        for index in PcrSet::LAUNCH.iter() {
            let value = pcrs.get(&index)?;
            mac.update(format!("{index} {value}\n").as_bytes());
        }
        mac.update(event.to_string().as_bytes());
        Some(Self(mac.finalize().into_bytes().into()))
    }

    /// What it leaves on the swap area.
    pub const fn mark(&self) -> &[u8; MARK] {
        &self.0
    }
}

/// What becomes of the image.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is none.
    Nothing,
    /// It takes over.
    Resume,
    /// It does not, and must not later.
    PutAway(Why),
}

/// Why an image is not resumed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Why {
    NotWanted,
    NotApproved,
    Broken,
    Unmarked,
    OtherLaunch,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotWanted => "the kernel command line says so",
            Self::NotApproved => {
                "the volume was not opened by the TPM, so nothing has approved the launch that would resume it"
            }
            Self::Broken => "its signature is damaged",
            Self::Unmarked => {
                "it has no mark of the boot that made it: the swap was made anew (mkswap), or is another system's"
            }
            Self::OtherLaunch => {
                "it was made under another launch (kernel, image, command line, Tao host's key or ACPI tables)"
            }
        })
    }
}

/// Judges what is in the area.
pub(super) fn of(page: &FirstPage, launch: Option<&Launch>, wanted: bool) -> Verdict {
    match page.holds() {
        Holds::Swap => return Verdict::Nothing,
        Holds::BrokenImage => return Verdict::PutAway(Why::Broken),
        Holds::Image => {}
    }
    let Some(launch) = launch else {
        return Verdict::PutAway(Why::NotApproved);
    };
    if !wanted {
        return Verdict::PutAway(Why::NotWanted);
    }
    match page.mark() {
        None => Verdict::PutAway(Why::Unmarked),
        Some(mark) if mark != *launch.mark() => Verdict::PutAway(Why::OtherLaunch),
        Some(_) => Verdict::Resume,
    }
}
