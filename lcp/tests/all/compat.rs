//! What this program does otherwise than the originals, where no recording shows it; and that every
//! difference of docs/man/lcp-compat.7 has a test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use txt::hash::HashAlg;

use crate::recorded;

/// A directory with links by the originals' names, keys, and a small executable with an MLE header.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lcp"))
        .arg("links")
        .arg(directory.path())
        .output()
        .unwrap();
    assert!(output.status.success());
    for key in ["rsa2048", "rsa3072"] {
        for name in [format!("{key}.pem"), format!("{key}.pub.pem")] {
            let from = recorded::vectors().join("keys").join(&name);
            fs::copy(from, directory.path().join(&name)).unwrap();
        }
    }
    let tboot = recorded::vectors().join("mlehash/cmd16.elf.gz");
    fs::copy(tboot, directory.path().join("tboot.gz")).unwrap();
    directory
}

fn run(directory: &Path, line: &str) -> Output {
    let words: Vec<&str> = line.split_whitespace().collect();
    Command::new(directory.join(words[0]))
        .args(&words[1..])
        .current_dir(directory)
        .output()
        .unwrap()
}

/// A command that must be refused with this in its sentence.
fn refused(directory: &Path, line: &str, part: &str) {
    let output = run(directory, line);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{line}: {text}");
    assert!(text.contains(part), "{line}: {text}");
}

fn done(directory: &Path, line: &str) -> Vec<u8> {
    let output = run(directory, line);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{line}: {text}");
    output.stdout
}

#[test]
fn mlehash_refuses_an_unknown_algorithm() {
    let directory = directory();
    let line = "lcp2_mlehash --create --alg md5 tboot.gz";
    refused(directory.path(), line, "not a hash algorithm");
    assert_eq!(done(directory.path(), &format!("{line} --compat")), b"");
}

#[test]
fn mlehash_refuses_a_command_line_that_does_not_fit() {
    let directory = directory();
    let fits = "x".repeat(15);
    done(
        directory.path(),
        &format!("lcp2_mlehash --create --cmdline {fits} tboot.gz"),
    );
    let line = format!("lcp2_mlehash --create --cmdline {fits}y tboot.gz");
    refused(
        directory.path(),
        &line,
        "has 16 bytes but tboot has room for 15",
    );
    done(directory.path(), &format!("{line} --compat"));
    let line = format!("lcp_mlehash -c {fits}y tboot.gz");
    refused(directory.path(), &line, "has room for 15");
    done(directory.path(), &format!("{line} --compat"));
}

#[test]
fn mlehash_refuses_another_elf_class() {
    let directory = directory();
    let gz = fs::read(directory.path().join("tboot.gz")).unwrap();
    let mut elf = txt::gunzip::gunzip(&gz, 1 << 20).unwrap().into_owned();
    for (at, field) in [(4, "EI_CLASS"), (6, "EI_VERSION")] {
        elf[at] ^= 3;
        fs::write(directory.path().join("tboot"), &elf).unwrap();
        refused(directory.path(), "lcp2_mlehash --create tboot", field);
        elf[at] ^= 3;
    }
}

#[test]
fn pconf_hashes_the_length_of_its_values() {
    let directory = directory();
    let value = "14f607cf29f2ae0575871cd2c0545e936f4bea20";
    fs::write(
        directory.path().join("p"),
        format!("locality:1f\n0:{value}\n"),
    )
    .unwrap();
    let line = "lcp2_crtpolelt --create --type pconf --out e p";
    let composite = |len: u8| {
        let value = hex::decode(value).unwrap();
        let bytes = [&[0, 1, 1, 0, 0, 0, len], value.as_slice()].concat();
        HashAlg::Sha1.digest(&bytes).as_bytes().to_vec()
    };
    done(directory.path(), line);
    assert!(
        fs::read(directory.path().join("e"))
            .unwrap()
            .ends_with(&composite(20))
    );
    done(directory.path(), &format!("{line} --compat"));
    assert!(
        fs::read(directory.path().join("e"))
            .unwrap()
            .ends_with(&composite(0))
    );
}

