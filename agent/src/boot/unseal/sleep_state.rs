//! Which sleep state a suspend means under a measured launch: suspend-to-idle, never S3.
//!
//! In S3 the TPM loses its power. On the way back the platform may start it without the state that
//! was saved, which sets PCR 15 to zero again, while tboot measures PCR 17 to 19 anew: then the TPM
//! would release the boot secret to whoever asks. Nobody has shown that on hardware, nor that it
//! cannot happen; until then the agent does not let a suspend go there by itself. Root can write
//! the file again.

use std::{fs, io, path::Path};

/// The kernel's file: `s2idle [deep]`, with brackets around the state in use.
pub const MEM_SLEEP: &str = "/sys/power/mem_sleep";

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub enum SleepState {
    /// The kernel cannot suspend, or suspends to idle already.
    NothingToDo,
    /// Switched from this state.
    Switched(String),
}

/// Why suspend may still be S3.
#[derive(Debug, thiserror::Error)]
pub enum SleepStateError {
    /// Read or written.
    #[error("{file}: {0}; a suspend may be S3, after which the TPM's latch may be open", file = MEM_SLEEP)]
    File(io::Error),
    /// The kernel offers others only.
    #[error("{file} offers no s2idle but {0:?}: a suspend may be S3, after which the TPM's latch may be open", file = MEM_SLEEP)]
    NotOffered(String),
}

/// Makes suspend mean suspend-to-idle.
pub fn avoid_s3(file: &Path) -> Result<SleepState, SleepStateError> {
    let offered = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(SleepState::NothingToDo);
        }
        Err(error) => return Err(SleepStateError::File(error)),
    };
    let states: Vec<&str> = offered.split_ascii_whitespace().collect();
    if states.contains(&"[s2idle]") {
        return Ok(SleepState::NothingToDo);
    }
    if !states.contains(&"s2idle") {
        let offered = offered.trim().to_owned();
        return Err(SleepStateError::NotOffered(offered));
    }
    fs::write(file, "s2idle").map_err(SleepStateError::File)?;
    let chosen = states.iter().find_map(|state| state.strip_prefix('['));
    Ok(SleepState::Switched(
        chosen.unwrap_or("none").trim_end_matches(']').to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> (Result<SleepState, SleepStateError>, String) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let result = avoid_s3(file.path());
        (result, fs::read_to_string(file.path()).unwrap())
    }

    #[test]
    fn s3_is_switched_off_where_the_kernel_offers_another_state() {
        let (result, written) = with("s2idle shallow [deep]\n");
        assert_eq!(result.unwrap(), SleepState::Switched("deep".into()));
        assert_eq!(written, "s2idle");
        let (result, written) = with("[s2idle] deep\n");
        assert_eq!(result.unwrap(), SleepState::NothingToDo);
        assert_eq!(written, "[s2idle] deep\n");
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let (result, _) = with("[deep]\n");
        assert!(matches!(result, Err(SleepStateError::NotOffered(_))));
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(
            avoid_s3(directory.path()),
            Err(SleepStateError::File(_))
        ));
        let missing = avoid_s3(&directory.path().join("mem_sleep"));
        assert_eq!(missing.unwrap(), SleepState::NothingToDo);
    }
}
