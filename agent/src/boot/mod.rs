//! The boot: from the exec of /init to the exec of the real init.
//!
//! [`column`] is the whole of it in one column. Every phase is a file of its own; what a
//! failure does is decided in [`failure`] and nowhere else.

pub mod cmdline;
pub mod device;
pub mod discover;
pub mod evidence;
pub mod failure;
pub mod glob;
mod kernel_log;
pub mod modules;
pub mod mounts;
pub mod partition;
pub mod pivot;
pub mod progress;
pub mod prompt;
mod release;
pub mod report;
pub mod resident;
mod resident_syscalls;
pub mod root;
mod serve;
pub mod settings;
pub mod superblock;
pub mod swap;
mod swap_syscall;
mod udev_db;
pub mod uevent;
mod volume;

pub use serve::serve;

use std::{convert::Infallible, ffi::OsString, path::Path};

use crate::{
    boot::{
        cmdline::CommandLine,
        discover::Devices,
        failure::Failure,
        modules::{Loader, ModulePlan, ModulesError},
        progress::Progress,
        report::Report,
        settings::Settings,
    },
    config::{Config, OnFailure},
    unlock::{OpenVolume, SwapSpec},
};

/// Where the last report is kept for the booted system.
const REPORT: &str = "/run/tao/boot.json";

/// What a boot has got hold of so far, so that a failure can let go of it.
struct Boot {
    progress: Progress,
    report: Report,
    settings: Option<Settings>,
    /// From the command line alone, for failures before there are settings.
    report_to: Option<std::path::PathBuf>,
    on_failure: OnFailure,
    failure_delay: std::time::Duration,
    root: Option<OpenVolume>,
    swap: bool,
}

/// Boots the machine. `arguments` are those that the kernel gave to /init.
pub fn run(arguments: Vec<OsString>) -> ! {
    let defaults = Config::default();
    // With panic=abort the kernel would stop with nothing but "attempted to kill init".
    std::panic::set_hook(Box::new(|panic| {
        let mut progress = Progress::start();
        progress.open_kernel_log();
        progress.error(&format!(
            "this is a defect of taoboot, please report it: {panic}"
        ));
        failure::carry_out(
            OnFailure::Reboot,
            std::time::Duration::from_secs(10),
            &mut progress,
        )
    }));
    let mut boot = Boot {
        progress: Progress::start(),
        report: Report::default(),
        settings: None,
        report_to: None,
        on_failure: defaults.on_failure,
        failure_delay: std::time::Duration::from_secs(defaults.failure_delay.get()),
        root: None,
        swap: false,
    };
    match column(&mut boot, arguments) {
        Ok(never) => match never {},
        Err(failure) => boot.fail(&failure),
    }
}

/// Every phase, top to bottom.
fn column(boot: &mut Boot, arguments: Vec<OsString>) -> Result<Infallible, Failure> {
    mounts::mount_kernel_file_systems().map_err(Failure::of("mounts"))?;
    boot.progress.open_kernel_log();
    boot.progress.done("mounts", "kernel file systems mounted");

    let settings = boot.read_settings().map_err(Failure::of("config"))?;
    boot.progress.done("config", "configuration read");

    let mut loader = load_modules(&settings).map_err(Failure::of("modules"))?;
    boot.progress.done("modules", "modules loaded");

    let mut devices = Devices::discover(&mut loader).map_err(Failure::of("devices"))?;
    let container = devices
        .wait_for(&mut loader, settings.device_timeout, &settings.volume)
        .map_err(Failure::of("devices"))?;
    boot.progress
        .done("devices", &format!("volume is on {}", container.describe()));

    let header = volume::read_header(&container).map_err(Failure::of("records"))?;
    let records = volume::records(&header, &mut boot.progress, &mut boot.report);
    boot.progress
        .done("records", &format!("{} sealed record(s)", records.len()));

    let released = release::release(&records, &settings, &mut devices, &mut loader, boot);
    // From here on the TPM's latch is closed, or there is no TPM.
    let mut unlocked = volume::unlock(&header, &records, released, &settings, boot)?;
    let recorded = evidence::record(&mut unlocked, &settings, boot)?;

    let swap = settings
        .swap
        .clone()
        .or_else(|| unlocked.swap.as_ref().map(swap_device));
    if let Some(spec) = swap {
        boot.open_swap(&spec, &settings, &mut devices, &mut loader);
    }

    let options = &settings.root;
    let kind = root::recognise(&unlocked.mapping, |spec| container.is(spec), options)
        .map_err(Failure::of("root"))?;
    // Not every file system's driver is loaded at the start: an image may know several.
    loader
        .load_for(&format!("fs-{kind}"))
        .map_err(Failure::of("root"))?;
    root::mount_root(&recorded, &unlocked.mapping, &kind, options).map_err(Failure::of("root"))?;
    let init = pivot::find_init(settings.init.as_deref()).map_err(Failure::of("root"))?;
    boot.progress
        .done("root", &format!("root mounted ({kind})"));

    boot.announce_mappings(&unlocked.mapping);
    pivot::switch_root().map_err(Failure::of("pivot"))?;
    if let Some(secret) = &unlocked.secret {
        match resident::fork_host(secret, recorded.event(), &settings.host) {
            Ok(child) => boot
                .progress
                .done("host", &format!("Tao host stays as process {child}")),
            // The machine is of more use without a Tao host than not at all.
            Err(error) => boot.warn(error.to_string()),
        }
    }
    drop(unlocked);
    boot.report_success();
    let error = pivot::exec_init(&init, arguments.into_iter().skip(1));
    Err(Failure {
        phase: "pivot",
        reason: error.to_string(),
    })
}

