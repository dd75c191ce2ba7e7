//! crypttab as installers and administrators write it.

use proptest::prelude::*;
use storage::{
    crypttab::{CryptLine, CryptOption, Dialect, Key, Name, Value, read},
    device_name::{node, uuid},
};

fn line(options: &str) -> CryptLine {
    let text = format!("# <target>\n\nroot UUID=1 none {options}\n");
    read(&text).unwrap().remove(0)
}

fn typed(options: &str) -> Vec<CryptOption> {
    line(options).typed_options().unwrap()
}

fn refused(options: &str) -> String {
    line(options).typed_options().unwrap_err().to_string()
}

#[test]
fn the_lines_that_installers_write_are_read() {
    let lines = read(
        "# <target> <source>\n\nsda3_crypt UUID=0B5BBD4A-6d7a none luks,discard,x-initrd.attach\n\
         \tdata\t/dev/sdb1 /etc/key noauto,luks\nswap PARTUUID=\"a-1\" /dev/urandom swap\nalone\n",
    )
    .unwrap();
    assert_eq!(lines.len(), 3);
    assert_eq!(uuid(&lines[0].device).unwrap(), "0b5bbd4a-6d7a");
    assert!(lines[0].at_boot() && !lines[1].at_boot());
    assert!(lines[0].in_initramfs() && !lines[1].in_initramfs());
    assert_eq!(node(&lines[2].device).unwrap(), "/dev/disk/by-partuuid/a-1");
    assert_eq!((lines[0].number, lines[2].number), (3, 5));
    let names: Vec<&str> = lines[0]
        .typed_options()
        .unwrap()
        .iter()
        .map(|one| one.name.text())
        .collect();
    assert_eq!(names, ["luks", "discard", "x-initrd.attach"]);
}

#[test]
fn keys_are_told_apart_as_systemd_does() {
    let key = |text: &str| {
        let lines = read(&format!("a /dev/b {text}\n")).unwrap();
        lines[0].key()
    };
    let file = |path: &str, device: Option<&str>| Key::File {
        path: path.to_owned(),
        device: device.map(str::to_owned),
    };
    assert_eq!(key(""), Key::Asked);
    assert_eq!(key("-"), Key::Asked);
    assert_eq!(key("none"), Key::Asked);
    assert_eq!(key("/dev/urandom"), Key::Random);
    assert_eq!(key("/etc/key"), file("/etc/key", None));
    assert_eq!(key("/key:LABEL=usb"), file("/key", Some("LABEL=usb")));
    assert_eq!(key("/a:b:/dev/sdb1"), file("/a:b", Some("/dev/sdb1")));
    assert_eq!(key("/a:b"), file("/a:b", None));
    assert_eq!(key("main"), Key::Argument("main".to_owned()));
}

#[test]
fn octal_escapes_are_decoded_for_debian() {
    let lines = read("my\\040disk LABEL=a\\040b none luks\n").unwrap();
    assert_eq!(lines[0].name, "my\\040disk");
    let decoded = lines[0].decoded();
    assert_eq!(
        (decoded.name.as_str(), decoded.device.as_str()),
        ("my disk", "LABEL=a b")
    );
}

#[test]
fn options_have_their_values() {
    let value = |options: &str| typed(options).remove(0).value;
    assert_eq!(value("tries=0"), Value::Number(0));
    assert_eq!(
        value("header=/boot/h\\,1"),
        Value::Text("/boot/h,1".to_owned())
    );
    assert_eq!(
        value("timeout=1min 30s".split(' ').next().unwrap()),
        Value::Seconds(Some(60))
    );
    assert_eq!(value("token-timeout=0"), Value::Seconds(None));
    assert_eq!(value("headless"), Value::Switch(true));
    assert_eq!(value("tpm2-pin=no"), Value::Switch(false));
    assert_eq!(value("tmp"), Value::None);
    assert_eq!(value("tmp=xfs"), Value::Text("xfs".to_owned()));
    for none in ["", "-", "none", ",,", "x-systemd.requires=a.service"] {
        assert_eq!(typed(none), [], "{none}");
    }
}

