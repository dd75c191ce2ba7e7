//! The MLE hash against the recorded outputs of tboot's `lcp2_mlehash` (vectors/mlehash).

use std::{fs, path::PathBuf};

use test_support::required;
use txt::mlehash::{Mle, MleError};

fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/mlehash")
}

/// Debian's tboot.gz among the downloaded assets; `None` (said on stderr) when it is not there.
fn debian_tboot() -> Option<Vec<u8>> {
    let assets = std::env::var_os("TAOBOOT_ASSETS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/assets"),
        PathBuf::from,
    );
    let list = fs::read(assets.join("assets.json")).ok()?;
    let list: serde_json::Value = serde_json::from_slice(&list).expect("assets.json is JSON");
    let path = list.get("tboot")?.as_str()?;
    fs::read(path).ok()
}

/// Cases where the original prints the hash of a damaged command line: ours refuses.
fn too_long(cmdline: &str, max: usize) -> bool {
    cmdline.len() > max
}

#[test]
fn every_recorded_hash_is_reproduced() {
    let cases = fs::read(vectors().join("cases.json")).unwrap();
    let cases: Vec<serde_json::Value> = serde_json::from_slice(&cases).unwrap();
    let tboot = debian_tboot();
    let (mut hashed, mut refused, mut skipped) = (0, 0, 0);
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let file = match case["image"].as_str().unwrap() {
            "tboot.gz" => match &tboot {
                Some(file) => file.clone(),
                None => {
                    skipped += 1;
                    continue;
                }
            },
            image => fs::read(vectors().join(image)).unwrap(),
        };
        let alg = case["alg"].as_str().unwrap();
        let Some(expected) = case["hash"].as_str() else {
            assert!(
                Mle::parse(&file).is_err(),
                "{name}: the original refuses this"
            );
            refused += 1;
            continue;
        };
        let mle = Mle::parse(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        let Ok(alg) = alg.parse() else {
            assert_eq!(expected, "", "{name}: only unknown algorithms give no hash");
            refused += 1;
            continue;
        };
        let max = mle.header().max_cmdline().unwrap();
        let hash = match case["cmdline"].as_str() {
            Some(cmdline) if too_long(cmdline, max) => {
                let error = mle.hash(alg, cmdline.as_bytes()).unwrap_err();
                assert!(
                    matches!(error, MleError::CmdlineTooLong { .. }),
                    "{name}: {error}"
                );
                refused += 1;
                continue;
            }
            Some(cmdline) => mle.hash(alg, cmdline.as_bytes()),
            None => mle.hash_unmodified(alg),
        };
        assert_eq!(hash.unwrap().to_string(), expected, "{name}");
        hashed += 1;
    }
    println!("{hashed} hashes equal, {refused} refused");
    if skipped > 0 {
        required(
            None::<()>,
            &format!("Debian's tboot.gz, for {skipped} cases"),
        );
        assert!(hashed >= 25);
    } else {
        assert!(hashed >= 50, "{hashed}");
    }
}

#[test]
fn debian_tboot_has_the_documented_header() {
    let Some(file) = required(debian_tboot(), "Debian's tboot.gz (cargo xtask setup)") else {
        return;
    };
    let mle = Mle::parse(&file).unwrap();
    let header = mle.header();
    assert_eq!(
        (header.offset, header.length, header.version),
        (0x1f340, 0x34, 0x20001)
    );
    assert_eq!((header.mle_start, header.mle_end), (0x4000, 0x4d000));
    assert_eq!((header.cmdline_start, header.cmdline_end), (0x7e00, 0x7fff));
    assert_eq!(header.capabilities, 0x627);
    assert_eq!(header.max_cmdline(), Some(510));
}

#[test]
fn an_image_cut_at_any_byte_is_refused_or_hashed_without_panic() {
    let file = fs::read(vectors().join("one-seg.elf.gz")).unwrap();
    let elf = txt::gunzip::gunzip(&file, 1 << 20).unwrap().into_owned();
    for end in 0..elf.len() {
        assert!(Mle::parse(&elf[..end]).is_err(), "{end}");
    }
    assert!(Mle::parse(&elf).is_ok());
}

#[test]
fn any_byte_changed_in_the_headers_never_panics() {
    let file = fs::read(vectors().join("two-seg-rev.elf.gz")).unwrap();
    let elf = txt::gunzip::gunzip(&file, 1 << 20).unwrap().into_owned();
    let uuid = elf
        .windows(4)
        .position(|w| w == [0x5a, 0xac, 0x82, 0x90])
        .unwrap();
    for at in (0..0x80).chain(uuid..uuid + 52) {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = elf.clone();
            changed[at] = value;
            if let Ok(mle) = Mle::parse(&changed) {
                let _hash_or_error = mle.hash(txt::hash::HashAlg::Sha1, b"cmdline");
            }
        }
    }
}

#[test]
fn a_nul_in_the_command_line_is_refused() {
    let file = fs::read(vectors().join("one-seg.elf.gz")).unwrap();
    let mle = Mle::parse(&file).unwrap();
    let error = mle.hash(txt::hash::HashAlg::Sha256, b"a\0b").unwrap_err();
    assert!(matches!(error, MleError::CmdlineNul(1)));
}
