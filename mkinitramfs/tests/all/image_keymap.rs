//! The keymap of an image, through the builder's command line. Programs stand in for loadkeys and ckbcomp that
//! say what they were asked for; what the real ones write is in storage's vectors.

use std::{fs, process::Command};

use crate::image_fixture::{Fixture, image, refusal, run};

const GERMAN: &[u8] = include_bytes!("../../../storage/tests/vectors/keymap/de-nodeadkeys");

/// A fixture whose tools are these two; `None`: not installed.
struct Tools(Fixture);

impl Tools {
    fn new(loadkeys: Option<&str>, ckbcomp: Option<&str>) -> Self {
        let fixture = Fixture::new();
        fs::create_dir(fixture.path("bin")).unwrap();
        fs::write(fixture.path("german"), GERMAN).unwrap();
        for (name, script) in [("loadkeys", loadkeys), ("ckbcomp", ckbcomp)] {
            if let Some(script) = script {
                let whole = format!("#!/bin/sh\necho \"{name} $*\" >>\"$TOP/calls\"\n{script}\n");
                fixture.program(&format!("bin/{name}"), whole.as_bytes());
            }
        }
        Self(fixture)
    }

    fn command(&self, console: &str) -> Command {
        let config = format!("[console]\n{console}\n");
        fs::write(self.0.path("taoboot.toml"), config).unwrap();
        let mut command = self.0.command(&self.0.path("initrd.img"), &[]);
        command
            .env("PATH", self.0.path("bin"))
            .env("TOP", self.0.top.path());
        command
    }

    fn keymap(&self) -> Vec<u8> {
        let mut cat = image();
        cat.arg("cat")
            .arg(self.0.path("initrd.img"))
            .arg("/etc/taoboot.keymap");
        run(&mut cat).stdout
    }
}

const GIVES: &str = "read -r text; echo \"$text\" >>\"$TOP/calls\"; exec /bin/cat \"$TOP/german\"";

#[test]
fn a_named_keymap_is_made_by_loadkeys_and_xkbs_names_by_both() {
    let tools = Tools::new(Some(GIVES), Some("echo keymaps"));
    run(&mut tools.command("keymap = \"de-latin1\""));
    assert_eq!(tools.keymap(), GERMAN);
    let xkb = "xkb_layout = \"de,us\"\nxkb_variant = \"nodeadkeys,\"\nxkb_model = \"pc105\"";
    run(&mut tools.command(xkb));
    assert_eq!(tools.keymap(), GERMAN);
    let calls = fs::read_to_string(tools.0.path("calls")).unwrap();
    assert_eq!(
        calls
            .lines()
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>(),
        [
            "loadkeys --quiet --unicode --bkeymap de-latin1",
            "ckbcomp -compact -layout de,us -model pc105 -variant nodeadkeys,",
            "loadkeys --quiet --unicode --bkeymap -",
            "keymaps",
        ]
    );
    // Without a word of it there is no keymap, and no tool is needed.
    let none = Tools::new(None, None);
    run(&mut none.command(""));
    let mut cat = image();
    cat.arg("cat")
        .arg(none.0.path("initrd.img"))
        .arg("/etc/taoboot.keymap");
    assert!(!cat.output().unwrap().status.success());
}

#[test]
fn a_missing_tool_a_wrong_name_and_what_is_no_keymap_are_one_sentence() {
    let (de, xkb) = ("keymap = \"de\"", "xkb_layout = \"de\"");
    let fails = "echo 'cannot open file de' >&2; exit 1";
    for (loadkeys, ckbcomp, console, said) in [
        (
            None,
            None,
            de,
            "loadkeys is not installed (Debian package kbd)",
        ),
        (
            Some(GIVES),
            None,
            xkb,
            "ckbcomp is not installed (Debian package console-setup)",
        ),
        (
            Some(fails),
            None,
            de,
            "keymap \"de\" cannot be taken into the image (an empty [console] in the config says that none is wanted): loadkeys failed (exit status: 1): cannot open file de",
        ),
        (
            Some(GIVES),
            Some("exit 2"),
            xkb,
            "ckbcomp failed (exit status: 2): it said nothing",
        ),
        (
            Some("echo keymaps"),
            None,
            de,
            "what loadkeys wrote: it is not a binary keymap",
        ),
        (Some(""), None, de, "it is not a binary keymap"),
    ] {
        let tools = Tools::new(loadkeys, ckbcomp);
        let sentence = refusal(&mut tools.command(console));
        assert!(sentence.contains(said), "{sentence}");
        assert!(!tools.0.path("initrd.img").exists());
    }
}
