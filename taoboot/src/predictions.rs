//! What `tboot-policy predict --all --json` says of the entries in GRUB's menu.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use agent::unlock::{LaunchPcrs, expected_pcrs};
use anyhow::{Context as _, Result, bail, ensure};
use commands::{FileKind, Wanted, mismatch, refuse_idle};
use serde::Deserialize;
use serde_json::{Value, json};

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
    /// PCR 17, 18, 19; or why they can't be told.
    pub predicted: Result<LaunchPcrs, String>,
    /// tboot would halt under its policy.
    pub halts: bool,
    pub files: Vec<LoadedFile>,
    /// The extends of the launch.
    pub extends: Vec<Extend>,
    /// Which files are measured into a register, in words.
    pub components: BTreeMap<u8, String>,
}

/// A file that an entry loads.
#[derive(Clone, Debug, Deserialize)]
pub struct LoadedFile {
    /// Where it will be when GRUB loads it.
    pub path: String,
    /// Where it is now, if that is another path.
    pub read_from: Option<String>,
    /// Of the bytes that the prediction was made of.
    pub sha256: String,
    /// tboot, kernel, initramfs, module; or what tboot takes away: sinit, policy-data.
    #[serde(default)]
    pub role: String,
    /// What is measured with it; `None`: nothing, or what is no text.
    pub cmdline: Option<String>,
}

/// One extend of a predicted launch.
#[derive(Clone, Debug)]
pub struct Extend {
    pub pcr: u8,
    pub name: String,
    pub sha256: String,
}

#[derive(Deserialize)]
struct EntryJson {
    entry: String,
    #[serde(default)]
    title: String,
    place: Option<String>,
    id: Option<String>,
    #[serde(default)]
    default: bool,
    #[serde(default = "yes")]
    tboot: bool,
    prediction: Option<Value>,
    error: Option<String>,
    environment: Option<String>,
    #[serde(default)]
    files: Vec<LoadedFile>,
}

impl Entry {
    /// Does it load a file that is about to be put into place?
    pub fn loads_replaced(&self) -> bool {
        self.files.iter().any(|file| file.read_from.is_some())
    }
}

const fn yes() -> bool {
    true
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
        let entries: Result<Vec<EntryJson>, _> = serde_json::from_str(&text);
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
        for (option, file) in [
            ("--root", &self.root),
            ("--policy", &policy),
            ("--config", &self.grub_config),
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

fn entry(json: EntryJson) -> Result<Entry> {
    let values = match (&json.prediction, json.error) {
        (Some(prediction), _) => {
            let bank = prediction.pointer("/pcrs/sha256");
            let bank =
                bank.with_context(|| format!("{}: the prediction has no sha256 bank", json.entry))?;
            // Only the values: the events of a launch are longer than what is looked at there.
            let text = json!({ "sha256": bank }).to_string();
            let values = expected_pcrs::parse(&text).with_context(|| json.entry.clone())?;
            LaunchPcrs::new(values).map_err(|error| error.to_string())
        }
        (None, Some(error)) => Err(error),
        (None, None) if !json.tboot => {
            Err("it boots without tboot, so nothing is measured".to_owned())
        }
        (None, None) => bail!("{}: neither a prediction nor an error", json.entry),
    };
    let halts = json
        .prediction
        .as_ref()
        .and_then(|prediction| prediction.get("halts")?.as_bool());
    let components = json.prediction.as_ref().map(components);
    Ok(Entry {
        components: components.unwrap_or_default(),
        title: if json.title.is_empty() {
            json.entry.clone()
        } else {
            json.title
        },
        name: json.entry,
        place: json.place,
        id: json.id,
        default: json.default,
        tboot: json.tboot,
        environment: json.environment,
        predicted: values,
        halts: halts.unwrap_or(false),
        extends: json.prediction.as_ref().map(extends).unwrap_or_default(),
        files: json.files,
    })
}

/// What the launch extends in the SHA-256 bank.
fn extends(prediction: &Value) -> Vec<Extend> {
    let events = prediction.get("events").and_then(Value::as_array);
    let extend = |event: &Value| {
        let pcr = event.get("pcr").and_then(Value::as_u64)?;
        let digest = event
            .pointer("/new/digests/sha256")
            .and_then(Value::as_str)?;
        Some(Extend {
            pcr: u8::try_from(pcr).ok()?,
            name: event.get("name").and_then(Value::as_str)?.to_owned(),
            sha256: digest.to_owned(),
        })
    };
    events.into_iter().flatten().filter_map(extend).collect()
}

/// From the events of a prediction: the names of the files, shortened to what a record takes.
fn components(prediction: &Value) -> BTreeMap<u8, String> {
    let mut components: BTreeMap<u8, String> = BTreeMap::new();
    let events = prediction.get("events").and_then(Value::as_array);
    for event in events.into_iter().flatten() {
        let pcr = event.get("pcr").and_then(Value::as_u64);
        let file = event.get("file").and_then(Value::as_str);
        let (Some(pcr), Some(file)) = (pcr.and_then(|pcr| u8::try_from(pcr).ok()), file) else {
            continue;
        };
        let text = components.entry(pcr).or_default();
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(file);
    }
    for text in components.values_mut() {
        *text = short_text(text);
    }
    components
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
pub const OWN_ID: &str = "taoboot-";

/// The entries that are asked for by place, id or title. When none is, those that
/// 20_linux_taoboot made: another script's entry may boot tboot as well, with an initramfs that
/// has a shell, and nobody meant that one to have the disk key.
pub fn select<'e>(entries: &'e [Entry], wanted: &[String]) -> Result<Vec<&'e Entry>> {
    if wanted.is_empty() {
        let own = entries.iter().filter(|entry| {
            let id = entry.id.as_deref().unwrap_or_default();
            entry.tboot && id.starts_with(OWN_ID)
        });
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
            let found = entries.iter().find(|entry| {
                entry.place.as_ref() == Some(name)
                    || entry.id.as_ref() == Some(name)
                    || entry.title == *name
                    || entry.name == *name
            });
            found.with_context(|| {
                format!("GRUB's menu has no entry {name:?} (by place, id or title)")
            })
        })
        .collect()
}
