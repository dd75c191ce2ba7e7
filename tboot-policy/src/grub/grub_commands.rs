//! Commands of GRUB's own, by name.

/// Commands that run another script or menu, which may do anything and add entries that the file
/// does not show.
pub(super) fn adds_entries(command: &str) -> bool {
    const COMMANDS: [&str; 14] = [
        "source",
        ".",
        "eval",
        "configfile",
        "normal",
        "blscfg",
        "bls_import",
        "uki",
        "extract_entries_source",
        "extract_entries_configfile",
        "legacy_source",
        "legacy_configfile",
        "syslinux_source",
        "syslinux_configfile",
    ];
    COMMANDS.contains(&command)
}

/// Commands of GRUB's own that load something, or stand in every entry.
pub(super) fn is_command(name: &str) -> bool {
    const COMMANDS: [&str; 11] = [
        "multiboot",
        "multiboot2",
        "module",
        "module2",
        "linux",
        "initrd",
        "chainloader",
        "boot",
        "insmod",
        "echo",
        "true",
    ];
    COMMANDS.contains(&name) || adds_entries(name)
}