fn load_modules(settings: &Settings) -> Result<Loader, ModulesError> {
    let text = std::fs::read_to_string("/etc/taoboot.modules")
        .map_err(|error| ModulesError::Plan(format!("cannot be read: {error}")))?;
    let running = std::fs::read_to_string("/proc/sys/kernel/osrelease").map_err(|error| {
        ModulesError::Plan(format!(
            "the running kernel's version cannot be read: {error}"
        ))
    })?;
    let plan = ModulePlan::parse(&text)?;
    let parameters = settings.module_parameters.clone();
    let mut loader = Loader::new(
        plan,
        Path::new("/lib/modules"),
        parameters,
        running.trim_end(),
    )?;
    loader.load_start()?;
    Ok(loader)
}

fn swap_device(spec: &SwapSpec) -> device::DeviceSpec {
    match spec {
        SwapSpec::PartUuid(uuid) => device::DeviceSpec::PartUuid(uuid.clone()),
        SwapSpec::Device(path) => device::DeviceSpec::Path(path.clone()),
    }
}

impl Boot {
    fn read_settings(&mut self) -> Result<Settings, settings::SettingsError> {
        // Each part is kept as soon as it is known: it decides what a failure of the next does.
        let text = settings::read_command_line()?;
        self.take_failure_words(&CommandLine::failure_words(&text));
        let line = CommandLine::parse(&text)?;
        let settings = Settings::merge(line, settings::read_config()?)?;
        self.on_failure = settings.on_failure;
        self.failure_delay = settings.failure_delay;
        for word in &settings.ignored {
            self.warn(format!(
                "{word} on the kernel command line is not supported and ignored"
            ));
        }
        self.settings = Some(settings.clone());
        Ok(settings)
    }

    fn take_failure_words(&mut self, line: &CommandLine) {
        self.report_to = line.report.clone();
        self.on_failure = line.on_failure.unwrap_or(self.on_failure);
        if let Some(delay) = line.failure_delay {
            self.failure_delay = std::time::Duration::from_secs(delay.get());
        }
    }

    fn warn(&mut self, text: String) {
        self.progress.warn(&text);
        self.report.warnings.push(text);
    }

    /// A machine without its swap still boots; it is said aloud.
    fn open_swap(
        &mut self,
        spec: &device::DeviceSpec,
        settings: &Settings,
        devices: &mut Devices,
        loader: &mut Loader,
    ) {
        let device = match devices.wait_for(loader, settings.device_timeout, spec) {
            Ok(device) => device,
            Err(error) => return self.warn(format!("no swap: {error}")),
        };
        match swap::open(&device) {
            Ok(()) => {
                self.swap = true;
                self.report.swap = Some(spec.to_string());
                self.progress.done(
                    "swap",
                    &format!("swap on {} with a random key", device.name),
                );
            }
            Err(error) => self.warn(error.to_string()),
        }
    }

    /// Without it the machine boots too, only slower.
    fn announce_mappings(&mut self, root: &Path) {
        let swap = self.swap.then(swap::mapping);
        for mapping in [Some(root.to_path_buf()), swap].into_iter().flatten() {
            if let Err(error) = udev_db::announce(&mapping) {
                let mapping = mapping.display();
                self.warn(format!(
                    "udev will not know that {mapping} is ready: {error}"
                ));
            }
        }
    }

    fn report_success(&mut self) {
        self.report.outcome = "booted";
        self.report
            .set_times(self.progress.phases(), self.progress.elapsed());
        if let Err(error) = self.report.write_line(Path::new(REPORT), true) {
            self.warn(format!("{REPORT}: {error}"));
        }
        self.send_report();
        self.progress.done("init", "starting the real init");
    }

    fn send_report(&mut self) {
        if let Some(device) = self.report_to.clone()
            && let Err(error) = self.report.write_line(&device, false)
        {
            self.warn(format!("report to {}: {error}", device.display()));
        }
    }

    /// Lets go of everything, says why, and carries out the failure policy.
    fn fail(&mut self, failure: &Failure) -> ! {
        self.progress.error(&format!(
            "boot stopped in phase {}: {failure}",
            failure.phase
        ));
        self.close_volumes();
        self.report.outcome = "failed";
        self.report.phase = Some(failure.phase);
        self.report.reason = Some(failure.reason.clone());
        self.report.action = Some(match self.on_failure {
            OnFailure::Poweroff => "poweroff",
            OnFailure::Reboot | OnFailure::Prompt => "reboot",
        });
        self.report
            .set_times(self.progress.phases(), self.progress.elapsed());
        self.send_report();
        failure::carry_out(self.on_failure, self.failure_delay, &mut self.progress)
    }

    /// No open LUKS device survives a failed boot.
    fn close_volumes(&mut self) {
        let root_mounted = nix::mount::umount2(mounts::SYSROOT, nix::mount::MntFlags::MNT_DETACH);
        if let Err(error) = root_mounted
            && error != nix::Error::EINVAL
            && error != nix::Error::ENOENT
        {
            self.warn(format!("cannot unmount the root file system: {error}"));
        }
        if self.swap
            && let Err(error) = swap::close()
        {
            self.warn(format!("cannot close swap: {error}"));
        }
        if let Some(volume) = self.root.take()
            && let Err(error) = volume.close()
        {
            self.warn(format!("cannot close the volume: {error}"));
        }
    }
}
