//! `cargo xtask image` and `taoboot-image`: the initramfs builder, and a viewer for anybody's images.
//!
//! The builder turns the static agent, its measured config and the modules a boot
//! needs into one cpio archive whose bytes depend on nothing else. What the agent
//! reads of it is `/etc/taoboot.toml` and `/etc/taoboot.modules` (see
//! [`modules::plan`]).

pub mod agent;
pub mod archive;
pub mod build;
pub mod compress;
pub mod decompress;
pub mod kernel_config;
pub mod keymap;
pub mod machine;
pub mod microcode;
pub mod modules;
pub mod options;
pub mod output;
pub mod tree;
pub mod view;

use std::path::{Path, PathBuf};

use anyhow::Result;

pub use self::build::Summary;
pub use self::options::ImageCommand;
use self::options::Look;

impl ImageCommand {
    /// Whether an image is to be built and no `--agent` is named: the caller builds
    /// the agent then and calls [`Self::set_agent`].
    #[must_use]
    pub fn needs_agent(&self) -> bool {
        self.look.is_none() && self.agent.is_none()
    }

    /// Sets the program that becomes /init.
    pub fn set_agent(&mut self, path: PathBuf) {
        self.agent = Some(path);
    }

    /// Whether an image is to be built and no `--config` is named.
    #[must_use]
    pub fn needs_config(&self) -> bool {
        match &self.look {
            Some(Look::Explain(explain)) => explain.config.is_none(),
            Some(_) => false,
            None => self.config.is_none(),
        }
    }

    /// Sets the agent's config.
    pub fn set_config(&mut self, path: PathBuf) {
        match &mut self.look {
            Some(Look::Explain(explain)) => explain.config = Some(path),
            _ => self.config = Some(path),
        }
    }

    /// Does what the command line says and prints the result.
    ///
    /// # Errors
    /// One sentence for a person; also that two compared images differ.
    pub fn run(self) -> Result<()> {
        self.refuse_idle()?;
        match &self.look {
            Some(Look::List(list)) => view::list::run(list),
            Some(Look::Cat(cat)) => view::cat::run(cat),
            Some(Look::Extract(extract)) => view::extract::run(extract),
            Some(Look::Diff(diff)) => view::diff::run(diff),
            Some(Look::Explain(explain)) => explain_config(explain),
            None => {
                let summary = build::build(&self)?;
                report(&summary, self.json, self.verbose)
            }
        }
    }
}

/// Prints the configuration that `--host-only` would put into an image.
fn explain_config(explain: &options::Explain) -> Result<()> {
    let config = explain
        .config
        .as_deref()
        .ok_or_else(|| anyhow::anyhow!("--config is missing: name the agent's config"))?;
    let effective = machine::Effective::of_file(config)?
        .with_pins(config)?
        .with_machine(Path::new("/"))?
        .with_keyboard(Path::new("/"))?;
    view::print(&effective.to_string())
}

impl ImageCommand {
    /// Options that would do nothing. (What the caller may have set is not looked at.)
    fn refuse_idle(&self) -> Result<()> {
        if self.look.is_some() {
            commands::refuse_idle(
                &[
                    ("--kernel", self.kernel.is_some()),
                    ("--modules-dir", self.modules_dir.is_some()),
                    ("--firmware-dir", self.firmware_dir.is_some()),
                    ("--config", self.config.is_some()),
                    ("--add", !self.add.is_empty()),
                    ("--module", !self.module.is_empty()),
                    ("--generic", self.generic),
                    ("--host-only", self.host_only),
                    ("--no-pins", self.no_pins),
                    ("--microcode", self.microcode.is_some()),
                    ("--compress", self.compress.is_some()),
                    ("--agent", self.agent.is_some()),
                    ("--output", self.output.is_some()),
                    ("--json, here,", self.json),
                ],
                "where an image is only looked at",
            )?;
        }
        if !self.host_only {
            commands::refuse_idle(&[("--sysfs", self.sysfs.is_some())], "without --host-only")?;
        }
        Ok(())
    }
}

fn report(summary: &Summary, json: bool, verbose: bool) -> Result<()> {
    if json {
        return view::print(&format!("{}\n", serde_json::to_string_pretty(summary)?));
    }
    for warning in &summary.warnings {
        eprintln!("warning: {}", printable::line(warning));
    }
    let mut text = String::new();
    if verbose {
        for name in &summary.firmware_missing {
            text.push_str(&format!("firmware not found: {name}\n"));
        }
    }
    text.push_str(&format!(
        "{}: {} entries, {} modules for {}, {} firmware files, {} bytes ({} of {}), {:.2} s\n",
        summary.output.display(),
        summary.entries,
        summary.modules.len(),
        summary.kernel,
        summary.firmware.len(),
        summary.size,
        summary.compression,
        summary.unpacked_size,
        summary.seconds,
    ));
    view::print(&text)
}
