//! What the machine's files say: processor, tboot, SINIT, GRUB, configuration, images, records.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use txt::acm::{Acm, ModuleKind};

use super::finding::{Finding, State};
use crate::pins::{image_config, state::PinState};

/// Longest file that is read; a grub.cfg has some kilobytes, a SINIT module up to 256 KiB.
const LONGEST: u64 = 16 << 20;
const REFRESH: &str = "/usr/lib/taoboot/kernel refresh";

/// In the order in which they are needed.
pub fn before_the_tpm(root: &Path) -> Vec<Finding> {
    vec![processor(root), tboot(root), sinit(root)]
}

/// Those that come after the volume.
pub fn after_the_volume(root: &Path) -> Vec<Finding> {
    vec![
        configuration(root),
        grub(root),
        images(root),
        exists(
            root,
            "policy",
            "etc/taoboot/vlp.pol",
            "`tboot-policy from-grub --measure-only --output /etc/taoboot/vlp.pol ENTRY`, then `lcp nv apply --vlp /etc/taoboot/vlp.pol`: with tboot's own policy PCR 19 stays empty",
        ),
    ]
}

/// What only a measured launch tells.
pub fn platform(root: &Path) -> Finding {
    exists(
        root,
        "platform",
        "var/lib/taoboot/platform.json",
        "after a measured launch `tboot-policy record --output /var/lib/taoboot/platform.json`",
    )
}

/// The flags that the kernel lists.
fn processor(root: &Path) -> Finding {
    const WHAT: &str = "processor";
    let text = match bounded(&root.join("proc/cpuinfo")) {
        Ok(text) => text,
        Err(error) => {
            return Finding::unknown(
                WHAT,
                format!("/proc/cpuinfo: {error}"),
                "look at the processor's data sheet for Intel TXT",
            );
        }
    };
    let text = String::from_utf8_lossy(&text);
    let flags = text
        .lines()
        .find_map(|line| line.strip_prefix("flags")?.split_once(':'))
        .map_or("", |(_, flags)| flags);
    let has = |flag: &str| flags.split_whitespace().any(|found| found == flag);
    match (has("smx"), has("vmx")) {
        (true, true) => Finding::ready(WHAT, "Intel TXT (smx, vmx)"),
        (false, _) => Finding::missing(
            WHAT,
            "no smx among its flags: it has no Intel TXT, or it runs in a virtual machine",
            "use a machine with Intel TXT (vPro, or a server)",
        ),
        (true, false) => Finding::missing(
            WHAT,
            "smx, but no vmx among its flags",
            "switch virtualization (VT-x) and TXT on in the firmware",
        ),
    }
}

fn tboot(root: &Path) -> Finding {
    let found = names(&root.join("boot"), |name| {
        name.starts_with("tboot") && name.ends_with(".gz")
    });
    match found.as_slice() {
        [] => Finding::missing(
            "tboot",
            "no /boot/tboot*.gz",
            "install tboot (Debian package tboot)",
        ),
        some => Finding::ready("tboot", some.join(", ")),
    }
}

/// Whether the chipset is right only TXT's registers tell.
fn sinit(root: &Path) -> Finding {
    const WHAT: &str = "SINIT";
    let boot = root.join("boot");
    let files = names(&boot, |name| name.to_ascii_lowercase().contains("sinit"));
    let mut modules = Vec::new();
    let mut others = Vec::new();
    for name in files {
        let kind =
            bounded(&boot.join(&name)).map(|bytes| Acm::parse(&bytes).map(|acm| acm.info().kind));
        match kind {
            Ok(Ok(ModuleKind::Sinit)) => modules.push(name),
            Ok(Ok(_)) => others.push(format!("{name} is another kind of module")),
            Ok(Err(error)) => others.push(format!("{name}: {error}")),
            Err(error) => others.push(format!("{name}: {error}")),
        }
    }
    let todo = "servers have it in the firmware; for others get the module of the chipset from Intel, and `taoboot trust FILE --sha256 DIGEST`";
    match (modules.as_slice(), others.as_slice()) {
        ([], []) => Finding::unknown(WHAT, "no module in /boot", todo),
        ([], others) => Finding::missing(WHAT, others.join("; "), todo),
        (modules, _) => Finding::ready(WHAT, modules.join(", ")),
    }
}

fn configuration(root: &Path) -> Finding {
    const WHAT: &str = "config";
    let file = root.join("etc/taoboot/image.toml");
    let shown = "/etc/taoboot/image.toml";
    match image_config::read(&file) {
        Ok(None) => Finding::missing(
            WHAT,
            format!("no {shown}"),
            format!(
                "`cp /usr/share/doc/taoboot/examples/image.toml {shown}`, and name the volume in it"
            ),
        ),
        Err(error) => Finding::missing(WHAT, format!("{error:#}"), format!("repair {shown}")),
        Ok(Some(next)) => match next.parsed {
            Err(error) => Finding::missing(WHAT, error.to_string(), format!("repair {shown}")),
            Ok(config) => {
                let pins = PinState::of(&config, &file, root);
                let volumes = config.volume.len();
                Finding::ready(WHAT, format!("{shown} ({volumes} volumes named; {pins})"))
            }
        },
    }
}

/// What makes the menu's entries.
pub fn grub_script(root: &Path) -> Finding {
    const SCRIPT: &str = "etc/grub.d/20_linux_taoboot";
    let script = fs::metadata(root.join(SCRIPT));
    if script.is_ok_and(|script| script.permissions().mode() & 0o100 != 0) {
        Finding::ready("GRUB", format!("/{SCRIPT}"))
    } else {
        Finding::missing(
            "GRUB",
            format!("no /{SCRIPT} that can be executed"),
            "install the package taoboot",
        )
    }
}

fn grub(root: &Path) -> Finding {
    const WHAT: &str = "GRUB";
    let script = grub_script(root);
    if script.state != State::Ready {
        return script;
    }
    let places = ["boot/grub/grub.cfg", "boot/grub2/grub.cfg"];
    let menu = places
        .iter()
        .find_map(|place| bounded(&root.join(place)).ok());
    match menu {
        Some(menu) if contains(&menu, b"'taoboot-tboot") => {
            Finding::ready(WHAT, "the menu has measured entries")
        }
        Some(_) => Finding::missing(
            WHAT,
            "the menu has no measured entry",
            format!("`{REFRESH}`"),
        ),
        None => Finding::missing(
            WHAT,
            "no grub.cfg in /boot/grub or /boot/grub2",
            format!("`{REFRESH}`"),
        ),
    }
}

fn images(root: &Path) -> Finding {
    let found = names(&root.join("boot"), |name| {
        name.starts_with("initrd-taoboot")
    });
    match found.as_slice() {
        [] => Finding::missing(
            "images",
            "no /boot/initrd-taoboot-*",
            format!("`{REFRESH}`"),
        ),
        some => Finding::ready("images", some.join(", ")),
    }
}

fn exists(root: &Path, what: &'static str, place: &str, todo: &str) -> Finding {
    if root.join(place).is_file() {
        Finding::ready(what, format!("/{place}"))
    } else {
        Finding::missing(what, format!("no /{place}"), todo)
    }
}

/// The names in a directory, in order; none where it cannot be read.
fn names(directory: &Path, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| wanted(name))
        .collect();
    names.sort();
    names
}

fn contains(text: &[u8], words: &[u8]) -> bool {
    text.windows(words.len()).any(|window| window == words)
}

fn bounded(path: &PathBuf) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}
