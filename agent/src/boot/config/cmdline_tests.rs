//! What the reader of the command line understands, and what it refuses.

use super::*;
use proptest::prelude::*;

const UUID: &str = "0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";

#[test]
fn a_wrong_line_still_says_what_its_failure_does_and_nothing_more() {
    let text = "root=/dev/vda nonsense taoboot.on_failur=x taoboot.on_failure=poweroff \
        taoboot.failure_delay=soon taoboot.report=/dev/ttyS1 -- taoboot.failure_delay=7";
    assert!(CommandLine::parse(text).is_err());
    let line = CommandLine::failure_words(text);
    assert_eq!(line.on_failure, Some(OnFailure::Poweroff));
    assert_eq!(line.report.unwrap(), std::path::Path::new("/dev/ttyS1"));
    assert!(line.failure_delay.is_none() && line.root.is_none());
}

#[test]
fn the_usual_words_are_understood() {
    let line = CommandLine::parse(&format!(
        "root=/dev/mapper/root rootfstype=auto,ext4 rootflags=noatime ro quiet rd.luks.name={UUID}=root \
         console=ttyS0 virtio_blk.num-request-queues=1 taoboot.report=/dev/ttyS1 init=/bin/systemd -- single rw\n"
    ))
    .unwrap();
    assert_eq!(line.root.unwrap().to_string(), "/dev/mapper/root");
    assert_eq!(line.rootfstype.as_deref(), Some("ext4"));
    assert_eq!(line.read_only, Some(true));
    assert_eq!(line.volumes[0].name.as_deref(), Some("root"));
    assert_eq!(line.init.unwrap(), PathBuf::from("/bin/systemd"));
    assert_eq!(
        line.module_parameters,
        [("virtio_blk".into(), "num-request-queues=1".into())]
    );
}

#[test]
fn quotes_keep_white_space_as_the_kernel_does() {
    let line = CommandLine::parse("root=\"LABEL=my root\" \"rootflags=a b\"").unwrap();
    assert_eq!(line.root, Some(DeviceSpec::Label("my root".into())));
    assert_eq!(line.rootflags.as_deref(), Some("a b"));
}

#[test]
fn an_unknown_taoboot_word_is_refused() {
    for word in ["taoboot.on_failur=reboot", "taoboot.debug", "taoboot"] {
        assert_eq!(
            CommandLine::parse(word),
            Err(CommandLineError::UnknownWord(word.into()))
        );
    }
}

#[test]
fn bad_values_are_refused_with_their_word() {
    for word in [
        "root=nonsense",
        "root=UUID=zz",
        "taoboot.on_failure=shell",
        "taoboot.no_tpm=yes",
        "taoboot.failure_delay=soon",
        "taoboot.report=/etc/passwd",
        "taoboot.report=/dev/../etc/x",
        "init=sh",
        "rd.luks.name=abc",
        "rd.md.uuid=abc",
    ] {
        assert!(CommandLine::parse(word).is_err(), "{word}");
    }
}

#[test]
fn several_words_for_one_volume_are_one_volume() {
    let other = "1b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";
    let text = format!(
        "rd.luks.uuid=luks-{UUID} rd.luks.name={UUID}=disk rd.luks.options={UUID}=discard,tries=3,luks \
         rd.luks.uuid=luks-{other}"
    );
    let line = CommandLine::parse(&text).unwrap();
    let names: Vec<_> = line
        .volumes
        .iter()
        .map(|volume| volume.name.clone())
        .collect();
    assert_eq!(names, [Some("disk".into()), Some(format!("luks-{other}"))]);
    assert_eq!(line.volumes[0].options, Some(vec![VolumeOption::Discard]));
    assert_eq!(
        line.ignored,
        [format!(
            "tries=3 in rd.luks.options={UUID}=discard,tries=3,luks"
        )]
    );
    let many: String = (0..33)
        .map(|number| format!("rd.luks.uuid=0b5bbd4a-6d7a-4b4b-9d5d-0000000000{number:02} "))
        .collect();
    assert_eq!(
        CommandLine::parse(&many),
        Err(CommandLineError::TooManyVolumes)
    );
}

#[test]
fn options_with_values_are_not_taken_for_a_uuid_and_a_detached_header_is_refused() {
    let line = CommandLine::parse("rd.luks.options=discard,tries=3").unwrap();
    assert_eq!(line.volume_options, Some(vec![VolumeOption::Discard]));
    assert_eq!(line.ignored, ["tries=3 in rd.luks.options=discard,tries=3"]);
    assert!(line.volumes.is_empty());
    for options in ["discard,header=/boot/h", &format!("{UUID}=header=/boot/h")] {
        let word = format!("rd.luks.options={options}");
        let error = CommandLine::parse(&word).unwrap_err().to_string();
        assert!(error.contains("detached header"), "{error}");
    }
}

proptest! {
    #[test]
    fn no_command_line_makes_the_parser_panic(text in "\\PC{0,300}") {
        // Refusing is fine; the property is that it returns.
        drop(CommandLine::parse(&text));
    }
}
