//! Looks at the machine: what the plan is made from. Changes nothing.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use agent::{
    reseal::{Question, Reply, ask},
    unlock::{CheckedHeader, LaunchPcrs, enrolment::find_recovery_keys},
};
use anyhow::{Result, bail, ensure};
use tpm::{Bank, PcrSet, Tpm as _, Tpm2};

use super::{
    finding::{Finding, State},
    plan::{ConfigFile, Facts},
    {files, tpm as tpm_findings},
};
use crate::{
    next_boot::menu,
    pins::{image_config, state::PinState},
    trust::known::Known,
    volume::{genuine::Genuine, root_volume},
};

/// What the kernel hook is, below the root directory.
pub const HOOK: &str = "usr/lib/taoboot/kernel";
/// tboot's own policy, as it was given to the TPM.
pub const POLICY: &str = "etc/taoboot/vlp.pol";
/// The record of the platform.
pub const PLATFORM: &str = "var/lib/taoboot/platform.json";
/// Longest menu that is read.
const LONGEST: u64 = 16 << 20;

/// The machine that is looked at.
pub struct Machine<'m> {
    pub root: &'m Path,
    pub tcti: &'m str,
    pub socket: &'m Path,
    /// Instead of those that the machine needs.
    pub volumes: &'m [PathBuf],
}

impl Machine<'_> {
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// What no step brings: hardware, packages, an encrypted root.
    pub fn lacking(&self, without_txt: bool) -> Vec<Finding> {
        let mut all = files::before_the_tpm(self.root);
        // Of the launch the plan knows.
        all.extend(tpm_findings::findings(self.root, self.tcti).0);
        if without_txt {
            all.retain(|finding| finding.what != "processor");
        }
        all.push(files::grub_script(self.root));
        if !self.path(HOOK).is_file() {
            let todo = "install the package taoboot";
            all.push(Finding::missing("hook", format!("no /{HOOK}"), todo));
        }
        if let Err(error) = self.volumes() {
            let todo =
                "install the system with encryption (LUKS2), or name the volume with --volume";
            all.push(Finding::missing("volume", format!("{error:#}"), todo));
        }
        all.retain(|finding| finding.state == State::Missing);
        all
    }

    /// Root's first; each has a header that can be read.
    fn volumes(&self) -> Result<Vec<PathBuf>> {
        let volumes = if self.volumes.is_empty() {
            root_volume::all_needed(self.root)?
        } else {
            self.volumes.to_vec()
        };
        for volume in &volumes {
            CheckedHeader::read(volume)?;
        }
        Ok(volumes)
    }

    pub fn facts(&self) -> Result<Facts> {
        let volumes = self.volumes()?;
        let mut facts = Facts {
            config: ConfigFile::Missing,
            images: self.images(),
            policy: self.path(POLICY).is_file(),
            recovery_keys: 0,
            records: 0,
            launch: self.launch(),
            platform: self.path(PLATFORM).is_file(),
            pinned: None,
            agent: self.held_secret().is_some(),
            volumes,
        };
        if let Some(first) = facts.volumes.first() {
            let header = CheckedHeader::read(first)?;
            facts.recovery_keys = find_recovery_keys(&header).len();
            // A token in the header may be anybody's; the resident agent tells, where there is one.
            let genuine = Genuine::default().records(&header, self.socket, None);
            facts.records = genuine.len();
        }
        let file = self.path(image_config::PLACE);
        match image_config::read(&file) {
            Ok(None) => {}
            Err(error) => facts.config = ConfigFile::Wrong(format!("{error:#}")),
            Ok(Some(read)) => match read.parsed {
                Err(error) => facts.config = ConfigFile::Wrong(error.to_string()),
                Ok(config) => {
                    facts.config = ConfigFile::There;
                    facts.pinned = PinState::of(&config, &file, self.root).in_place();
                }
            },
        }
        Ok(facts)
    }

    /// The secret that the resident agent holds.
    pub fn held_secret(&self) -> Option<String> {
        match ask(self.socket, &Question::Which) {
            Ok(Reply::Holds(secret)) => Some(secret),
            // Nobody answers, or nobody who says it: then nothing can be sealed without a passphrase.
            _ => None,
        }
    }

    fn launch(&self) -> Result<()> {
        let values = Tpm2::open(self.tcti)?.pcr_read(Bank::Sha256, PcrSet::LAUNCH)?;
        Ok(LaunchPcrs::check(&values)?)
    }

    /// The ids of the measured entries of the menu that was made here, the newest first. Only root writes that
    /// copy; the one that GRUB reads anybody may have written.
    pub fn entries(&self) -> Vec<String> {
        let mut text = Vec::new();
        let opened = File::open(self.path(menu::KEPT));
        let read = opened.and_then(|file| file.take(LONGEST).read_to_end(&mut text));
        if read.is_err() {
            return Vec::new(); // None was made.
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        let ids = text.lines().filter_map(|line| {
            let line = line.trim_start().strip_prefix("menuentry ")?;
            let (_, id) = line.split_once("$menuentry_id_option 'taoboot-tboot")?;
            let (id, _) = id.split_once('\'')?;
            Some(format!("taoboot-tboot{id}"))
        });
        ids.collect()
    }

    /// The versions that have an image in /boot.
    pub fn image_versions(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("boot")).into_iter().flatten();
        let names = entries.flatten().filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix("initrd-taoboot-")?.to_owned();
            // Others are nothing that the hook has made: anybody may have written it.
            let plain = |c: char| c.is_ascii_alphanumeric() || "._+~:-".contains(c);
            let is_version = !version.starts_with('-') && version.chars().all(plain);
            (is_version && !version.is_empty() && !version.contains(".taoboot-")).then_some(version)
        });
        let mut versions: Vec<String> = names.collect();
        versions.sort();
        versions
    }

    /// Are menu and images those that were made here?
    fn images(&self) -> Result<String> {
        ensure!(
            menu::is_kept(self.root),
            "GRUB's menu in /boot is not one that the kernel hook made"
        );
        ensure!(
            !self.entries().is_empty(),
            "GRUB's menu has no measured entry"
        );
        let versions = self.image_versions();
        ensure!(!versions.is_empty(), "no /boot/initrd-taoboot-*");
        let mut known = Known::read(self.root)?;
        for version in &versions {
            let path = self.path(&format!("boot/initrd-taoboot-{version}"));
            if let Some(why) = known.objection_to(&path)? {
                bail!(why);
            }
        }
        Ok(format!("images of {}", versions.join(", ")))
    }
}