#[test]
fn pconf_needs_a_file() {
    let directory = directory();
    let line = "lcp2_crtpolelt --create --type pconf --out e";
    refused(directory.path(), line, "no file with PCR values");
    done(directory.path(), &format!("{line} --compat"));
    assert_eq!(fs::read(directory.path().join("e")).unwrap().len(), 14);
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let directory = directory();
    let line = "lcp2_crtpol --create --type any --polver 2.4 --pol p";
    for option in [
        "--minver 300",
        "--rev 65536",
        "--rev -1",
        "--ctrl junk",
        "--max_sinit_min 256",
    ] {
        refused(
            directory.path(),
            &format!("{line} {option}"),
            "expected a number",
        );
        done(directory.path(), &format!("{line} {option} --compat"));
    }
    refused(
        directory.path(),
        &format!("{line} --rev 1,2,3,4,5,6,7,8,9"),
        "a policy has 8",
    );
}

#[test]
fn hash_files_with_numbers_of_more_than_a_byte_are_refused() {
    let directory = directory();
    let text = format!("1ab {}", ["ab"; 19].join(" "));
    fs::write(directory.path().join("h"), text).unwrap();
    let line = "lcp2_crtpolelt --create --type mle --out e h";
    refused(directory.path(), line, "0x1ab is more than one byte");
    done(directory.path(), &format!("{line} --compat"));
}

#[test]
fn keys_that_do_not_belong_together_are_refused() {
    let directory = directory();
    done(
        directory.path(),
        "lcp2_crtpollist --create --listver 0x300 --out l",
    );
    let line =
        "lcp2_crtpollist --sign --sigalg rsapss --pub rsa3072.pub.pem --priv rsa2048.pem --out l";
    refused(directory.path(), line, "does not belong to the private key");
    assert_eq!(fs::read(directory.path().join("l")).unwrap().len(), 8);
}

#[test]
fn lists_of_version_3_can_be_signed_again() {
    let directory = directory();
    done(
        directory.path(),
        "lcp2_crtpollist --create --listver 0x300 --out l",
    );
    for key in ["rsa2048", "rsa3072"] {
        let line = format!(
            "lcp2_crtpollist --sign --sigalg rsapss --pub {key}.pub.pem --priv {key}.pem --out l"
        );
        done(directory.path(), &line);
        done(directory.path(), "lcp2_crtpollist --verify l");
    }
}

#[test]
fn pss_with_sha1_is_refused() {
    let directory = directory();
    done(
        directory.path(),
        "lcp2_crtpollist --create --listver 0x300 --out l",
    );
    let line = "lcp2_crtpollist --sign --sigalg rsapss --hashalg sha1 --pub rsa2048.pub.pem --priv rsa2048.pem --out l";
    refused(directory.path(), line, "a rsapss signature cannot use sha1");
}

#[test]
fn tpm12_pconf_sorts_its_values() {
    let directory = directory();
    let line = |pcr: usize, byte: &str| format!("{pcr}:{}\n", [byte; 20].join(" "));
    fs::write(
        directory.path().join("p"),
        [line(17, "bb"), line(1, "aa")].concat(),
    )
    .unwrap();
    fs::write(
        directory.path().join("q"),
        [line(1, "aa"), line(17, "bb")].concat(),
    )
    .unwrap();
    let made = |words: &str| {
        done(
            directory.path(),
            &format!("lcp_crtpolelt --create --type pconf --out e {words}"),
        );
        fs::read(directory.path().join("e")).unwrap()
    };
    assert_eq!(made("p"), made("q"));
    assert_ne!(made("p --compat"), made("q --compat"));
}

#[test]
fn every_difference_in_the_manual_has_a_test() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let manual = fs::read_to_string(root.join("../docs/man/lcp-compat.7")).unwrap();
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let tests = [
        "tests/all/compat.rs",
        "tests/all/original/differences.rs",
        "original-options/src/pconf_file_tpm12.rs",
    ];
    let tests = tests.map(read).concat();
    let (mut items, mut named) = (0, 0);
    let mut waiting = false;
    for line in manual.lines() {
        if line == ".TP" {
            assert!(!waiting, "an item without test before {line}");
            waiting = true;
            items += 1;
        }
        // A comment names each item's tests: functions here, or cases of the recordings.
        if let Some(names) = line.strip_prefix(".\\\" test: ") {
            for name in names.split(' ') {
                let function = format!("fn {name}()");
                let case = format!("\"{name}\"");
                assert!(tests.contains(&function) || tests.contains(&case), "{name}");
                named += 1;
            }
            waiting = false;
        }
    }
    assert!(!waiting && items >= 20 && named >= items, "{items} {named}");
    // And every recorded difference stands in the manual.
    for line in read("tests/all/original/differences.rs").lines() {
        if let Some(rest) = line.trim().strip_prefix("differs(\"") {
            let case = rest.split('"').next().unwrap();
            assert!(manual.contains(case), "{case} is not in the manual");
        }
    }
}
