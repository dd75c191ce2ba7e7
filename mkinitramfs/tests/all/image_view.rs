//! The image viewer against GNU cpio and the real compressors, both ways; and
//! hostile images.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::image_fixture::{Fixture, image, refusal, run};

/// Runs a filter over bytes.
fn filter(program: &str, args: &[&str], input: &[u8]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("input");
    fs::write(&path, input).unwrap();
    let mut command = Command::new(program);
    run(command.args(args).stdin(fs::File::open(&path).unwrap())).stdout
}

/// Unpackers of the real tools, by `--compress`.
const UNPACK: [(&str, &str, &[&str]); 4] = [
    ("zstd", "zstd", &["-dcq"]),
    ("gzip", "gzip", &["-dc"]),
    ("xz", "xz", &["-dc"]),
    ("lz4", "lz4", &["-dc"]),
];

#[test]
fn the_real_unpackers_and_gnu_cpio_read_our_images() {
    let fixture = Fixture::new();
    let plain = fixture.build(&["--compress", "none"]);
    let listed = String::from_utf8(filter("cpio", &["-it", "--quiet"], &plain)).unwrap();
    for path in [
        "init",
        "dev/console",
        "etc/taoboot.modules",
        "sysroot",
        "lib/modules/6.1.0-9-test/kernel/crypto/xts.ko",
    ] {
        assert!(listed.lines().any(|line| line == path), "{path}\n{listed}");
    }
    let mut sorted: Vec<_> = listed.lines().collect();
    sorted.sort_unstable();
    assert_eq!(sorted, listed.lines().collect::<Vec<_>>());
    let long = String::from_utf8(filter("cpio", &["-itvn", "--quiet"], &plain)).unwrap();
    assert!(
        long.contains("5,   1") && long.contains("-rwxr-xr-x   1 0        0"),
        "{long}"
    );
    for (form, tool, args) in UNPACK {
        let packed = fixture.build(&["--compress", form]);
        assert!(filter(tool, args, &packed) == plain, "{form}");
    }
}