#[test]
fn aliases_are_the_option_that_they_mean() {
    for (alias, name) in [
        ("readonly", Name::ReadOnly),
        ("allow-discards", Name::Discard),
        ("keyslot=3", Name::KeySlot),
        ("veracrypt", Name::TcryptVeraCrypt),
        ("tcrypthidden", Name::TcryptHidden),
    ] {
        assert_eq!(typed(alias)[0].name, name);
    }
}

#[test]
fn what_only_one_of_the_two_understands_is_known() {
    assert_eq!(Name::KeyScript.dialect(), Dialect::Debian);
    assert_eq!(Name::Initramfs.dialect(), Dialect::Debian);
    assert_eq!(Name::Tpm2Device.dialect(), Dialect::Systemd);
    assert_eq!(Name::Luks.dialect(), Dialect::Both);
}

#[test]
fn an_option_that_is_not_understood_is_named_with_its_line() {
    assert_eq!(
        refused("luks,trim"),
        "line 3: the option \"trim\" is not known"
    );
    assert_eq!(
        refused("tries=three"),
        "line 3: the option \"tries=three\" has no whole number as its value"
    );
    for wrong in [
        "luks=yes",
        "tries",
        "tries=",
        "tries=-1",
        "tries=+1",
        "tries=99999999999999999999",
        "cipher",
        "tpm2-pin=maybe",
        "tpm2-pin",
        "timeout=1parsec",
        "timeout=",
        "timeout",
        "timeout=99999999999999999999h",
        "LUKS",
        "tries =1",
        "x-initrd.attached",
        "=",
    ] {
        let text = refused(wrong);
        let first = wrong.split(' ').next().unwrap();
        assert!(
            text.starts_with("line 3: ") && text.contains(first),
            "{wrong}: {text}"
        );
    }
}

/// Names in both manual pages (Debian's cryptsetup 2.6.1, systemd 260).
const MANUAL_PAGES: &str = "cipher= size= sector-size= hash= offset= skip= keyfile-offset= keyfile-size= keyslot= \
    key-slot= header= verify readonly read-only tries= discard luks plain bitlk fvault2 tcrypt veracrypt \
    tcrypt-veracrypt tcrypthidden tcrypt-hidden same-cpu-crypt submit-from-crypt-cpus no-read-workqueue \
    no-write-workqueue swap tmp tmp= check check= checkargs= initramfs noearly noauto loud quiet keyscript= \
    keyfile-erase keyfile-timeout= link-volume-key= _netdev nofail tcrypt-keyfile= tcrypt-system veracrypt-pim= \
    timeout= x-systemd.device-timeout= headless= password-echo= password-cache= pkcs11-uri= fido2-device= \
    fido2-cid= fido2-rp= fido2-pin= fido2-up= fido2-uv= tpm2-device= tpm2-pcrs= tpm2-pin= tpm2-signature= \
    tpm2-pcrlock= tpm2-measure-pcr= tpm2-measure-bank= tpm2-measure-keyslot-nvpcr= token-timeout= \
    try-empty-password= x-initrd.attach fixate-volume-key= auto fail";

#[test]
fn every_option_of_both_manual_pages_is_known() {
    for option in MANUAL_PAGES.split_whitespace() {
        // 1 is a number, a time, a switch and a text.
        let written = if option.ends_with('=') {
            format!("{option}1")
        } else {
            option.to_owned()
        };
        assert_eq!(typed(&written).len(), 1, "{option}");
    }
}

proptest! {
    #[test]
    fn fields_are_words_of_the_text(text in "([ -~]|\\PC|[\t\n\r#\\\\]){0,200}") {
        for line in read(&text).unwrap() {
            prop_assert!(text.contains(&line.name) && text.contains(&line.device));
            prop_assert!(!line.name.contains(char::is_whitespace) || !line.name.is_ascii());
            prop_assert!(!line.name.starts_with('#'));
            line.key();
            line.decoded();
        }
    }

    #[test]
    fn options_are_read_or_refused(options in "([a-z0-9=,\\\\-]|\\PC){0,60}") {
        let mut line = line("luks");
        line.options = options;
        if let Ok(found) = line.typed_options() {
            prop_assert!(found.len() <= line.options.len());
        }
    }
}
