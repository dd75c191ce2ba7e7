//! The configuration that comes from the machine itself: what enrolment pinned, and with `--host-only` which
//! volumes and arrays this machine needs. `taoboot-image explain` says why.

mod keyboard;
mod options;
mod resume;

use std::{fmt, fs, path::Path};

use anyhow::{Context, Result, bail};
use storage::{
    needed::{self, Needed, Volume},
    pins::Pins,
};

/// Longest configuration that is read.
const LONGEST: u64 = 1 << 20;

/// The configuration of an image: what the administrator wrote, and what the machine adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// What enrolment pinned; before everything, where no table can have begun.
    pinned: Vec<Line>,
    given: String,
    added: Vec<Line>,
    /// What is not taken over by itself; for a person, not for the image.
    hints: Vec<String>,
    /// Modules that what was added needs.
    pub modules: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    text: String,
    reason: Option<String>,
}

impl Effective {
    /// What is in a file, and nothing else.
    ///
    /// # Errors
    /// It cannot be read, or is not text.
    pub fn of_file(config: &Path) -> Result<Self> {
        let unreadable = || format!("cannot read --config {}", config.display());
        let size = fs::metadata(config).with_context(unreadable)?.len();
        if size > LONGEST {
            bail!(
                "--config {}: {size} bytes, expected at most {LONGEST}",
                config.display()
            );
        }
        Ok(Self {
            pinned: Vec::new(),
            given: fs::read_to_string(config).with_context(unreadable)?,
            added: Vec::new(),
            hints: Vec::new(),
            modules: Vec::new(),
        })
    }

    /// The same, and what enrolment pinned: the TPM and the secret, from `pins.toml` beside `config`.
    ///
    /// # Errors
    /// That file is not used, or the administrator's contradicts it; the error names both lines.
    pub fn with_pins(mut self, config: &Path) -> Result<Self> {
        let Some(pins) = Pins::read(&config.with_file_name("pins.toml"))? else {
            return Ok(self);
        };
        let missing = pins.missing_in(&self.given, &config.display().to_string())?;
        self.pinned = missing
            .iter()
            .map(|pin| Line {
                text: pin.to_line(),
                reason: Some(format!("{}, by taoboot enroll", pins.origin())),
            })
            .collect();
        Ok(self)
    }

    /// The same, and what the machine below `root` needs. What the administrator says of volumes, or of
    /// arrays, is not added to.
    ///
    /// # Errors
    /// Something of the machine cannot be taken over; the error names the line or the device.
    pub fn with_machine(mut self, root: &Path) -> Result<Self> {
        let needed = needed::needed(root).context(
            "cannot take over what this machine needs (--host-only): leave --host-only out, or name the volumes with [[volume]] in the config",
        );
        let given: toml::Table = self.given.parse().context("the config is not TOML")?;
        self.hints.extend(resume::hint(root, &given));
        if given.contains_key("volume") {
            // What could not be taken over is not asked for; the drivers are, whoever names the arrays.
            if let Ok(needed) = needed {
                self.add_modules(&needed);
            }
            return Ok(self);
        }
        let needed = needed?;
        self.add_modules(&needed);
        if needed.under_root == 0 {
            self.say("# The root file system of this machine is not on a LUKS2 volume.".into());
            return Ok(self);
        }
        self.add_volumes(&needed)?;
        if !given.contains_key("array") {
            self.add_arrays(&needed);
        }
        Ok(self)
    }

    fn add_volumes(&mut self, needed: &Needed) -> Result<()> {
        if !needed.ordered {
            let names: Vec<&str> = needed
                .volumes
                .iter()
                .take(needed.under_root)
                .map(|volume| volume.name.as_str())
                .collect();
            bail!(
                "the root file system is on several volumes ({}), and the kernel's command line does not name all of them with rd.luks.uuid=: write [[volume]] for each into the config, the one with the records first",
                names.join(", ")
            );
        }
        for (position, volume) in needed.volumes.iter().enumerate() {
            self.add_volume(volume)?;
            // The first always is.
            if position > 0 && volume.required {
                self.set("required", "true", volume.reason.clone());
            }
            if position > 0 && !volume.device.starts_with("UUID=") {
                bail!(
                    "{}: /init opens a further volume by the UUID of its LUKS header only: write UUID= instead of {}",
                    volume.reason,
                    printable::line(&volume.device)
                );
            }
        }
        Ok(())
    }

