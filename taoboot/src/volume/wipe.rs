//! `taoboot wipe`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use agent::unlock::{
    CheckedHeader, TokenId,
    enrolment::{Kind, WipeRequest, Wiped, holdings, last_record_goes, wipe, wipe_kinds},
    find_records,
};
use anyhow::{Result, bail, ensure};
use argh::FromArgs;
use commands::refuse_idle;
use serde_json::json;

use crate::{
    pins::{image_config, in_use},
    volume::{genuine, records::usable},
};

/// Remove records together with their keyslots, or all keyslots of a kind. No passphrase is needed.
#[derive(FromArgs)]
#[argh(subcommand, name = "wipe")]
pub struct Wipe {
    /// the LUKS2 volume: a block device or an image file
    #[argh(option, arg_name = "device")]
    volume: PathBuf,
    /// number of the record, or of a further volume's token, as `taoboot status` shows it
    #[argh(option, arg_name = "number")]
    record: Option<u32>,
    /// all records
    #[argh(switch)]
    all: bool,
    /// the records that `taoboot retire` cannot end, because they were made without
    /// --rollback-counter
    #[argh(switch)]
    without_limit: bool,
    /// everything of a kind that `taoboot list` shows: password, recovery, record, further,
    /// systemd-tpm2, clevis, ...; may be repeated. What may be a person's
    /// keyslot goes only where another password or recovery key remains, as far as tokens tell
    #[argh(option, arg_name = "kind")]
    kind: Vec<Kind>,
    /// also when no other keyslot remains: THE DATA CAN THEN NEVER BE READ AGAIN; and when the
    /// images in /boot pin the secret whose last record goes: THEY OPEN NOTHING THEN
    #[argh(switch)]
    force: bool,
    /// where the root file system is mounted, with what the images in /boot pin (default /)
    #[argh(option, arg_name = "directory", default = "PathBuf::from(\"/\")")]
    root: PathBuf,
    /// print the result as JSON
    #[argh(switch)]
    json: bool,
}

impl Wipe {
    /// Those without a limit, if there is one with a limit that remains.
    fn unlimited(&self) -> Result<Vec<TokenId>> {
        let (limited, unlimited): (Vec<_>, Vec<_>) = usable(&CheckedHeader::read(&self.volume)?)
            .into_iter()
            .partition(|(_, record)| record.counter().is_some());
        ensure!(
            !limited.is_empty() || !unlimited.is_empty(),
            "{} has no taoboot records",
            self.volume.display()
        );
        ensure!(
            !limited.is_empty() || self.force,
            "{}: every record is without a limit: make others with `taoboot reseal --rollback-counter` first, or say --force",
            self.volume.display()
        );
        Ok(unlimited.into_iter().map(|(token, _)| token).collect())
    }

    fn wipe(&self, request: WipeRequest) -> Result<Wiped> {
        self.keep_pinned(|_, token| match &request {
            WipeRequest::Records(tokens) => tokens.contains(&token),
            WipeRequest::All => true,
        })?;
        Ok(wipe(&self.volume, request, self.force)?)
    }

    fn wipe_kinds(&self) -> Result<Wiped> {
        let kinds = self.kind.iter().copied().collect();
        self.keep_pinned(|header, token| {
            let mut held = holdings(header).into_iter();
            held.any(|held| self.kind.contains(&held.kind) && held.tokens.contains(&token))
        })?;
        Ok(wipe_kinds(&self.volume, &kinds)?)
    }

    /// The images in /boot open the volume afterwards, too.
    fn keep_pinned(&self, goes: impl Fn(&CheckedHeader, TokenId) -> bool) -> Result<()> {
        if self.force {
            return Ok(());
        }
        let header = CheckedHeader::read(&self.volume)?;
        // Whose a record is the resident agent tells, where there is one.
        let told = genuine::told(&find_records(&header), Path::new(agent::reseal::SOCKET));
        in_use::keep(
            &self.volume,
            &self.root.join(image_config::PLACE),
            &self.root,
            |secret| {
                Ok(last_record_goes(
                    &header,
                    secret,
                    |token, _| told.get(&token) != Some(&false),
                    |token, _| goes(&header, token),
                ))
            },
        )
    }

    pub fn run(self) -> Result<ExitCode> {
        if !self.kind.is_empty() {
            refuse_idle(
                &[("--force", self.force)],
                "with --kind, which keeps the last way in",
            )?;
        }
        let by_kind = !self.kind.is_empty();
        let wiped = match (self.record, self.all, self.without_limit, by_kind) {
            (Some(number), false, false, false) => {
                self.wipe(WipeRequest::Records(vec![TokenId(number)]))?
            }
            (None, true, false, false) => self.wipe(WipeRequest::All)?,
            (None, false, true, false) => self.wipe(WipeRequest::Records(self.unlimited()?))?,
            (None, false, false, true) => self.wipe_kinds()?,
            _ => bail!(
                "say what to remove: either --record NUMBER, --without-limit, --kind KIND or --all"
            ),
        };
        if self.json {
            println!(
                "{}",
                json!({ "records": wiped.tokens, "keyslots": wiped.keyslots, "spared": wiped.spared })
            );
            return Ok(ExitCode::SUCCESS);
        }
        let list = |numbers: Vec<String>| {
            if numbers.is_empty() {
                "none".to_owned()
            } else {
                numbers.join(", ")
            }
        };
        println!(
            "{}: removed records or tokens: {}; keyslots: {}",
            self.volume.display(),
            list(wiped.tokens.iter().map(ToString::to_string).collect()),
            list(wiped.keyslots.iter().map(ToString::to_string).collect())
        );
        for keyslot in wiped.spared {
            eprintln!(
                "taoboot: a record named keyslot {keyslot}, which taoboot did not make: it was left alone"
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}