/// A directory with one of everything an ordinary user can make.
fn sample(top: &Path) {
    fs::create_dir_all(top.join("usr/bin")).unwrap();
    fs::write(top.join("usr/bin/tool"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(top.join("usr/bin/tool"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(top.join("usr/empty"), "").unwrap();
    fs::write(top.join("usr/one"), "linked content").unwrap();
    fs::hard_link(top.join("usr/one"), top.join("usr/two")).unwrap();
    symlink("usr/bin", top.join("bin")).unwrap();
}

fn gnu_cpio(top: &Path, form: &str) -> Vec<u8> {
    let mut child = Command::new("sh");
    child.args([
        "-c",
        &format!("find . | LC_ALL=C sort | cpio -o --quiet -H {form}"),
    ]);
    run(child.current_dir(top).stdin(Stdio::null())).stdout
}

#[test]
fn images_of_gnu_cpio_and_every_compressor_are_read() {
    let top = tempfile::tempdir().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("initrd.img");
    sample(top.path());
    let packers: [(&str, &[&str]); 8] = [
        ("cat", &[]),
        ("gzip", &["-9c"]),
        ("zstd", &["-19qc"]),
        ("zstd", &["-1qc", "-T2"]),
        ("xz", &["--check=crc32", "-c"]),
        ("xz", &["--format=lzma", "-c"]),
        ("lz4", &["-lc"]),
        ("lz4", &["-l9c"]),
    ];
    for form in ["newc", "crc"] {
        let archive = gnu_cpio(top.path(), form);
        for (tool, args) in packers {
            // Behind a microcode archive, as initramfs-tools lays it out.
            let mut bytes = gnu_cpio(top.path(), "newc");
            bytes.extend(filter(tool, args, &archive));
            fs::write(&path, &bytes).unwrap();
            let output = run(image().arg("ls").arg("--json").arg(&path));
            let parts: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(parts.as_array().unwrap().len(), 2, "{form} {tool} {args:?}");
            let entries = parts[1]["entries"].as_array().unwrap();
            let names: Vec<_> = entries
                .iter()
                .map(|entry| entry["path"].as_str().unwrap())
                .collect();
            let listed = String::from_utf8(filter("cpio", &["-it", "--quiet"], &archive)).unwrap();
            assert_eq!(names, listed.lines().collect::<Vec<_>>());
            for name in ["usr/one", "/usr/two"] {
                let output = run(image().arg("cat").arg(&path).arg(name));
                assert_eq!(output.stdout, b"linked content", "{form} {tool}");
            }
        }
    }
    let text = String::from_utf8(run(image().arg("ls").arg(&path)).stdout).unwrap();
    assert!(
        text.contains("bin -> usr/bin") && text.contains("lz4"),
        "{text}"
    );
}

#[test]
fn what_is_extracted_is_what_was_packed() {
    let top = tempfile::tempdir().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (path, to) = (
        directory.path().join("initrd.img"),
        directory.path().join("out"),
    );
    sample(top.path());
    fs::write(&path, gnu_cpio(top.path(), "newc")).unwrap();
    run(image().arg("extract").arg(&path).arg("--to").arg(&to));
    run(Command::new("diff")
        .arg("-r")
        .arg("--no-dereference")
        .arg(top.path())
        .arg(&to));
    let mode = fs::metadata(to.join("usr/bin/tool"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o755);
    let sentence = refusal(image().arg("extract").arg(&path).arg("--to").arg(&to));
    assert!(sentence.contains("is not empty"), "{sentence}");
}

/// An archive of (name, mode, content).
fn archive(entries: &[(&str, u32, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, (name, mode, data)) in entries.iter().enumerate() {
        let builder = cpio::newc::Builder::new(name)
            .mode(*mode)
            .ino(u32::try_from(index).unwrap());
        let mut writer = builder.write(&mut out, u32::try_from(data.len()).unwrap());
        writer.write_all(data.as_bytes()).unwrap();
        writer.finish().unwrap();
    }
    cpio::newc::trailer(&mut out).unwrap();
    out
}

#[test]
fn a_hostile_image_writes_nothing_outside_the_directory_nor_inside() {
    const FILE: u32 = 0o100_644;
    const LINK: u32 = 0o120_777;
    for (entries, words) in [
        (
            vec![("ok", FILE, "x"), ("/tmp/evil", FILE, "x")],
            "absolute path",
        ),
        (vec![("ok", FILE, "x"), ("../evil", FILE, "x")], "\"..\""),
        (vec![("a/../../evil", FILE, "x")], "\"..\""),
        (
            vec![("out", LINK, ".."), ("out/evil", FILE, "x")],
            "a symbolic link",
        ),
        (
            vec![("out/evil", FILE, "x"), ("out", LINK, "..")],
            "a symbolic link",
        ),
        (
            vec![("a", LINK, ".."), ("./a/evil", FILE, "x")],
            "a symbolic link",
        ),
        (vec![("a", LINK, ".."), ("a//evil", FILE, "x")], "empty"),
        (
            vec![("f", FILE, "x"), ("f/g", FILE, "x")],
            "not a directory",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("initrd.img");
        fs::write(&path, archive(&entries)).unwrap();
        let to = directory.path().join("to");
        let sentence = refusal(image().arg("extract").arg(&path).arg("--to").arg(&to));
        assert!(sentence.contains(words), "{sentence}");
        assert!(!to.exists());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_file_that_replaces_a_link_is_not_written_through_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("initrd.img");
    let victim = directory.path().join("victim");
    fs::write(&victim, "safe").unwrap();
    fs::write(
        &path,
        archive(&[("a", 0o120_777, "../victim"), ("a", 0o100_644, "evil")]),
    )
    .unwrap();
    let to = directory.path().join("to");
    run(image().arg("extract").arg(&path).arg("--to").arg(&to));
    assert_eq!(fs::read(&victim).unwrap(), b"safe");
    assert_eq!(fs::read(to.join("a")).unwrap(), b"evil");
}

#[test]
fn diff_names_what_differs_and_exits_with_1() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.path("one.img"), fixture.path("two.img"));
    run(&mut fixture.command(&one, &[]));
    run(&mut fixture.command(&two, &["--compress", "xz"]));
    let output = run(image().arg("diff").arg(&one).arg(&two));
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("the bytes are not")
    );
    fs::write(fixture.path("taoboot.toml"), "# other\n").unwrap();
    run(&mut fixture.command(&two, &["--module", "xfs"]));
    let output = image().arg("diff").arg(&one).arg(&two).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "- lib/modules/6.1.0-9-test/kernel/fs/ext4/ext4.ko",
        "+ lib/modules/6.1.0-9-test/kernel/fs/xfs/xfs.ko",
        "~ etc/taoboot.toml: sha256 ",
    ] {
        assert!(
            text.lines().any(|found| found.starts_with(line)),
            "{line}\n{text}"
        );
    }
    let output = image()
        .arg("diff")
        .arg("--json")
        .arg(&one)
        .arg(&two)
        .output()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["same_bytes"], false);
}

#[test]
fn what_is_no_image_is_refused_in_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    for (bytes, words) in [
        (&b"hello"[..], "looks like a text, not like an initramfs"),
        (
            b"\x01\x02\x03",
            "neither a cpio archive nor a known compression",
        ),
        (b"", "an empty file"),
        (b"\x1f\x8b\x08garbage", "gzip"),
        (b"BZh91AY&SY", "unpack it with bzip2 first"),
        (b"070701", "cut off"),
    ] {
        fs::write(&path, bytes).unwrap();
        let sentence = refusal(image().arg("ls").arg(&path));
        assert!(sentence.contains(words), "{sentence}");
    }
    for missing in ["/none", "/dev/zero", "/"] {
        let sentence = refusal(image().arg("ls").arg(missing));
        assert!(sentence.contains(missing), "{sentence}");
    }
}
