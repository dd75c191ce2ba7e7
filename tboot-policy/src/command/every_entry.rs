//! `tboot-policy predict --all`: every entry of the menu, with its files and its prediction.

use std::{path::Path, process::ExitCode};

use anyhow::Result;
use tboot_policy::{
    grub::{BootEntry, BootFiles, MenuEntry, Readings, entry::EntryError, files::BootFile},
    predict::{
        Baseline, Launching, Prediction, predict,
        printed::{PrintedEntry, PrintedFile},
    },
    tboot::Tboots,
    vlp::Policy,
};
use tpm::Bank;

use super::{
    boot::EntryOptions,
    prediction::{print_values, printed, refuse_unmeasured},
};

/// What can be said of an entry.
struct Outlook {
    /// Does it boot tboot, as far as can be told?
    tboot: bool,
    files: Vec<BootFile>,
    prediction: Option<Prediction>,
    error: Option<String>,
    /// Set where GRUB's environment block has a say in what is measured.
    environment: Option<String>,
    /// The script of `/etc/grub.d` that wrote the entry and everything that it loads.
    script: Option<String>,
}

/// Prints a prediction for each entry. One that cannot be predicted is not a failure of the others.
pub fn run(
    options: &EntryOptions,
    baseline: &Baseline,
    vlp: Option<&Policy>,
    bank: Bank,
    as_list: bool,
) -> Result<ExitCode> {
    let readings = options.menu()?;
    let default = default_entry(&readings);
    let mut list = Vec::new();
    let mut tboots = Tboots::default();
    let mut replaced = options.replaced()?;
    for entry in readings.menu().entries() {
        let outlook = Outlook::of(
            entry,
            &readings,
            options,
            baseline,
            (vlp, bank),
            &mut tboots,
        )?;
        for file in &outlook.files {
            replaced.remove(&file.found.path);
        }
        let is_default = default.is_some_and(|default| std::ptr::eq(default, entry));
        if as_list {
            list.push(outlook.printed(entry, is_default));
        } else if outlook.tboot {
            outlook.print(entry, is_default);
        }
    }
    for path in replaced.keys() {
        warn(&format!("--replace {}: no entry loads it", path.display()));
    }
    if as_list {
        // In one piece: written line by line it takes as long as the hashing.
        let text = format!("{:#}\n", serde_json::to_value(list)?);
        print!("{text}");
    }
    Ok(ExitCode::SUCCESS)
}

fn warn(sentence: &str) {
    eprintln!("tboot-policy: warning: {sentence}");
}

/// The entry that boots when nobody chooses one.
fn default_entry(readings: &Readings) -> Option<&MenuEntry> {
    let found = readings.default_entry();
    found
        .inspect_err(|why| warn(&format!("cannot tell which entry is the default: {why}")))
        .ok()
}

impl Outlook {
    fn of(
        entry: &MenuEntry,
        readings: &Readings,
        options: &EntryOptions,
        baseline: &Baseline,
        (vlp, bank): (Option<&Policy>, Bank),
        tboots: &mut Tboots,
    ) -> Result<Self> {
        let mut outlook = Self {
            tboot: true,
            files: Vec::new(),
            prediction: None,
            error: None,
            environment: None,
            script: None,
        };
        let followed = match readings.boot(entry) {
            Err(EntryError::NoTboot { .. }) => {
                outlook.tboot = false;
                return Ok(outlook);
            }
            Err(error) => {
                outlook.error = Some(error.to_string());
                let section = entry.section.as_ref();
                outlook.script = section.map(|section| section.script.to_string());
                return Ok(outlook);
            }
            Ok(followed) => followed,
        };
        outlook.environment = followed.environment;
        outlook.script = script(entry, &followed.boot);
        let mut files = match BootFiles::read_knowing(&followed.boot, &options.places()?, tboots) {
            Err(error) => {
                outlook.error = Some(error.to_string());
                return Ok(outlook);
            }
            Ok(files) => files,
        };
        outlook.files = std::mem::take(&mut files.files);
        let predicted = predict(baseline, &Launching::of(files, vlp.cloned()));
        let sealable = predicted.and_then(|prediction| {
            refuse_unmeasured(&prediction, bank)?;
            Ok(prediction)
        });
        match sealable {
            Ok(prediction) => outlook.prediction = Some(prediction),
            Err(error) => {
                let chain = anyhow::Error::new(error);
                outlook.error = Some(commands::sentence(chain.chain()));
            }
        }
        Ok(outlook)
    }

    fn print(&self, entry: &MenuEntry, is_default: bool) {
        println!(
            "{}{}",
            name(entry),
            if is_default { " (default)" } else { "" }
        );
        if let Some(prediction) = &self.prediction {
            print_values(prediction);
        }
        if let Some(environment) = &self.environment {
            println!("  {environment}");
        }
        if let Some(error) = &self.error {
            println!("  cannot be predicted: {error}");
        }
    }

    fn printed(&self, entry: &MenuEntry, is_default: bool) -> PrintedEntry {
        PrintedEntry {
            entry: name(entry),
            title: entry.title().to_owned(),
            place: entry.place(),
            id: entry.id().map(Into::into),
            default: is_default,
            tboot: self.tboot,
            prediction: self.prediction.as_ref().map(printed),
            error: self.error.clone(),
            environment: self.environment.clone(),
            script: self.script.clone(),
            files: self.files.iter().map(file).collect(),
        }
    }
}

/// A function that another script wrote may load files for the entry: then no script did it alone.
fn script(entry: &MenuEntry, boot: &BootEntry) -> Option<String> {
    let section = entry.section.as_ref()?;
    let mut loaded = std::iter::once(&boot.loader).chain(&boot.modules);
    let alone = loaded.all(|loaded| section.holds(loaded.line));
    alone.then(|| section.script.to_string())
}

fn name(entry: &MenuEntry) -> String {
    match entry.place() {
        Some(place) => format!("{place}: {}", entry.title()),
        None => entry.title().to_owned(),
    }
}

fn file(file: &BootFile) -> PrintedFile {
    let text = |path: &Path| path.display().to_string();
    // A command line that is not text is left out: it would be another one in JSON.
    let cmdline = file.cmdline.as_deref().map(str::from_utf8);
    PrintedFile {
        path: text(&file.found.path),
        read_from: file.found.read_from.as_deref().map(text),
        sha256: hex::encode(file.sha256.as_bytes()),
        role: file.role,
        cmdline: cmdline.and_then(Result::ok).map(str::to_owned),
    }
}
