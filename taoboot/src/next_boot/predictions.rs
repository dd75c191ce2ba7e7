//! What `tboot-policy predict --all --json` says of the entries in GRUB's menu.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use agent::unlock::LaunchPcrs;
use anyhow::{Context as _, Result, bail, ensure};
use commands::{FileKind, Wanted, mismatch, refuse_idle};
use tboot_policy::predict::printed::{PrintedEntry, PrintedEvent, PrintedFile, PrintedPrediction};
use tpm::{Bank, PcrIndex};

/// A menu has some tens of entries, each with the old and new events of its launch.
const MAX_LEN: u64 = 64 << 20;
/// Where the platform's record is kept (tboot-policy(8), record).
pub const PLATFORM: &str = "/var/lib/taoboot/platform.json";
/// The verified launch policy that is in the TPM's NV index.
const POLICY: &str = "/etc/taoboot/vlp.pol";

/// Where predictions come from: a file, or a run of tboot-policy with these options.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Where the root file system is mounted, if not at /.
    pub root: Option<PathBuf>,
    pub predictions: Option<PathBuf>,
    pub platform: Option<PathBuf>,
    pub policy: Option<PathBuf>,
    pub grub_config: Option<PathBuf>,
    pub replace: Vec<String>,
}

/// One entry of the menu.
#[derive(Debug)]
pub struct Entry {
    /// Place and title.
    pub name: String,
    pub title: String,
    pub place: Option<String>,
    pub id: Option<String>,
    /// GRUB boots it when nobody touches a key.
    pub default: bool,
    /// Without it nothing is measured.
    pub tboot: bool,
    /// Set where GRUB's environment block has a say in what is measured.
    pub environment: Option<String>,
    /// The script of `/etc/grub.d` that wrote it, where that is certain.
    pub script: Option<String>,
    /// PCR 17, 18, 19; or why they cannot be told.
    pub predicted: Result<LaunchPcrs, String>,
    /// tboot would halt under its policy.
    pub halts: bool,
    pub files: Vec<PrintedFile>,
    /// The extends of the launch.
    pub extends: Vec<Extend>,
    /// Which files are measured into a register, in words.
    pub components: BTreeMap<PcrIndex, String>,
}

/// One extend of a predicted launch.
#[derive(Clone, Debug)]
pub struct Extend {
    pub pcr: PcrIndex,
    pub name: String,
    pub sha256: String,
}

impl Entry {
    /// Did 20_linux_taoboot make it? An id proves nothing: a script that passes on what other disks
    /// say (os-prober) may print any.
    pub fn is_own(&self) -> bool {
        let id = self.id.as_deref();
        let script = self.script.as_deref();
        id.is_some_and(|id| id.starts_with(OWN_ID))
            && script.is_some_and(|script| script.ends_with(OWN_SCRIPT))
    }

    /// Does it load a file that is about to be put into place?
    pub fn loads_replaced(&self) -> bool {
        self.files.iter().any(|file| file.read_from.is_some())
    }
}

impl Source {
    /// Is there what a prediction starts from?
    pub fn available(&self) -> bool {
        self.predictions.is_some() || self.platform_path().exists()
    }

    /// Is the menu in /boot what is predicted?
    pub fn reads_boot(&self) -> bool {
        let boot = self.root().join("boot");
        let named = self.grub_config.as_ref();
        self.predictions.is_none() && named.is_none_or(|menu| menu.starts_with(boot))
    }

    pub fn root(&self) -> &Path {
        self.root.as_deref().unwrap_or_else(|| Path::new("/"))
    }

    fn platform_path(&self) -> PathBuf {
        let default = || self.root().join(PLATFORM.trim_start_matches('/'));
        self.platform.clone().unwrap_or_else(default)
    }

