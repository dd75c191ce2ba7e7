//! Debian's encrypted LVM, unlocked by the TPM, booted by what distributions have for it: initramfs-tools with
//! clevis, and dracut with systemd-cryptsetup.
//!
//! Both are installed by apt into a root of their own and build their images there, with their own defaults
//! (all drivers). The same disk is booted by all three, each with a keyslot and a token of its own, without
//! GRUB and tboot. The kernel notes when it starts /init, systemd when the real init starts.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use ::harness::assets::Assets;
use ::harness::debian::chroot;
use ::harness::disk::orders::{orders_disk, shell};
use ::harness::installer::{self, Layout};
use ::harness::machine::{DirectKernel, Ending};
use ::harness::swtpm::HostTpm;
use ::harness::world::{VOLUME_UUID, World};
use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use guest::orders::{End, Orders};
use serde_json::Value;

use crate::files::mebibytes;
use crate::table::Table;
use crate::timing::median;

const PART: &str =
    "distributions (Debian's encrypted LVM; exec of /init to the real init, medians)";
/// What apt installs, with what it depends on.
const PACKAGES: &str = "systemd,systemd-sysv,udev,kmod,initramfs-tools,cryptsetup-initramfs,lvm2,\
    clevis-initramfs,clevis-tpm2,clevis-luks,tpm2-tools,dracut-core,libtss2-tcti-swtpm0,\
    libtss2-tcti-device0,libtss2-rc0,zstd,e2fsprogs";
/// systemd-cryptenroll 252 takes no predicted values. Nobody extends this register, so its own record opens
/// in any launch; the work of a boot is the same.
const SYSTEMD_PCR: &str = "16";

/// One way to boot the disk.
struct Contender {
    name: &'static str,
    image: PathBuf,
    words: String,
    times: Vec<f64>,
}

/// Boots them in turn.
pub fn measure(table: &mut Table, runs: u32) -> Result<()> {
    let assets = Assets::load()?;
    let world = World::make("bench-distributions", &installer::plan(Layout::DebianLvm)?)?;
    eprintln!("bench: distributions: mkinitramfs, dracut and their enrolments ...");
    prepare(&world, &assets)?;
    let contender = |name, image: PathBuf, words: String| Contender {
        name,
        image,
        words,
        times: Vec::new(),
    };
    let ours = world.files.initramfs.clone();
    let of_dracut =
        format!("rd.luks.options={VOLUME_UUID}=tpm2-device=auto,discard rd.lvm.lv=debian-vg/root");
    let mut contenders = [
        contender("taoboot", ours, String::new()),
        contender(
            "initramfs-tools with clevis",
            world.directory.join("clevis.img"),
            String::new(),
        ),
        contender(
            "dracut with systemd-cryptsetup",
            world.directory.join("dracut.img"),
            of_dracut,
        ),
    ];
    for run in 1..=runs {
        for contender in &mut contenders {
            eprintln!("bench: {}, round {run} of {runs} ...", contender.name);
            contender.boot(&world)?;
        }
    }
    report(table, &contenders)?;
    fs::remove_dir_all(&world.directory).context("cannot remove the machine's files")
}

