//! The keyboard that the machine's own console has: /etc/vconsole.conf (systemd) and
//! /etc/default/keyboard (Debian).

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::Path,
};

use anyhow::{Context, Result};
use storage::keyboard::Keyboard;

use super::{Effective, LONGEST, quoted};

impl Effective {
    /// The same, and the keymap of the machine below `root`, for the question for a passphrase. What the
    /// administrator says of the console is not added to; the American keyboard is the kernel's own.
    ///
    /// # Errors
    /// A file is not understood; the error names it and the line.
    pub fn with_keyboard(mut self, root: &Path) -> Result<Self> {
        let given: toml::Table = self.given.parse().context("the config is not TOML")?;
        if given.contains_key("console") {
            return Ok(self);
        }
        let console = read(root, "etc/vconsole.conf")?;
        if let Some(keymap) = &console.keymap {
            self.say("[console]".into());
            self.set("keymap", &quoted(keymap)?, "/etc/vconsole.conf".into());
            return Ok(self);
        }
        let mut keyboard = read(root, "etc/default/keyboard")?;
        let mut place = "/etc/default/keyboard";
        if console.layout.is_some() {
            (keyboard, place) = (console, "/etc/vconsole.conf");
        }
        if let Some(keymap) = &keyboard.keymap {
            self.say("[console]".into());
            self.set("keymap", &quoted(keymap)?, place.into());
            return Ok(self);
        }
        let american = keyboard.variant.is_none() && keyboard.options.is_none();
        let Some(layout) = keyboard.layout.filter(|layout| layout != "us" || !american) else {
            return Ok(self);
        };
        self.say("[console]".into());
        for (key, value) in [
            ("xkb_layout", Some(layout)),
            ("xkb_model", keyboard.model),
            ("xkb_variant", keyboard.variant),
            ("xkb_options", keyboard.options),
        ] {
            if let Some(value) = value {
                self.set(key, &quoted(&value)?, place.into());
            }
        }
        Ok(self)
    }
}

/// Nothing, where there is no such file.
fn read(root: &Path, name: &str) -> Result<Keyboard> {
    let mut keyboard = Keyboard::default();
    let file = match File::open(root.join(name)) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(keyboard),
        Err(error) => return Err(error).with_context(|| format!("cannot read /{name}")),
    };
    let mut text = String::new();
    file.take(LONGEST)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read /{name}"))?;
    keyboard.read(&text).with_context(|| {
        format!("/{name} (write [console] into the config, with the keymap to use)")
    })?;
    Ok(keyboard)
}