    /// The entries, in the menu's order.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        if self.predictions.is_some() {
            let platform = ("--platform", self.platform.is_some());
            let policy = ("--policy", self.policy.is_some());
            refuse_idle(&[platform, policy], "with --predictions, which are made")?;
        }
        let (text, origin) = match &self.predictions {
            Some(file) if file == Path::new("-") => {
                (bounded(std::io::stdin().lock())?, "standard input".into())
            }
            Some(file) => {
                let opened = fs::File::open(file);
                let text = opened.map_err(Into::into).and_then(bounded);
                (
                    text.with_context(|| format!("cannot read {}", file.display()))?,
                    file.display().to_string(),
                )
            }
            None => (self.predict()?, "tboot-policy predict".to_owned()),
        };
        let entries: Result<Vec<PrintedEntry>, _> = serde_json::from_str(&text);
        let entries = entries.map_err(|error| {
            match mismatch(origin.as_ref(), text.as_bytes(), Wanted::Predictions) {
                Some(sentence) => anyhow::anyhow!(sentence),
                None => anyhow::Error::new(error).context(format!(
                    "{origin}: not the list that `tboot-policy predict --all --json` prints"
                )),
            }
        })?;
        entries
            .into_iter()
            .map(|json| entry(json).with_context(|| origin.clone()))
            .collect()
    }

    fn predict(&self) -> Result<String> {
        let platform = self.platform_path();
        ensure!(
            platform.exists(),
            "{} is missing: after a good launch make it with `tboot-policy record --output {}`",
            platform.display(),
            platform.display()
        );
        let mut words: Vec<OsString> = ["predict", "--all", "--json", "--platform"]
            .map(Into::into)
            .into();
        words.push(platform.into());
        let policy = match &self.policy {
            Some(policy) => Some(policy.clone()),
            None => Some(self.root().join(POLICY.trim_start_matches('/')))
                .filter(|policy| policy.exists()),
        };
        let menu = super::menu::to_predict(self.root(), self.grub_config.as_deref());
        for (option, file) in [
            ("--root", &self.root),
            ("--policy", &policy),
            ("--config", &menu),
        ] {
            if let Some(file) = file {
                words.extend([option.into(), file.into()]);
            }
        }
        for pair in &self.replace {
            words.extend(["--replace".into(), pair.into()]);
        }
        let program = beside_myself("tboot-policy");
        let mut child = Command::new(&program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let read = match child.stdout.take() {
            Some(stdout) => bounded(stdout),
            None => Err(anyhow::anyhow!("no pipe")),
        };
        let status = child.wait().context("tboot-policy")?;
        ensure!(
            status.success(),
            "tboot-policy could not predict the entries of GRUB's menu ({status})"
        );
        read.context("tboot-policy")
    }
}

/// The companion that was installed together with this program, else the one in PATH.
pub fn beside_myself(name: &str) -> PathBuf {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|path| Some(path.parent()?.join(name)));
    beside
        .filter(|path| path.is_file())
        .unwrap_or_else(|| name.into())
}

fn bounded(from: impl Read) -> Result<String> {
    let mut bytes = Vec::new();
    from.take(MAX_LEN + 1).read_to_end(&mut bytes)?;
    ensure!(
        bytes.len() as u64 <= MAX_LEN,
        "predictions have at most {MAX_LEN} bytes"
    );
    String::from_utf8(bytes).map_err(|error| {
        let kind = FileKind::of(error.as_bytes());
        anyhow::anyhow!("it looks like {kind}, not like a list of predictions, which is JSON")
    })
}

fn entry(printed: PrintedEntry) -> Result<Entry> {
    let (extends, components, halts) = match &printed.prediction {
        Some(launch) => (extends(launch)?, components(launch)?, launch.halts),
        None => (Vec::new(), BTreeMap::new(), false),
    };
    let predicted = match (printed.prediction, printed.error) {
        (Some(launch), _) => {
            let values = launch.values(Bank::Sha256);
            let values = values.with_context(|| printed.entry.clone())?;
            LaunchPcrs::new(values).map_err(|error| error.to_string())
        }
        (None, Some(error)) => Err(error),
        (None, None) if !printed.tboot => {
            Err("it boots without tboot, so nothing is measured".to_owned())
        }
        (None, None) => bail!("{}: neither a prediction nor an error", printed.entry),
    };
    Ok(Entry {
        name: printed.entry,
        title: printed.title,
        place: printed.place,
        id: printed.id,
        default: printed.default,
        tboot: printed.tboot,
        environment: printed.environment,
        script: printed.script,
        predicted,
        halts,
        files: printed.files,
        extends,
        components,
    })
}