    fn add_volume(&mut self, volume: &Volume) -> Result<()> {
        self.say("[[volume]]".into());
        self.set("device", &quoted(&volume.device)?, volume.reason.clone());
        let Some(line) = &volume.line else {
            let why = "its present name; /etc/crypttab has no line for it".to_owned();
            self.set("name", &quoted(&volume.name)?, why);
            return Ok(());
        };
        let place = format!("line {} of /etc/crypttab", line.number);
        self.set("name", &quoted(&line.name)?, place.clone());
        let options = options::taken_over(line).with_context(|| place_of(line.number))?;
        if !options.is_empty() {
            self.set("options", &format!("{options:?}"), place);
        }
        Ok(())
    }

    fn add_arrays(&mut self, needed: &Needed) {
        for array in &needed.arrays {
            self.say("[[array]]".into());
            self.set("uuid", &format!("{:?}", array.uuid), array.reason.clone());
            self.set(
                "name",
                &format!("{:?}", array.name),
                "its present name".into(),
            );
            self.set(
                "members",
                &array.members.to_string(),
                "as many as it has now".into(),
            );
        }
    }

    /// The kernel's driver of each kind of array.
    fn add_modules(&mut self, needed: &Needed) {
        for array in &needed.arrays {
            let module = match array.level.as_str() {
                "raid4" | "raid5" | "raid6" => "raid456",
                other => other,
            };
            if !self.modules.iter().any(|known| known == module) {
                self.modules.push(module.to_owned());
            }
        }
    }

    fn set(&mut self, key: &str, value: &str, reason: String) {
        self.added.push(Line {
            text: format!("{key} = {value}"),
            reason: Some(reason),
        });
    }

    fn say(&mut self, text: String) {
        self.added.push(Line { text, reason: None });
    }

    /// Is it more than the administrator wrote?
    pub fn has_more(&self) -> bool {
        !self.added.is_empty() || !self.pinned.is_empty() || !self.hints.is_empty()
    }

    /// As it goes into the image. Reasons are left out: a line that moves in crypttab would make another
    /// image.
    pub fn to_image(&self) -> Vec<u8> {
        let pinned = self.pinned.iter().map(|line| line.text.clone() + "\n");
        let mut text = pinned.collect::<String>() + &self.given;
        if !self.added.is_empty() && !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        for line in &self.added {
            text.push_str(&line.text);
            text.push('\n');
        }
        text.into_bytes()
    }
}

/// With the reason of each line that the machine added.
impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pinned.iter().try_for_each(|line| line.fmt(f))?;
        f.write_str(&self.given)?;
        if !self.given.is_empty() && !self.given.ends_with('\n') {
            writeln!(f)?;
        }
        self.added.iter().try_for_each(|line| line.fmt(f))?;
        self.hints
            .iter()
            .try_for_each(|hint| writeln!(f, "# {hint}"))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Some(reason) => writeln!(f, "{:<50} # {reason}", self.text),
            None => writeln!(f, "{}", self.text),
        }
    }
}

fn place_of(line: usize) -> String {
    format!("/etc/crypttab, line {line}")
}

/// A string of TOML. The names of devices and mappings have no letters that it would have to escape
/// otherwise than Rust does.
fn quoted(text: &str) -> Result<String> {
    if text.chars().all(printable::is_printable) && text.is_ascii() {
        return Ok(format!("{text:?}"));
    }
    bail!(
        "{:?} has characters that the name of a device or a mapping cannot have",
        printable::line(text).to_string()
    )
}

#[cfg(test)]
mod tests;
