//! What a boot has got hold of so far, and how it ends.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    boot::{
        acpi, close,
        config::{self, Settings, cmdline::CommandLine},
        devices::Devices,
        failure::{self, Failure},
        lvm::Enrolled,
        modules::Loader,
        panic,
        phase::Phase,
        pivot::udev_db,
        progress::Progress,
        report::{Launch, Outcome, Report},
        resume::proof::NotResumed,
        swap,
        unseal::sleep_state::{self, SleepState},
    },
    config::{Config, OnFailure, device::DeviceSpec},
    unlock::OpenVolume,
};

/// Where the last report is kept for the booted system.
const REPORT: &str = "/run/tao/boot.json";

/// What a boot has got hold of so far, so that a failure can let go of it.
pub(super) struct Boot {
    pub progress: Progress,
    pub report: Report,
    pub settings: Option<Settings>,
    /// From the command line alone, for failures before there are settings.
    pub report_to: Option<PathBuf>,
    pub on_failure: OnFailure,
    pub failure_delay: Duration,
    /// Which code the kernel was given, at the first look.
    pub acpi: acpi::Found,
    /// Where it was looked at.
    pub acpi_directory: Option<PathBuf>,
    /// What was found at a later look, if it was other than before.
    pub acpi_later: Option<acpi::Found>,
    pub root: Option<OpenVolume>,
    /// Those that were opened beside it.
    pub further: Vec<OpenVolume>,
    pub swap: bool,
}

impl Boot {
    /// The clock starts now.
    pub fn start() -> Self {
        let defaults = Config::default();
        Self {
            progress: Progress::start(),
            report: Report::default(),
            settings: None,
            report_to: None,
            on_failure: defaults.on_failure,
            failure_delay: Duration::from_secs(defaults.failure_delay.get()),
            acpi: acpi::Found::Unknown("they were not read".into()),
            acpi_directory: None,
            acpi_later: None,
            root: None,
            further: Vec::new(),
            swap: false,
        }
    }

    pub fn read_settings(&mut self) -> Result<Settings, config::SettingsError> {
        // Each part is kept as soon as it is known: it decides what a failure of the next does.
        let text = config::read_command_line()?;
        self.take_failure_words(&CommandLine::failure_words(&text));
        let line = CommandLine::parse(&text)?;
        let settings = Settings::merge(line, config::read_config()?)?;
        self.take_settings(settings.clone());
        for word in &settings.ignored {
            self.warn(format!(
                "{word} on the kernel command line is not supported; it is ignored"
            ));
        }
        Ok(settings)
    }

    pub fn take_settings(&mut self, settings: Settings) {
        self.on_failure = settings.on_failure;
        self.failure_delay = settings.failure_delay;
        self.settings = Some(settings);
        self.hold();
    }

    pub fn take_failure_words(&mut self, line: &CommandLine) {
        self.report_to = line.report.clone();
        self.on_failure = line.on_failure.unwrap_or(self.on_failure);
        if let Some(delay) = line.failure_delay {
            self.failure_delay = Duration::from_secs(delay.get());
        }
        self.hold();
    }

    pub fn warn(&mut self, text: String) {
        self.progress.warn(&text);
        self.report.warnings.push(text);
    }

    /// Which code the kernel was given in ACPI's tables, for the report, the boot event and the pin.
    pub fn read_acpi(&mut self, directory: &Path) {
        self.acpi = acpi::find(directory);
        self.acpi_directory = Some(directory.to_owned());
        let said = match &self.acpi {
            acpi::Found::Tables(tables) => {
                self.report.acpi = Some(tables.clone());
                format!("ACPI tables with code: {tables}")
            }
            acpi::Found::None => "no ACPI tables".to_owned(),
            acpi::Found::Unknown(why) => {
                let warning = format!("ACPI's tables cannot be read: {why}");
                return self.warn(warning);
            }
        };
        self.progress.done(Phase::Acpi, &said);
    }

    /// A suspend must not open the latch again. Without a launch there is nothing that it would
    /// give away.
    pub fn avoid_s3(&mut self, file: &Path) {
        if self.report.launch != Launch::Measured {
            return;
        }
        match sleep_state::avoid_s3(file) {
            Ok(SleepState::NothingToDo) => {}
            Ok(SleepState::Switched(from)) => self.progress.note(&format!(
                "suspend is to idle (s2idle) from now on, not {from}"
            )),
            Err(error) => self.warn(error.to_string()),
        }
    }

