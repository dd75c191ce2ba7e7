//! Words of /etc/default/grub reach the kernel as the administrator meant them, whatever is in them.

use tboot_policy::grub::cmdline::loader_cmdline;
use test_support::grub_machine::quoted;

use crate::machine::{Machine, Menus, text};

/// Numbers that look random and are the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % limit as u64).unwrap()
    }
}

#[test]
fn every_word_reaches_the_kernel_as_it_was_meant() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let mut words: Vec<String> = [
        "dyndbg=file drivers/usb/* +p",
        "memmap=1G$4G",
        "it's",
        "say=\"x\"",
        "back\\slash",
        "semi;colon",
        "a|b&c<d>e",
        "{brace}",
        "#hash",
        "x#y",
        "größe=schön",
        "$root",
        "${root}",
        "$(id)",
        "`id`",
        "*",
        "?",
        "[a-z]",
        "~",
        "!",
        "if",
        "fi",
        "menuentry",
        "a=",
        "=",
        "''",
        "\\",
        "\\\\",
        "trailing\\",
        "-x",
        "--",
        "%v",
        "%s",
        "&",
        "\\x20",
        "a\tb",
    ]
    .map(str::to_owned)
    .into();
    let signs: Vec<char> = " !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~äß"
        .chars()
        .collect();
    let mut random = Random(1);
    for _ in 0..150 {
        let len = 1 + random.below(9);
        words.push((0..len).map(|_| signs[random.below(signs.len())]).collect());
    }
    let line: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    let line = line.join(" ");
    machine.write(
        "etc/default/grub",
        &format!("GRUB_CMDLINE_LINUX={}\n", quoted(&line)),
    );
    machine.write(
        "etc/default/grub-taoboot",
        &format!(
            "GRUB_TAOBOOT_CMDLINE_TBOOT={}\nGRUB_TAOBOOT_CMDLINE_LINUX=\nGRUB_TAOBOOT_ROOT='LABEL=a b'\n",
            quoted(&line)
        ),
    );
    let entry = machine.first();
    let bytes = |words: &[String]| {
        words
            .iter()
            .map(|w| w.clone().into_bytes())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        text(&entry.loader.cmdline),
        text(&loader_cmdline(&bytes(&words)))
    );
    let kernel = text(&entry.modules[0].cmdline);
    let expected = text(&loader_cmdline(&bytes(&words)));
    // The empty setting of ours leaves tboot's default.
    assert_eq!(
        kernel,
        format!("\"root=LABEL=a b\" ro mem_sleep_default=s2idle {expected} intel_iommu=on")
    );
}

#[test]
fn a_quote_without_an_end_is_a_character() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.write(
        "etc/default/grub",
        "GRUB_CMDLINE_LINUX=\"it's a=b\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"isn't  c\"\n",
    );
    let cmdline = text(&machine.first().modules[0].cmdline);
    assert_eq!(
        cmdline,
        "root=/dev/sda1 ro mem_sleep_default=s2idle it\\'s a=b isn\\'t c intel_iommu=on"
    );
}
