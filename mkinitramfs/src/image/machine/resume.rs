//! Hibernation is not taken over: it keeps all of the memory, the Tao host's secrets included, on the disk,
//! which nobody should get for having had a `resume=` from the installer. It is named.

use std::{fs::File, io::Read as _, path::Path};

/// Longer than any command line of Linux.
const LONGEST: u64 = 64 << 10;
/// Where Debian's installer puts it.
const OF_DEBIAN: &str = "etc/initramfs-tools/conf.d/resume";

/// What the swap that the machine resumes from until now would need.
pub(super) fn hint(root: &Path, given: &toml::Table) -> Option<String> {
    if given
        .get("swap")
        .and_then(|swap| swap.get("resume"))
        .is_some()
    {
        return None;
    }
    let (device, place) = of_running(root).or_else(|| of_debian(root))?;
    // It goes between quotation marks of TOML.
    let shown = printable::line(device.replace('"', "?")).to_string();
    Some(format!(
        "the machine resumes from {shown} ({place}), /init does not: with resume = true and device = \"{shown}\" in [swap] it would, if that is on an enrolled volume (taoboot-init(8), HIBERNATION)"
    ))
}

fn of_running(root: &Path) -> Option<(String, &'static str)> {
    let text = text(root, "proc/cmdline")?;
    let words = text.split_whitespace().take_while(|word| *word != "--");
    let device = words
        .filter_map(|word| word.strip_prefix("resume="))
        .last()?;
    Some((device.to_owned(), "resume= of the running system"))
}

fn of_debian(root: &Path) -> Option<(String, &'static str)> {
    let text = text(root, OF_DEBIAN)?;
    let mut values = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("RESUME="));
    let device = values.next_back()?.trim_matches(['"', '\'']);
    // It guesses, or does not resume.
    if ["", "auto", "none"].contains(&device) {
        return None;
    }
    Some((device.to_owned(), "/etc/initramfs-tools/conf.d/resume"))
}

/// A file that may be missing; one that cannot be read says as little of resuming.
fn text(root: &Path, path: &str) -> Option<String> {
    let mut text = String::new();
    let file = File::open(root.join(path)).ok()?;
    file.take(LONGEST).read_to_string(&mut text).ok()?;
    Some(text)
}
