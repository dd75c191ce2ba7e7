//! An enrolled machine, ready to boot: image, boot disk, encrypted root, swap, TPM, launch.
//!
//! Everything is made the way an administrator makes it: the image by `cargo xtask image`'s
//! code, the record by the `taoboot` program, the expected PCRs by `tboot-policy` from the
//! files on the boot disk. A scenario changes one thing and boots.

mod ordered;
mod parts;
mod plan;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cpio::newc::{Builder, trailer};
use mkinitramfs::image::Summary;
use serde_json::{Value, json};

use crate::assets::Assets;
use crate::boot_files::BootFiles;
use crate::disk::boot::{Firmware, boot_disk, boot_disk_with};
use crate::disk::cache::copy;
use crate::disk::swap::{SWAP_PARTUUID, make_swap_disk};
use crate::disk::{Bus, Disk};
use crate::launch::Launch;
use crate::machine::{DirectKernel, Machine, Tpm};
use crate::measured::{launch_of, predicted};
use crate::swtpm::HostTpm;

pub use ordered::CarriedOut;
pub(crate) use parts::content;
use parts::{boot_files, build_image, path};
pub use parts::{policy, small_volume, taoboot, volume};
pub(crate) use plan::BASE_CMDLINE;
pub use plan::{MoreDisk, PASSPHRASE, Plan, Userland, VOLUME_KEY, VOLUME_UUID};

fn copies_of(disks: &[MoreDisk], directory: &Path) -> Result<Vec<MoreDisk>> {
    let copied = disks.iter().map(|disk| {
        let image = directory.join(format!("{}.img", disk.serial));
        copy(&disk.image, &image)?;
        Ok(disk.at(image))
    });
    copied.collect()
}

/// What [`World::make_watched`] is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Starts a TPM and builds the image for it.
    Image,
    /// Computes the launch of the boot files.
    Prediction,
    /// Makes the encrypted root and the swap disk.
    Disks,
    /// Seals the volume to the predicted launch.
    Enrolment,
}

/// An enrolled machine.
#[derive(Debug)]
pub struct World {
    /// What it boots.
    pub files: BootFiles,
    /// Which firmware boots it.
    pub firmware: Firmware,
    /// The approved launch.
    pub launch: Launch,
    /// Its PCR 17, 18 and 19 as they were predicted, hex, SHA-256 bank.
    pub predicted: BTreeMap<u8, String>,
    /// The encrypted root.
    pub root: PathBuf,
    /// What root's disk, and those beside it, are attached to.
    pub bus: Bus,
    /// The swap disk.
    pub swap: PathBuf,
    /// Disks beside them.
    pub more: Vec<MoreDisk>,
    /// The TPM's state.
    pub tpm: PathBuf,
    /// What `taoboot enroll` said.
    pub enrolled: Value,
    /// The image, as its builder describes it; of an opened world, and of an image that the installer made,
    /// nothing is known.
    pub image: Option<Summary>,
    /// Where all of it is.
    pub directory: PathBuf,
    name: String,
}

impl World {
    /// Makes everything below the scenario's directory.
    pub fn make(name: &str, plan: &Plan) -> Result<Self> {
        Self::make_watched(name, plan, &mut |_| {})
    }

    /// The same, and says what comes next before it does it.
    pub fn make_watched(name: &str, plan: &Plan, watch: &mut dyn FnMut(Stage)) -> Result<Self> {
        watch(Stage::Image);
        let directory = crate::workplace::scenario_directory(name)?;
        let assets = plan.assets()?;
        let tpm = directory.join("tpm");
        let host_tpm = HostTpm::start(&tpm)?;
        let srk = taoboot(&["srk", "--json", "--tcti", &host_tpm.tcti()])?;
        let srk = srk
            .get("name")
            .and_then(Value::as_str)
            .context("taoboot srk names no key")?
            .to_owned();
        let config = format!("srk_name = \"{srk}\"\n{}", plan.config);
        let image = directory.join("initrd-taoboot");
        let summary = match &plan.image {
            Some(made) => copy(made, &image).map(|()| None)?,
            None => Some(build_image(
                &assets,
                &config,
                &plan.modules,
                &directory,
                &image,
            )?),
        };
        watch(Stage::Prediction);
        let files = boot_files(&assets, &image, plan);
        let launch = launch_of(&files, plan.firmware, Some(policy()?))?;
        let predicted = predicted(&files, plan.firmware, policy()?)?;
        watch(Stage::Disks);
        let root = directory.join("root.img");
        copy(&volume(plan)?, &root)?;
        let swap = directory.join("swap.img");
        make_swap_disk(&swap, 64 << 20)?;
        let mut world = Self {
            files,
            firmware: plan.firmware,
            launch,
            predicted,
            root,
            bus: plan.bus,
            swap,
            more: copies_of(&plan.more_disks, &directory)?,
            tpm,
            enrolled: Value::Null,
            image: summary,
            directory,
            name: name.to_owned(),
        };
        watch(Stage::Enrolment);
        if !plan.unenrolled {
            world.enrolled = world.enroll(&host_tpm)?;
        }
        host_tpm.stop()?;
        Ok(world)
    }

