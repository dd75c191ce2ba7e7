//! mkinitramfs and dracut, run for a kernel that is unpacked but not installed.
//!
//! Both look for the kernel's parts at fixed places. They get them in a mount namespace of
//! their own: an overlay that adds `modules/VERSION` to /usr/lib, and the unpacked package's
//! boot directory in place of /boot. Nothing outside the namespace changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ::harness::assets::Assets;
use ::harness::tool::{self, Tool};
use anyhow::{Context, Result, bail, ensure};
use nix::unistd::Uid;

use crate::files::mebibytes;
use crate::timing::{Times, time};

/// Arguments: directory to add to /usr/lib, modules, version, boot directory; then the command.
const NAMESPACE: &str = "set -e\n\
    mount -t overlay overlay -o \"lowerdir=$1:/usr/lib\" /usr/lib\n\
    mount --bind \"$2\" \"/usr/lib/modules/$3\"\n\
    mount --bind \"$4\" /boot\n\
    shift 4\n\
    exec \"$@\"\n";

/// What both need.
pub struct Peers {
    directory: PathBuf,
    version: String,
    modules: PathBuf,
    boot: PathBuf,
}

/// The command line of one of them.
pub type Builder = fn(&Peers, output: &Path) -> Vec<String>;

impl Peers {
    /// Makes the configuration and the mount points in `directory`.
    pub fn prepare(assets: &Assets, directory: &Path) -> Result<Self> {
        let version = assets.kernel.version.clone();
        fs::create_dir_all(directory.join("lib/modules").join(&version))
            .context("cannot make a mount point")?;
        let boot = assets
            .kernel
            .vmlinuz
            .parent()
            .context("the kernel is in no directory")?
            .to_path_buf();
        let peers = Self {
            directory: directory.to_path_buf(),
            version,
            modules: assets.kernel.modules.clone(),
            boot,
        };
        peers.configure()?;
        Ok(peers)
    }

    /// initramfs-tools' own configuration, with MODULES=dep.
    fn configure(&self) -> Result<()> {
        const INSTALLED: &str = "/etc/initramfs-tools";
        ensure!(
            Path::new(INSTALLED).is_dir(),
            "{INSTALLED} is missing: run `cargo xtask setup` (Debian package initramfs-tools-core)"
        );
        Tool::new("cp")
            .args(["-a", INSTALLED])
            .arg(self.configuration())
            .run()?;
        let file = self.configuration().join("initramfs.conf");
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        if !text.lines().any(|line| line.starts_with("MODULES=")) {
            bail!("{} has no MODULES line", file.display());
        }
        let lines = text.lines().map(|line| {
            if line.starts_with("MODULES=") {
                "MODULES=dep"
            } else {
                line
            }
        });
        fs::write(&file, lines.collect::<Vec<_>>().join("\n") + "\n")
            .context("cannot write initramfs.conf")
    }

    fn configuration(&self) -> PathBuf {
        self.directory.join("initramfs-tools")
    }

    /// How they were run.
    pub fn note(&self) -> &'static str {
        if Uid::effective().is_root() {
            "one run, in a mount namespace"
        } else {
            "one run, in a mount and user namespace"
        }
    }

    /// Time and size in MiB of one of them.
    pub fn measure(&self, builder: Builder) -> Result<(Times, f64)> {
        let output = self.directory.join("peer.img");
        let arguments = builder(self, &output);
        let name = arguments.first().cloned().unwrap_or_default();
        let mut command = Command::new("unshare");
        command.env("PATH", tool::search_path());
        command.arg(if Uid::effective().is_root() {
            "-m"
        } else {
            "-rm"
        });
        command
            .args(["sh", "-c", NAMESPACE, "sh"])
            .arg(self.directory.join("lib"));
        command
            .arg(&self.modules)
            .arg(&self.version)
            .arg(&self.boot)
            .args(arguments);
        let times = time(&name, &mut command)?;
        let size = mebibytes(&output)?;
        fs::remove_file(&output).context("cannot remove a peer's image")?;
        Ok((times, size))
    }
}

/// mkinitramfs with MODULES=dep.
pub fn mkinitramfs(peers: &Peers, output: &Path) -> Vec<String> {
    let configuration = peers.configuration().display().to_string();
    words(&[
        "mkinitramfs",
        "-d",
        &configuration,
        "-o",
        &output.display().to_string(),
        &peers.version,
    ])
}

/// dracut --hostonly.
pub fn dracut(peers: &Peers, output: &Path) -> Vec<String> {
    let modules = format!("/usr/lib/modules/{}", peers.version);
    let output = output.display().to_string();
    words(&[
        "dracut",
        "--quiet",
        "--force",
        "--hostonly",
        "--kver",
        &peers.version,
        "--kmoddir",
        &modules,
        &output,
    ])
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
