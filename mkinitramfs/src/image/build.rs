//! Building an image: gather, check, pack, write; and the summary of it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::compress::compress;
use super::kernel_config::KernelConfig;
use super::machine::Effective;
use super::modules::left_out::left_out;
use super::modules::plan::{Drivers, Plan};
use super::modules::tree::ModuleTree;
use super::modules::{file, firmware, host};
use super::options::ImageCommand;
use super::tree::{Node, Tree};
use super::{agent, keymap, microcode, output};

/// Largest file that `--add` takes.
const MAX_ADDED: u64 = 1 << 30;

/// What was built.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The image's path.
    pub output: PathBuf,
    /// Kernel version.
    pub kernel: String,
    /// SHA-256 of the image, lower-case hex.
    pub sha256: String,
    /// Size of the image in bytes.
    pub size: u64,
    /// Size of the main archive before compression, in bytes.
    pub unpacked_size: u64,
    /// Compression of the main archive.
    pub compression: &'static str,
    /// Number of entries of the main archive.
    pub entries: usize,
    /// Names of the modules in it.
    pub modules: Vec<String>,
    /// Paths of the firmware in it.
    pub firmware: Vec<String>,
    /// Firmware that modules name and that was not found.
    pub firmware_missing: Vec<String>,
    /// What was passed over, each in one sentence.
    pub warnings: Vec<String>,
    /// Time taken, in seconds.
    pub seconds: f64,
}