    /// A world that [`Self::make`] made earlier with the same plan, and that was kept.
    ///
    /// # Errors
    /// It is not there, or not whole.
    pub fn open(name: &str, plan: &Plan) -> Result<Self> {
        let directory = crate::workplace::vm_directory()?.join(name);
        let [image, root, swap, tpm] =
            ["initrd-taoboot", "root.img", "swap.img", "tpm"].map(|file| directory.join(file));
        for needed in [&image, &root, &swap, &tpm] {
            ensure!(
                needed.exists(),
                "there is no kept machine {name}: {} is missing",
                needed.display()
            );
        }
        let files = boot_files(&plan.assets()?, &image, plan);
        let launch = launch_of(&files, plan.firmware, Some(policy()?))?;
        let predicted = predicted(&files, plan.firmware, policy()?)?;
        Ok(Self {
            files,
            firmware: plan.firmware,
            launch,
            predicted,
            root,
            bus: plan.bus,
            swap,
            more: plan
                .more_disks
                .iter()
                .map(|disk| disk.at(directory.join(format!("{}.img", disk.serial))))
                .collect(),
            tpm,
            enrolled: Value::Null,
            image: None,
            directory,
            name: name.to_owned(),
        })
    }

    /// The scenario's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same machine, as it is now, for another scenario.
    pub fn copied(&self, name: &str) -> Result<Self> {
        let directory = crate::workplace::scenario_directory(name)?;
        let copy = |from: &Path| crate::disk::cache::copy_into(from, &directory);
        Ok(Self {
            files: self.files.clone(),
            firmware: self.firmware,
            launch: self.launch.clone(),
            predicted: self.predicted.clone(),
            root: copy(&self.root)?,
            bus: self.bus,
            swap: copy(&self.swap)?,
            more: copies_of(&self.more, &directory)?,
            tpm: copy(&self.tpm)?,
            enrolled: self.enrolled.clone(),
            image: None,
            name: name.to_owned(),
            directory,
        })
    }

    /// Enrols the launch of the files as they are now, beside what is enrolled already.
    pub fn enroll_files(&mut self, more: &[&str]) -> Result<()> {
        self.launch = self.launch_of_files()?;
        self.predicted = predicted(&self.files, self.firmware, policy()?)?;
        let host_tpm = HostTpm::start(&self.tpm)?;
        self.enrolled = self.enroll_with(&host_tpm, more)?;
        host_tpm.stop()?;
        Ok(())
    }

    fn enroll(&self, host_tpm: &HostTpm) -> Result<Value> {
        self.enroll_with(host_tpm, &[])
    }

    /// Seals the volume to the predicted launch with the real `taoboot enroll`.
    fn enroll_with(&self, host_tpm: &HostTpm, more: &[&str]) -> Result<Value> {
        let expect = self.directory.join("expect.json");
        fs::write(&expect, self.expected_pcrs().to_string())
            .context("cannot write the expected PCRs")?;
        let passphrase = self.directory.join("passphrase");
        fs::write(&passphrase, PASSPHRASE).context("cannot write the passphrase")?;
        let swap = format!("PARTUUID={SWAP_PARTUUID}");
        let tcti = host_tpm.tcti();
        let mut words = vec![
            "enroll",
            "--json",
            "--volume",
            path(&self.root)?,
            "--expect",
            path(&expect)?,
            "--swap",
            &swap,
            "--passphrase-file",
            path(&passphrase)?,
            "--label",
            "tests",
            "--no-recovery-key",
            "--tcti",
            &tcti,
        ];
        for disk in self.more.iter().filter(|disk| disk.enrolled) {
            words.extend(["--volume", path(&disk.image)?]);
        }
        words.extend(more);
        taoboot(&words)
    }

    /// PCR 17, 18 and 19 of the approved launch as predicted, for `taoboot enroll --expect`.
    pub fn expected_pcrs(&self) -> Value {
        json!({ "sha256": self.predicted })
    }