fn register(event: &PrintedEvent) -> Result<PcrIndex> {
    let index = u8::try_from(event.pcr).ok();
    let index = index.and_then(|pcr| PcrIndex::try_from(pcr).ok());
    index.with_context(|| format!("the predicted event {:?} extends no PCR", event.name))
}

/// What the launch extends in the SHA-256 bank. Other banks have events of their own, and the
/// recorded launch may have had more.
fn extends(launch: &PrintedPrediction) -> Result<Vec<Extend>> {
    let mut extends = Vec::new();
    for event in &launch.events {
        let new = event.new.as_ref();
        if let Some(digest) = new.and_then(|new| new.digests.get(&Bank::Sha256)) {
            extends.push(Extend {
                pcr: register(event)?,
                name: event.name.clone(),
                sha256: hex::encode(digest),
            });
        }
    }
    Ok(extends)
}

/// From the events of a prediction: the names of the files, shortened to what a record takes.
fn components(launch: &PrintedPrediction) -> Result<BTreeMap<PcrIndex, String>> {
    let mut files: BTreeMap<PcrIndex, Vec<&str>> = BTreeMap::new();
    for event in &launch.events {
        if let Some(file) = &event.file {
            files.entry(register(event)?).or_default().push(file);
        }
    }
    let words = files.into_iter();
    Ok(words
        .map(|(pcr, names)| (pcr, short_text(&names.join(", "))))
        .collect())
}

/// At most what a record takes, without control characters.
pub fn short_text(text: &str) -> String {
    const MOST: usize = 120;
    let clean = text.chars().filter(|c| printable::is_printable(*c));
    if text.chars().count() <= MOST {
        return clean.collect();
    }
    clean.take(MOST - 3).chain("...".chars()).collect()
}

/// What the ids of the entries begin with that 20_linux_taoboot makes.
const OWN_ID: &str = "taoboot-";
/// Its path, below the directory of the configuration.
const OWN_SCRIPT: &str = "/grub.d/20_linux_taoboot";

/// The entries that are asked for by place, id or title. When none is, those that
/// 20_linux_taoboot made: another script's entry may boot tboot as well, with an initramfs that
/// has a shell, and nobody meant that one to have the disk key.
pub fn select<'e>(entries: &'e [Entry], wanted: &[String]) -> Result<Vec<&'e Entry>> {
    if wanted.is_empty() {
        let own = entries.iter().filter(|entry| entry.tboot && entry.is_own());
        let own: Vec<&Entry> = own.collect();
        // Nothing authenticates grubenv, so that it may not choose what is sealed to.
        let changed = own
            .iter()
            .find_map(|entry| Some((entry, entry.environment.as_ref()?)));
        if let Some((entry, environment)) = changed {
            bail!(
                "{}: {environment}; 20_linux_taoboot writes no such entry, so that grub.cfg was changed: run update-grub, or name the entries that are meant with --entry",
                entry.name
            );
        }
        return Ok(own);
    }
    wanted
        .iter()
        .map(|name| {
            let found = entries.iter().filter(|entry| {
                entry.place.as_ref() == Some(name)
                    || entry.id.as_ref() == Some(name)
                    || entry.title == *name
                    || entry.name == *name
            });
            let found: Vec<&Entry> = found.collect();
            let own: Vec<&Entry> = found
                .iter()
                .copied()
                .filter(|entry| entry.is_own())
                .collect();
            // Another script's entry may have the same id or title.
            match (found.as_slice(), own.as_slice()) {
                ([only], _) | (_, [only]) => Ok(*only),
                ([], _) => bail!("GRUB's menu has no entry {name:?} (by place, id or title)"),
                _ => bail!(
                    "{name:?} names {} entries of GRUB's menu: name one by its place, as GRUB_DEFAULT does",
                    found.len()
                ),
            }
        })
        .collect()
}