/// Both images, and both enrolments beside ours.
fn prepare(world: &World, assets: &Assets) -> Result<()> {
    let kernel = &assets.kernel;
    let config = format!("config-{}", kernel.version);
    let boot = kernel.vmlinuz.parent().context("no boot directory")?;
    fs::copy(boot.join(&config), world.directory.join(&config))
        .context("cannot copy the kernel's configuration")?;
    let mut values = Vec::new();
    for pcr in 17..=19 {
        values.extend(hex::decode(world.launch.sha256_hex(pcr)?).context("no hex")?);
    }
    let values = URL_SAFE_NO_PAD.encode(values);
    let tpm = HostTpm::start(&world.tpm)?;
    let script = format!(
        "cp /files/{config} /boot/\n\
        echo 'vda5_crypt UUID={VOLUME_UUID} none luks,discard,initramfs' > /etc/crypttab\n\
        echo '/dev/mapper/debian--vg-root / ext4 errors=remount-ro 0 1' > /etc/fstab\n\
        export TPM2TOOLS_TCTI={tcti}\n\
        clevis luks bind -y -k /files/passphrase -d /files/root.img tpm2 \
          '{{\"pcr_bank\":\"sha256\",\"pcr_ids\":\"17,18,19\",\"pcr_digest\":\"{values}\"}}'\n\
        PASSWORD=$(cat /files/passphrase) systemd-cryptenroll --tpm2-device=$TPM2TOOLS_TCTI \
          --tpm2-pcrs={SYSTEMD_PCR} /files/root.img\n\
        mkinitramfs -o /files/clevis.img {version}\n\
        dracut --force --no-hostonly --kver {version} --add 'systemd crypt lvm tpm2-tss' --zstd /files/dracut.img\n",
        tcti = tpm.tcti(),
        version = kernel.version,
    );
    let modules = kernel.modules.parent().context("no modules")?;
    let output = chroot::run_with(PACKAGES, &world.directory, modules, &script)?;
    tpm.stop()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

impl Contender {
    fn boot(&mut self, world: &World) -> Result<()> {
        let commands = vec![
            shell("start", "dmesg | grep -m 1 'Run /init as init process'"),
            shell("real", "systemctl show -P UserspaceTimestampMonotonic"),
            shell("root", "findmnt -n -o SOURCE /"),
        ];
        let end = End::Poweroff;
        let orders = Orders { commands, end };
        let disk = orders_disk(&world.directory.join("orders.img"), &[orders])?;
        let direct = DirectKernel {
            kernel: world.files.kernel.clone(),
            initramfs: self.image.clone(),
            cmdline: format!("{} {}", world.files.kernel_cmdline, self.words),
        };
        let outcome = world
            .direct(Some(world.launch.clone()), "")
            .direct_kernel(direct)
            .disk(disk)
            .timeout(Duration::from_secs(600))
            .run()?;
        let probe = outcome
            .report_of("probe")
            .with_context(|| format!("{} did not boot", self.name))?
            .clone();
        ensure!(
            outcome.ending == Ending::PowerOff,
            "{} ended in {:?}",
            self.name,
            outcome.ending
        );
        drop(outcome.keep());
        let root = said(&probe, "root")?;
        ensure!(
            root == "/dev/mapper/debian--vg-root",
            "{}: root is {root}",
            self.name
        );
        self.times.push(real_init(&probe)? - start_of_init(&probe)?);
        Ok(())
    }
}

/// Milliseconds since the kernel's start, by its log: `[    1.234567] Run /init as init process`.
fn start_of_init(probe: &Value) -> Result<f64> {
    let line = said(probe, "start")?;
    let time = line
        .trim_start_matches('[')
        .split(']')
        .next()
        .and_then(|time| time.trim().parse::<f64>().ok());
    Ok(1000.0 * time.with_context(|| format!("the kernel log has no time: {line:?}"))?)
}

/// The same, by systemd's own note.
fn real_init(probe: &Value) -> Result<f64> {
    let text = said(probe, "real")?;
    let microseconds: f64 = text
        .parse()
        .with_context(|| format!("systemd does not know its start: {text:?}"))?;
    Ok(microseconds / 1000.0)
}

fn said<'p>(probe: &'p Value, command: &str) -> Result<&'p str> {
    let result = probe
        .pointer(&format!("/commands/{command}"))
        .with_context(|| format!("the guest did not carry out {command}"))?;
    let member = |name: &str| result.get(name);
    ensure!(
        member("code").and_then(Value::as_i64) == Some(0),
        "{command}: {result:#}"
    );
    let text = member("stdout").and_then(Value::as_str);
    let text = text.context("it printed nothing")?;
    Ok(text.trim())
}

fn report(table: &mut Table, contenders: &[Contender; 3]) -> Result<()> {
    for contender in contenders {
        table.figure(PART, contender.name, median(&contender.times)?, "ms", "");
        table.figure(
            PART,
            format!("{}: image", contender.name),
            mebibytes(&contender.image)?,
            "MiB",
            "",
        );
    }
    let [ours, one, other] = contenders;
    let faster = median(&one.times)?.min(median(&other.times)?);
    table.target(
        PART,
        "taoboot / the faster of them",
        median(&ours.times)? / faster,
        "",
        0.1,
        "ours for this machine's drivers, theirs for all",
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_read_from_what_kernel_and_systemd_say() {
        let probe = json!({"commands": {
            "start": {"code": 0, "stdout": "[    1.250000] Run /init as init process\n"},
            "real": {"code": 0, "stdout": "3500000\n"},
            "root": {"code": 1, "stdout": ""},
        }});
        assert!((start_of_init(&probe).unwrap() - 1250.0).abs() < 0.001);
        assert!((real_init(&probe).unwrap() - 3500.0).abs() < 0.001);
        assert!(said(&probe, "root").is_err());
    }
}
