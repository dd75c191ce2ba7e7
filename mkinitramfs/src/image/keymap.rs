//! The binary keymap of an image: what `[console]` in the configuration names, made by the distribution's own
//! tools (loadkeys of kbd, and ckbcomp of console-setup for XKB's names).

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use storage::keymap::{Keymap, LONGEST};

/// Where /init finds it.
pub const PLACE: &str = "etc/taoboot.keymap";

/// What of the configuration counts here; the agent has checked all of it.
#[derive(Deserialize)]
struct Config {
    console: Option<Console>,
}

#[derive(Deserialize)]
struct Console {
    keymap: Option<String>,
    xkb_layout: Option<String>,
    xkb_model: Option<String>,
    xkb_variant: Option<String>,
    xkb_options: Option<String>,
}

/// Makes the keymap that the configuration wants, if it wants one.
///
/// # Errors
/// A tool is missing, does not know the name, or does not write a keymap.
pub fn wanted(config: &[u8]) -> Result<Option<Vec<u8>>> {
    let config = std::str::from_utf8(config).context("the config is not text")?;
    let config: Config = toml::from_str(config).context("the config is not TOML")?;
    let Some(console) = config.console else {
        return Ok(None);
    };
    let (what, made) = match (&console.keymap, &console.xkb_layout) {
        (Some(name), _) => (format!("keymap {name:?}"), loadkeys(name, b"")),
        (None, Some(layout)) => (
            format!("the keyboard layout {layout:?}"),
            ckbcomp(&console, layout).and_then(|text| loadkeys("-", &text)),
        ),
        (None, None) => return Ok(None),
    };
    let made = made.with_context(|| format!(
            "[console]: {what} cannot be taken into the image (an empty [console] in the config says that none is wanted)"
        ))?;
    if made.len() > LONGEST {
        bail!("[console]: {what}: loadkeys wrote more than the {LONGEST} bytes of a keymap");
    }
    Keymap::read(&made).with_context(|| format!("[console]: {what}: what loadkeys wrote"))?;
    Ok(Some(made))
}

/// The text of a keymap for XKB's names, without the tables that only odd modifiers need.
fn ckbcomp(console: &Console, layout: &str) -> Result<Vec<u8>> {
    let mut command = Command::new("ckbcomp");
    command.args(["-compact", "-layout", layout]);
    for (option, value) in [
        ("-model", &console.xkb_model),
        ("-variant", &console.xkb_variant),
        ("-option", &console.xkb_options),
    ] {
        if let Some(value) = value {
            command.args([option, value]);
        }
    }
    let output = run(&mut command, b"", "console-setup")?;
    Ok(output.stdout)
}

fn loadkeys(name: &str, text: &[u8]) -> Result<Vec<u8>> {
    let mut command = Command::new("loadkeys");
    command.args(["--quiet", "--unicode", "--bkeymap", name]);
    let output = run(&mut command, text, "kbd")?;
    Ok(output.stdout)
}

/// Runs it with `input`; what it says is the reason where it fails.
fn run(command: &mut Command, input: &[u8], package: &str) -> Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let started = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("{name} is not installed (Debian package {package})")
        }
        Err(error) => return Err(error).with_context(|| format!("cannot run {name}")),
    };
    // Both read all of it before they write; one that fails has closed it, and says why.
    if let Some(mut stdin) = child.stdin.take() {
        drop(stdin.write_all(input));
    }
    let output = child
        .wait_with_output()
        .with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty());
        bail!(
            "{name} failed ({}): {}",
            output.status,
            printable::line(last.unwrap_or("it said nothing"))
        );
    }
    Ok(output)
}