/// Builds the image that `command` describes.
///
/// # Errors
/// Anything that is missing, damaged or refused, in one sentence; the old image,
/// if any, is untouched then.
pub fn build(command: &ImageCommand) -> Result<Summary> {
    let started = Instant::now();
    let output = command
        .output
        .as_deref()
        .ok_or_else(|| anyhow!("--output is missing: name the file to write the image to"))?;
    let agent_path = command
        .agent
        .as_deref()
        .ok_or_else(|| anyhow!("--agent is missing: name the static program to put in as /init"))?;
    let config = command.config.as_deref().ok_or_else(|| {
        anyhow!("--config is missing: name the agent's config, which becomes /etc/taoboot.toml")
    })?;
    if command.generic && command.host_only {
        bail!("--generic and --host-only exclude each other; give one of them");
    }
    let kernel = kernel_version(command.kernel.as_deref())?;

    let mut tree = Tree::skeleton()?;
    let init = agent::load(agent_path)?;
    tree.insert(
        "init",
        Node::File {
            mode: 0o755,
            data: init,
        },
    )?;
    let effective = checked_config(command, agent_path, config)?;
    tree.insert(
        "etc/taoboot.toml",
        Node::File {
            mode: 0o644,
            data: effective.to_image(),
        },
    )?;

    if let Some(data) = keymap::wanted(&effective.to_image())? {
        tree.insert(keymap::PLACE, Node::File { mode: 0o644, data })?;
    }

    let directory = match &command.modules_dir {
        Some(directory) => directory.clone(),
        None => Path::new("/lib/modules").join(&kernel),
    };
    let config = KernelConfig::find(command.kernel_config.as_deref(), &directory, &kernel)?;
    let form = config.choose(command.compress)?;
    let known = ModuleTree::read(&directory, &kernel)?;
    let mut modules = command.module.clone();
    modules.extend(effective.modules.iter().cloned());
    let plan = Plan::new(&known, &kernel, &modules, &drivers(command)?)?;
    let named = add_modules(&mut tree, &known, &plan)?;
    let firmware_directory = command
        .firmware_dir
        .clone()
        .unwrap_or_else(|| PathBuf::from("/lib/firmware"));
    let firmware = firmware::collect(&firmware_directory, &kernel, &named)?;
    for (name, data) in &firmware.found {
        tree.insert(
            &format!("lib/firmware/{name}"),
            Node::File {
                mode: 0o644,
                data: data.clone(),
            },
        )?;
    }
    tree.insert(
        "etc/taoboot.modules",
        Node::File {
            mode: 0o644,
            data: plan.to_text().into_bytes(),
        },
    )?;
    tree.insert(
        "etc/taoboot.drivers",
        Node::File {
            mode: 0o644,
            data: left_out(&known, &plan).into_bytes(),
        },
    )?;
    for added in &command.add {
        add_file(&mut tree, added)?;
    }

    let mut image = match &command.microcode {
        Some(path) => microcode::early_archive(path)?,
        None => Vec::new(),
    };
    let archive = tree.to_newc()?;
    image.extend_from_slice(&compress(form, &archive)?);
    output::replace(output, &image)?;

    Ok(Summary {
        output: output.to_path_buf(),
        kernel,
        sha256: hex::encode(Sha256::digest(&image)),
        size: u64::try_from(image.len())?,
        unpacked_size: u64::try_from(archive.len())?,
        compression: form.name(),
        entries: tree.len(),
        modules: plan.modules.keys().cloned().collect(),
        firmware: firmware.found.keys().cloned().collect(),
        firmware_missing: firmware.missing.into_iter().collect(),
        warnings: known
            .skipped
            .iter()
            .map(|skipped| {
                format!(
                    "{}: {skipped}",
                    known.directory.join("modules.dep").display()
                )
            })
            .collect(),
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// The same, as /init takes it. What counts is the whole: the file alone may lack what enrolment pinned. Where
/// both are refused, the error names a line of the administrator's file.
fn checked_config(command: &ImageCommand, agent_path: &Path, config: &Path) -> Result<Effective> {
    let alone = agent::check_config(agent_path, config);
    let effective = match effective_config(command, config) {
        Ok(effective) if effective.has_more() => effective,
        Ok(effective) => return alone.map(|()| effective),
        Err(error) => return alone.and(Err(error)),
    };
    let mut whole = tempfile::NamedTempFile::new().context("cannot make a temporary file")?;
    whole
        .write_all(&effective.to_image())
        .context("cannot write a temporary file")?;
    match agent::check_config(agent_path, whole.path()) {
        Ok(()) => Ok(effective),
        Err(error) => alone.and(Err(error).with_context(|| {
            format!(
                "{} with what enrolment or this machine adds (see taoboot-image explain)",
                config.display()
            )
        })),
    }
}

/// The config file with what enrolment pinned; with --host-only also what this machine needs. Another
/// machine's sysfs says nothing about its tables.
fn effective_config(command: &ImageCommand, config: &Path) -> Result<Effective> {
    let mut given = Effective::of_file(config)?;
    if !command.no_pins {
        given = given.with_pins(config)?;
    }
    if command.host_only && command.sysfs.is_none() {
        given
            .with_machine(Path::new("/"))?
            .with_keyboard(Path::new("/"))
    } else {
        Ok(given)
    }
}

/// The given version, or that of the running kernel.
fn kernel_version(given: Option<&str>) -> Result<String> {
    let version = match given {
        Some(version) => version.to_owned(),
        None => fs::read_to_string("/proc/sys/kernel/osrelease")
            .context("cannot read the running kernel's version; give --kernel")?
            .trim()
            .to_owned(),
    };
    // It becomes a directory's name in the image and a word of the plan.
    let clean = |byte: u8| byte.is_ascii_alphanumeric() || b"._+~-".contains(&byte);
    if version.is_empty() || version.starts_with('.') || !version.bytes().all(clean) {
        bail!("--kernel {version:?} is not a kernel version; it looks like 6.1.0-56-amd64");
    }
    Ok(version)
}

fn drivers(command: &ImageCommand) -> Result<Drivers> {
    if command.generic {
        return Ok(Drivers::Generic);
    }
    if !command.host_only {
        return Ok(Drivers::Minimal);
    }
    match &command.sysfs {
        // Another machine's sysfs says nothing about what is mounted there.
        Some(sysfs) => host::read(sysfs, ""),
        None => {
            let mounts = fs::read_to_string("/proc/self/mounts")
                .context("cannot read /proc/self/mounts to find the root file system")?;
            host::read(Path::new("/sys"), &mounts)
        }
    }
}

/// Puts the plan's modules into the tree and returns the firmware they name.
fn add_modules(tree: &mut Tree, known: &ModuleTree, plan: &Plan) -> Result<BTreeSet<String>> {
    let mut firmware = BTreeSet::new();
    tree.insert(&format!("lib/modules/{}", plan.kernel), Node::Directory)?;
    for (path, _) in plan.modules.values() {
        let data = file::read_module(&known.directory.join(path))?;
        firmware.extend(file::firmware_names(&data));
        tree.insert(
            &format!("lib/modules/{}/{}", plan.kernel, file::image_path(path)),
            Node::File { mode: 0o644, data },
        )?;
    }
    Ok(firmware)
}

/// Adds one `FILE:PATH`. The mode is 0755 for a program, 0644 for anything else.
fn add_file(tree: &mut Tree, added: &str) -> Result<()> {
    let (from, to) = added
        .rfind(":/")
        .and_then(|colon| Some((added.get(..colon)?, added.get(colon.saturating_add(2)..)?)))
        .filter(|(from, _)| !from.is_empty())
        .ok_or_else(|| {
            anyhow!("--add {added} is not FILE:PATH with an absolute PATH, as in a.crt:/etc/a.crt")
        })?;
    let found = fs::metadata(from).with_context(|| format!("--add: cannot read {from}"))?;
    if !found.is_file() || found.len() > MAX_ADDED {
        bail!("--add: {from} is not a regular file of at most {MAX_ADDED} bytes");
    }
    let data = fs::read(from).with_context(|| format!("--add: cannot read {from}"))?;
    let mode = if found.permissions().mode() & 0o111 == 0 {
        0o644
    } else {
        0o755
    };
    tree.insert(to, Node::File { mode, data })
        .with_context(|| format!("--add {added}"))
}