    /// Which volume group root is in. Copies of its metadata that are not used are worth a warning: with
    /// the next one nothing may be left.
    pub fn note_group(&mut self, group: &Enrolled) {
        self.report.volume_group = Some(group.metadata().into());
        for warning in group.warnings() {
            self.warn(warning.clone());
        }
    }

    /// A machine without its swap still boots; it is reported as a warning.
    pub fn open_swap(
        &mut self,
        _not_resumed: &NotResumed,
        spec: &DeviceSpec,
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
                    Phase::Swap,
                    &format!("swap on {} with a random key", device.name),
                );
            }
            Err(error) => self.warn(error.to_string()),
        }
    }

    /// Without it the machine boots too, only slower.
    pub fn announce_mappings(&mut self, root: &[&Path]) {
        let swap = self.swap.then(swap::mapping);
        let root = root.iter().map(|mapping| mapping.to_path_buf());
        let further: Vec<_> = self.further.iter().map(OpenVolume::path).collect();
        for mapping in root.chain(further).chain(swap) {
            if let Err(error) = udev_db::announce(&mapping) {
                let mapping = mapping.display();
                self.warn(format!(
                    "udev will not know that {mapping} is ready: {error}"
                ));
            }
        }
    }

    pub fn report_success(&mut self) {
        self.report.outcome = Outcome::Booted;
        self.report
            .set_times(self.progress.phases(), self.progress.elapsed());
        if let Err(error) = self.report.write_line(Path::new(REPORT), true) {
            self.warn(format!("{REPORT}: {error}"));
        }
        self.send_report();
        self.progress.done(Phase::Init, "starting the real init");
    }

    pub fn send_report(&mut self) {
        if let Some(device) = self.report_to.clone()
            && let Err(error) = self.report.write_line(&device, false)
        {
            self.warn(format!("report to {}: {error}", device.display()));
        }
    }

    /// Lets go of everything, says why, and carries out the failure policy.
    pub fn fail(&mut self, failure: &Failure) -> ! {
        self.progress.error(&format!(
            "boot stopped in phase {}: {failure}",
            failure.phase
        ));
        // No open LUKS device survives a failed boot.
        for warning in close::close(&self.volume_names()) {
            self.warn(warning);
        }
        let left_open = close::left_open();
        if !left_open.is_empty() {
            self.warn(format!("still open: {}", left_open.join(", ")));
        }
        self.report.left_open = Some(left_open);
        self.report.outcome = Outcome::Failed;
        self.report.phase = Some(failure.phase);
        self.report.reason = Some(failure.reason.clone());
        self.report.action = Some(match self.on_failure {
            OnFailure::Poweroff => OnFailure::Poweroff,
            OnFailure::Reboot | OnFailure::Prompt => OnFailure::Reboot,
        });
        self.report
            .set_times(self.progress.phases(), self.progress.elapsed());
        self.send_report();
        failure::carry_out(self.on_failure, self.failure_delay, &mut self.progress)
    }

    /// What a panic would have to know from now on.
    fn hold(&self) {
        panic::hold(|held| {
            held.on_failure = self.on_failure;
            held.delay = self.failure_delay;
            held.volumes = self.volume_names();
        });
    }

    /// The names of the volumes' mappings, open or not.
    fn volume_names(&self) -> Vec<String> {
        let volumes = self.settings.iter().map(|settings| &settings.volumes);
        volumes
            .flat_map(|volumes| std::iter::once(&volumes.first).chain(&volumes.further))
            .map(|volume| volume.name.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_is_switched_off_after_a_measured_launch_and_the_owners_choice_otherwise() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (launch, state) in [
            (Launch::Measured, "s2idle"),
            (Launch::Unmeasured, "s2idle [deep]"),
            (Launch::None, "s2idle [deep]"),
        ] {
            std::fs::write(file.path(), "s2idle [deep]").unwrap();
            let mut boot = Boot::start();
            boot.report.launch = launch;
            boot.avoid_s3(file.path());
            let written = std::fs::read_to_string(file.path()).unwrap();
            assert_eq!(written, state, "{launch:?}");
        }
        // What cannot be done is said where the booted system looks, too.
        std::fs::write(file.path(), "[deep]").unwrap();
        let mut boot = Boot::start();
        boot.report.launch = Launch::Measured;
        boot.avoid_s3(file.path());
        assert!(boot.report.warnings[0].contains("may be S3"));
    }
}
