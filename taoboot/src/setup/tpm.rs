//! What the TPM says of itself, without changing it.

use std::{fs, path::Path};

use agent::unlock::LaunchPcrs;
use tpm::{Bank, PcrSet, Tpm as _, Tpm2};

use super::finding::Finding;

/// Version, bank, lockout and storage key; then the launch that runs, which comes after what it is made of.
pub fn findings(root: &Path, tcti: &str) -> (Vec<Finding>, Option<Finding>) {
    match Tpm2::open(tcti) {
        Ok(mut tpm) => {
            let launch = launch(&mut tpm);
            (vec![state(&mut tpm), storage_key(&mut tpm)], Some(launch))
        }
        Err(error) => {
            let version = root.join("sys/class/tpm/tpm0/tpm_version_major");
            let old = fs::read_to_string(version).is_ok_and(|major| major.trim() == "1");
            let (found, todo) = if old {
                (
                    "a TPM 1.2, which holds no sealed record".to_owned(),
                    "switch the firmware to its TPM 2.0",
                )
            } else {
                (error.to_string(), "switch the TPM 2.0 on in the firmware")
            };
            (vec![Finding::missing("TPM", found, todo)], None)
        }
    }
}

fn state(tpm: &mut Tpm2) -> Finding {
    const WHAT: &str = "TPM";
    if let Err(error) = tpm.pcr_read(Bank::Sha256, PcrSet::LAUNCH) {
        return Finding::missing(
            WHAT,
            format!("2.0, but its sha256 bank cannot be read: {error}"),
            "`tpm2_pcrallocate sha256:all`, then switch the machine off and on",
        );
    }
    match tpm.nv_state() {
        Err(error) => Finding::unknown(WHAT, error.to_string(), "look at it with `lcp nv list`"),
        Ok(state) if state.lockout.locked => Finding::missing(
            WHAT,
            format!(
                "2.0, locked out after {} wrong passwords",
                state.lockout.counter
            ),
            format!(
                "wait {} s for each that is to be forgotten, or `tpm2_dictionarylockout --clear-lockout`",
                state.lockout.interval
            ),
        ),
        Ok(state) if !state.owner_enabled => Finding::missing(
            WHAT,
            "2.0, with its storage hierarchy switched off",
            "switch it on in the firmware",
        ),
        Ok(state) => {
            let password = if state.owner_password { "an" } else { "no" };
            Finding::ready(
                WHAT,
                format!(
                    "2.0, sha256 bank, not locked ({} tries left), {password} owner's password",
                    state.lockout.tries_left()
                ),
            )
        }
    }
}

fn storage_key(tpm: &mut Tpm2) -> Finding {
    const WHAT: &str = "SRK";
    match tpm.srk() {
        Err(error) => Finding::missing(WHAT, error.to_string(), "`taoboot srk` says more"),
        Ok(srk) => {
            let kept = srk.persistent.map_or_else(
                || "derived at each boot; `taoboot srk --persist` saves that".to_owned(),
                |handle| format!("persistent at 0x{handle:08x}"),
            );
            Finding::ready(WHAT, format!("{} ({kept})", srk.name))
        }
    }
}

fn launch(tpm: &mut Tpm2) -> Finding {
    const WHAT: &str = "launch";
    let values = match tpm.pcr_read(Bank::Sha256, PcrSet::LAUNCH) {
        Ok(values) => values,
        Err(error) => return Finding::unknown(WHAT, error.to_string(), "`taoboot why`"),
    };
    match LaunchPcrs::check(&values) {
        Ok(()) => Finding::ready(WHAT, "this boot was a measured launch"),
        Err(error) => Finding::missing(
            WHAT,
            error.to_string(),
            "reboot into the tboot entry; if that was one, `taoboot why` says why it was not measured",
        ),
    }
}
