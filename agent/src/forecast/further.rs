//! What /init and systemd will do with the further volumes.

use storage::{crypttab::CryptLine, device_name};

use super::{
    Forecast,
    system::{APPLY, IsFurther, System, is_enrolled, quoted, same_uuid},
};
use crate::{boot::config::VolumeSettings, config::device::DeviceSpec};

impl Forecast {
    pub(super) fn judge_further(&mut self, further: &[VolumeSettings], system: &System<'_>) {
        for volume in further {
            let device = quoted(&volume.device.to_string());
            match (system.is_further)(&volume.device) {
                IsFurther::Enrolled => {}
                IsFurther::Unknown => self.notes.push(format!(
                    "whether /init can open {} ({device}) cannot be told, because it cannot be read here",
                    quoted(&volume.name)
                )),
                IsFurther::NotEnrolled => self.notes.push(format!(
                    "/init does not open {} ({device}), because it is not enrolled with this volume: `taoboot add-volume` enrols it",
                    quoted(&volume.name)
                )),
            }
            let lines = system.crypttab.iter().filter(|line| line.at_boot());
            for line in
                lines.filter(|line| is_about(line, &volume.device) && line.name != volume.name)
            {
                let other = quoted(&line.name);
                self.asks.push(format!(
                    "/init opens {device} as {}, but /etc/crypttab calls it {other}: systemd asks for its passphrase a second time, and no passphrase opens a volume that is in use: name it {other} for /init (rd.luks.name= or name = in its [[volume]]), {APPLY}",
                    quoted(&volume.name)
                ));
            }
        }
        let early = system.crypttab.iter().filter(|line| line.in_initramfs());
        for line in early.filter(|line| !is_enrolled(&line.device, system)) {
            if !further.iter().any(|volume| is_about(line, &volume.device)) {
                self.notes.push(format!(
                    "/etc/crypttab wants {} in the initramfs, but neither the command line nor the configuration of the image names it for /init: systemd opens it later, as crypttab says",
                    quoted(&line.name)
                ));
            }
        }
    }
}

fn is_about(line: &CryptLine, device: &DeviceSpec) -> bool {
    match (device, device_name::uuid(&line.device)) {
        (DeviceSpec::Uuid(uuid), Some(named)) => same_uuid(&named, uuid),
        _ => line.device == device.to_string(),
    }
}