    /// The approved launch, except for something else measured into PCR 18.
    pub fn launch_with_pcr18_of(&self, data: &[u8]) -> Launch {
        let mut launch = self.launch.clone();
        for extend in launch.extends.iter_mut().filter(|extend| extend.pcr == 18) {
            *extend = crate::launch::Extend::of_data(extend.locality, 18, data);
        }
        launch
    }

    /// The launch of the files as they are on the boot disk now.
    pub fn launch_of_files(&self) -> Result<Launch> {
        launch_of(&self.files, self.firmware, Some(policy()?))
    }

    /// Puts another /init before that of the image, which is /init-of-taoboot then, and more files. Nothing
    /// is enrolled again: the launch is another one now.
    pub fn wrap_init(&self, init: &Path, files: &[(&str, &Path)]) -> Result<()> {
        let agent = crate::programs::path("init")?;
        let own = [("init", init), ("init-of-taoboot", agent.as_path())];
        self.add_to_image(&[&own, files].concat())
    }

    /// Puts more files into the image. Nothing is enrolled again: the launch is another one now.
    pub fn add_to_image(&self, files: &[(&str, &Path)]) -> Result<()> {
        let mut image = fs::read(&self.files.initramfs).context("cannot read the image")?;
        // The kernel unpacks one archive after the other; each begins at a word.
        image.resize(image.len().next_multiple_of(4), 0);
        for (name, from) in files {
            let content =
                fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
            let mut entry = Builder::new(name)
                .mode(0o100_755)
                .write(&mut image, u32::try_from(content.len())?);
            entry.write_all(&content)?;
            entry.finish()?;
        }
        trailer(&mut image)?;
        fs::write(&self.files.initramfs, image).context("cannot write the image")
    }

    /// Builds the image again, with more lines in taoboot.toml. Nothing is enrolled again:
    /// the launch is another one now.
    pub fn rebuild_image(&mut self, config: &str) -> Result<()> {
        let old = fs::read_to_string(self.directory.join("taoboot.toml"))
            .context("cannot read taoboot.toml")?;
        let config = format!("{config}\n{old}");
        let summary = build_image(
            &Assets::load()?,
            &config,
            &[],
            &self.directory,
            &self.files.initramfs,
        )?;
        self.image = Some(summary);
        Ok(())
    }

    /// The machine without GRUB and tboot, which say nothing in many a scenario: QEMU loads
    /// kernel and initramfs, with `words` after the command line. `launch` is what it sees
    /// nevertheless.
    pub fn direct(&self, launch: Option<Launch>, words: &str) -> Machine {
        let cmdline = format!("{} {words}", self.files.kernel_cmdline);
        let machine = Machine::in_directory(&self.name, self.directory.clone())
            .tpm(Tpm::new(&self.tpm, launch))
            .disk(Disk::new(&self.root, "root").on(self.bus))
            .disk(Disk::new(&self.swap, "swap"));
        self.with_more_disks(machine)
            .direct_kernel(DirectKernel {
                kernel: self.files.kernel.clone(),
                initramfs: self.files.initramfs.clone(),
                cmdline: cmdline.trim_end().to_owned(),
            })
            .timeout(Duration::from_secs(240))
    }

    /// The machine, seeing `launch`; more disks may be added.
    pub fn machine(&self, launch: Option<Launch>) -> Result<Machine> {
        self.machine_of(&boot_disk(&self.files, self.firmware)?, launch)
    }

    /// The same with `lines` before GRUB's menu, which nobody measures.
    pub fn machine_with_grub_lines(&self, lines: &str, launch: Option<Launch>) -> Result<Machine> {
        let menu = self.files.grub_cfg(self.firmware == Firmware::Efi);
        let disk = boot_disk_with(&self.files, self.firmware, &format!("{lines}{menu}"))?;
        self.machine_of(&disk, launch)
    }

    fn machine_of(&self, boot_disk: &Path, launch: Option<Launch>) -> Result<Machine> {
        let boot = self.directory.join("boot.img");
        copy(boot_disk, &boot)?;
        let machine = Machine::in_directory(&self.name, self.directory.clone())
            .firmware(self.firmware)
            .tpm(Tpm::new(&self.tpm, launch))
            .disk(Disk::new(boot, "boot"))
            .disk(Disk::new(&self.root, "root").on(self.bus))
            .disk(Disk::new(&self.swap, "swap"));
        Ok(self
            .with_more_disks(machine)
            .timeout(Duration::from_secs(300)))
    }

    fn with_more_disks(&self, machine: Machine) -> Machine {
        let disks = self.more.iter();
        disks.fold(machine, |machine, disk| {
            machine.disk(Disk::new(&disk.image, &disk.serial).on(self.bus))
        })
    }
}
