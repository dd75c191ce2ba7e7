//! The boot: from the exec of /init to the exec of the real init.
//!
//! [`column`] is the whole of it in one column. Every phase is a file of its own; what a
//! failure does is decided in [`failure`] and nowhere else.

pub mod acpi;
pub mod acpi_later;
mod arrays;
mod btrfs;
mod close;
pub mod config;
pub mod devices;
pub mod evidence;
pub mod failure;
mod further;
pub mod lvm;
mod mapper;
pub mod modules;
pub mod mounts;
mod open;
pub mod panic;
pub mod phase;
pub mod pivot;
pub mod progress;
mod records;
pub mod report;
mod resume;
pub mod root;
mod state;
pub mod swap;
pub(crate) mod unseal;

use std::{convert::Infallible, ffi::OsString, path::Path, time::Duration};

use crate::{
    boot::{
        config::Settings,
        devices::Devices,
        failure::Failure,
        modules::{Loader, ModulePlan, ModulesError},
        phase::Phase,
        state::Boot,
    },
    config::device::DeviceSpec,
    resident::handover,
    unlock::{OpenVolume, SwapSpec},
};

/// Boots the machine. `arguments` are those that the kernel gave to /init.
pub fn run(arguments: Vec<OsString>) -> ! {
    begin(|boot| column(boot, arguments))
}

/// Carries `phases` out. What ends them, an error or a panic, is carried out as the policy says.
fn begin(phases: impl FnOnce(&mut Boot) -> Result<Infallible, Failure>) -> ! {
    panic::install_hook();
    let mut boot = Boot::start();
    match phases(&mut boot) {
        Ok(never) => match never {},
        Err(failure) => boot.fail(&failure),
    }
}

/// Every phase, top to bottom.
fn column(boot: &mut Boot, arguments: Vec<OsString>) -> Result<Infallible, Failure> {
    mounts::mount_kernel_file_systems().map_err(Failure::of(Phase::Mounts))?;
    boot.progress.open_kernel_log();
    boot.progress
        .done(Phase::Mounts, "kernel file systems mounted");

    let settings = boot.read_settings().map_err(Failure::of(Phase::Config))?;
    boot.progress.done(Phase::Config, "configuration read");

    // Before drivers are loaded, whose devices have ACPI load more.
    boot.read_acpi(Path::new(acpi::TABLES));

    let mut loader = load_modules(&settings).map_err(Failure::of(Phase::Modules))?;
    boot.progress.done(Phase::Modules, "modules loaded");

    let mut devices = Devices::discover(&mut loader).map_err(Failure::of(Phase::Devices))?;
    let not_started = arrays::assemble(&settings, &mut devices, &mut loader, boot);
    // The disks had their time.
    let timeout = match &not_started {
        Some(_) => Duration::ZERO,
        None => settings.device_timeout,
    };
    let container = devices
        .wait_for(&mut loader, timeout, &settings.volumes.first.device)
        .map_err(|error| match not_started {
            Some(array) => Failure::of(Phase::Arrays)(array),
            None => Failure::of(Phase::Devices)(error),
        })?;
    boot.progress.done(
        Phase::Devices,
        &format!("volume is on {}", container.describe()),
    );

    let header = records::read_header(&container).map_err(Failure::of(Phase::Records))?;
    let records = records::usable(&header, &mut boot.progress, &mut boot.report);
    boot.progress.done(
        Phase::Records,
        &format!("{} sealed record(s)", records.len()),
    );

    let released = unseal::release(&records, &settings, &mut devices, &mut loader, boot);
    // From here on the TPM's latch is closed, or it is proved that there is no TPM: open::unlock
    // opens and asks for nothing otherwise.
    boot.avoid_s3(Path::new(unseal::sleep_state::MEM_SLEEP));
    let (mut unlocked, latched) = open::unlock(&header, released, &settings, boot)?;
    let recorded = evidence::record(&mut unlocked, latched, &settings, boot)?;

    further::open(
        &unlocked,
        &recorded,
        &settings,
        &mut devices,
        &mut loader,
        boot,
    )
    .map_err(Failure::of(Phase::Further))?;

    // Nothing is mounted, and no swap written to, while an image may still take over.
    let not_resumed = resume::settle(&mut unlocked, &recorded, &settings, boot)?;

    let swap = settings
        .swap
        .clone()
        .or_else(|| unlocked.swap.as_ref().map(swap_device));
    if let Some(spec) = swap {
        boot.open_swap(&not_resumed, &spec, &settings, &mut devices, &mut loader);
    }

    let options = &settings.root;
    let (place, group) = lvm::find(&unlocked.mapping, &boot.further, options.spec.as_ref())
        .map_err(Failure::of(Phase::Lvm))?;
    if let Some(group) = &group {
        boot.note_group(group);
        let volume = place.device().display();
        boot.progress.done(Phase::Lvm, &format!("{volume} mapped"));
    }
    let kind = root::recognise(&place, |spec| container.is(spec), options)
        .map_err(Failure::of(Phase::Root))?;
    // Not every file system's driver is loaded at the start: an image may know several.
    loader
        .load_for(&format!("fs-{kind}"))
        .map_err(Failure::of(Phase::Root))?;
    if kind == "btrfs" {
        let opened: Vec<_> = boot.further.iter().map(OpenVolume::path).collect();
        let degraded = btrfs::allows_missing(options.flags.as_deref());
        btrfs::announce(place.device(), &opened, degraded).map_err(Failure::of(Phase::Root))?;
    }
    root::mount_root(&recorded, &not_resumed, place.device(), &kind, options)
        .map_err(Failure::of(Phase::Root))?;
    let init = pivot::find_init(settings.init.as_deref()).map_err(Failure::of(Phase::Root))?;
    boot.progress
        .done(Phase::Root, &format!("root mounted ({kind})"));

    // What is executed from here on may not find a TPM with an open latch.
    let ready = evidence::last_look(&recorded, &settings, boot)?;
    boot.announce_mappings(&[&unlocked.mapping, place.device()]);
    pivot::switch_root(&ready).map_err(Failure::of(Phase::Pivot))?;
    if let Some(secret) = &unlocked.secret {
        match handover::fork_host(secret, recorded.event(), &settings.host) {
            Ok(child) => boot
                .progress
                .done(Phase::Host, &format!("Tao host stays as process {child}")),
            // The machine is of more use without a Tao host than not at all.
            Err(error) => boot.warn(error.to_string()),
        }
    }
    drop(unlocked);
    boot.report_success();
    let error = pivot::exec_init(&ready, &init, arguments.into_iter().skip(1));
    Err(Failure {
        phase: Phase::Pivot,
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

fn swap_device(spec: &SwapSpec) -> DeviceSpec {
    match spec {
        SwapSpec::PartUuid(uuid) => DeviceSpec::PartUuid(uuid.clone()),
        SwapSpec::Device(path) => DeviceSpec::Path(path.clone()),
    }
}
