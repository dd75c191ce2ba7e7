//! The kernel hook between two renames: new images under the present menu's command lines.

use crate::hook_machine::{HookMachine, KERNELS};

#[test]
fn what_is_between_the_renames_is_sealed_to_as_well() {
    let Some(m) = HookMachine::new() else { return };
    m.forget_calls();
    m.machine.write("etc/taoboot/image.toml", "# two\n");
    m.machine
        .write("etc/default/grub", "GRUB_CMDLINE_LINUX=quiet\n");
    let run = m.run(&["refresh"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    m.assert_every_entry_unlocks("after refresh");
    let image = |version| format!("/boot/initrd-taoboot-{version}");
    let entries: String = KERNELS
        .iter()
        .map(|version| format!(" --entry taoboot-tboot-{version}"))
        .collect();
    let coming: String = KERNELS
        .map(image)
        .iter()
        .map(|image| format!(" --replace {image}={image}.taoboot-new"))
        .collect();
    let settings = "--platform /var/lib/taoboot/platform.json --boot-menu /boot/grub/grub.cfg";
    let seal = format!("reseal --pending --skip-unknown {settings} --grub-config /var/lib/taoboot");
    // The present menu is the copy that was kept, never what lies in /boot.
    assert_eq!(
        m.calls(),
        [
            format!("{seal}/grub.cfg{coming}{entries}"),
            format!("{seal}/grub.cfg{entries} --keep 0"),
            format!("{seal}/work/grub.cfg{entries}"),
            format!("{seal}/grub.cfg{entries} --keep 0"),
            "check-next-boot --platform /var/lib/taoboot/platform.json --grub-config /boot/grub/grub.cfg"
                .into(),
        ]
    );
    for version in KERNELS {
        assert_eq!(m.image(version), format!("image of {version}\n# two\n"));
    }
}

/// Which command lines it would be is not known then: the menu in /boot is somebody else's.
#[test]
fn what_is_between_the_renames_is_not_sealed_to_where_the_menu_is_not_the_kept_one() {
    let Some(m) = HookMachine::new() else { return };
    m.machine
        .write("boot/grub/grub.cfg", &format!("{}# more\n", m.config()));
    m.machine.write("etc/taoboot/image.toml", "# two\n");
    m.machine
        .write("etc/default/grub", "GRUB_CMDLINE_LINUX=quiet\n");
    m.forget_calls();
    let run = m.run(&["refresh"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let said = "grub.cfg is not the menu that this script wrote last: nothing is sealed to its command lines";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    let mut calls = m.calls();
    calls.retain(|call| call.starts_with("reseal") && !call.contains("--keep"));
    assert_eq!(calls.len(), 1, "{calls:?}");
    let new_menu = "--grub-config /var/lib/taoboot/work/grub.cfg --replace";
    assert!(calls[0].contains(new_menu), "{calls:?}");
    m.assert_every_entry_unlocks("after refresh");
}
