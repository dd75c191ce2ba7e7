//! SINIT modules: a made-up one, signed with a test key as Intel's are; compared with txt-acminfo.
//! With `LCP_ACMS` set to a directory of Intel's published modules (Debian's package intel-acm, which
//! cannot be redistributed here), their signatures are checked as well.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use lcp::acm_signature::SignatureError;
use test_support::required;
use txt::{
    acm::{Acm, HeaderVersion, ModuleKind, Platform},
    hash::{Digest, HashAlg},
};

use crate::module;

#[test]
fn a_module_of_either_header_version_is_read_and_its_signature_verifies() {
    for v3 in [false, true] {
        let acm = Acm::parse(&module::make(v3)).unwrap();
        let version = if v3 {
            HeaderVersion::V3_0
        } else {
            HeaderVersion::V0_0
        };
        assert_eq!(acm.header().version, version);
        assert_eq!(acm.info().kind, ModuleKind::Sinit);
        assert_eq!((acm.chipsets().len(), acm.processors().len()), (2, 2));
        assert_eq!(
            acm.tpm().unwrap().hashes(),
            [HashAlg::Sha1, HashAlg::Sha256]
        );
        assert_eq!(acm.tpm().unwrap().nv_index_set(), 1);
        assert_eq!(
            lcp::acm_signature::check(&acm).unwrap().digest.alg(),
            HashAlg::Sha256
        );
    }
}

#[test]
fn a_module_cut_at_any_byte_is_refused() {
    let file = module::make(false);
    for end in 0..file.len() {
        assert!(Acm::parse(&file[..end]).is_err(), "{end}");
    }
    assert!(Acm::parse(&[file.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn a_changed_byte_breaks_the_signature_but_in_the_scratch_area() {
    let file = module::make(false);
    for at in (0..file.len()).filter(|at| !(700..1200).contains(at)) {
        let mut changed = file.clone();
        changed[at] ^= 0x10;
        let Ok(acm) = Acm::parse(&changed) else {
            continue;
        };
        let scratch = (644..module::USER).contains(&at);
        assert_eq!(lcp::acm_signature::check(&acm).is_ok(), scratch, "{at}");
    }
}

#[test]
fn sizes_and_counts_that_lie_are_refused_with_their_field() {
    let file = module::make(false);
    let refused = |at: usize, word: u32| {
        let mut changed = file.clone();
        changed[at..at + 4].copy_from_slice(&word.to_le_bytes());
        Acm::parse(&changed).unwrap_err().to_string()
    };
    let lists = module::USER + 0x30;
    for (at, field) in [
        (4, "header_len"),
        (24, "size"),
        (120, "key_size"),
        (124, "scratch_size"),
        (module::USER + 20, "chipset list"),
        (module::USER + 40, "processor list"),
        (module::USER + 44, "TPM info list"),
        (lists, "count of chipsets"),
        (lists + 36, "count of processors"),
    ] {
        for word in [
            u32::MAX,
            u32::MAX / 4,
            0x4000_0000,
            u32::try_from(file.len()).unwrap() + 1,
        ] {
            let text = refused(at, word);
            assert!(text.contains(field), "{field}: {text}");
        }
    }
    assert!(refused(module::USER, 0).contains("7fc03aaa"));
    assert!(refused(8, 0x50004).contains("header_version"));
    assert!(refused(16, 0x1022).contains("module_vendor"));
}

#[test]
fn a_key_of_zeros_is_a_sentence() {
    let mut file = module::make(false);
    file[128..384].fill(0);
    let error = lcp::acm_signature::check(&Acm::parse(&file).unwrap()).unwrap_err();
    assert!(matches!(error, SignatureError::Key(_)), "{error}");
}

#[test]
fn a_platform_is_matched_as_tboot_does() {
    let acm = Acm::parse(&module::make(false)).unwrap();
    let key = HashAlg::Sha256.digest(&acm.header().modulus);
    let right = Platform {
        didvid: Some(0x0004_b00a_8086),
        fms: Some(0x506e3),
        platform_id: Some(0),
        public_key: Some(key),
        debug_fused: false,
    };
    assert!(right.compare(&acm).iter().all(|check| check.fits));
    let wrong = |platform: Platform| {
        let checks = platform.compare(&acm);
        let wrong: Vec<_> = checks.iter().filter(|check| !check.fits).collect();
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        wrong[0].what
    };
    let base = || right.clone();
    // The revision is a mask: 6 takes 2 and 4, not 1.
    assert_eq!(
        wrong(Platform {
            didvid: Some(0x0001_b00a_8086),
            ..base()
        }),
        "chipset"
    );
    assert_eq!(
        wrong(Platform {
            didvid: Some(0x0001_b009_8086),
            ..base()
        }),
        "chipset"
    );
    assert_eq!(
        wrong(Platform {
            fms: Some(0x90672),
            ..base()
        }),
        "processor"
    );
    // Sandy Bridge only with its platform id.
    let sandy = |id| Platform {
        fms: Some(0x206a7),
        platform_id: Some(id),
        ..base()
    };
    assert_eq!(wrong(sandy(0)), "processor");
    assert!(
        sandy(0x0010_0000_0000_0000)
            .compare(&acm)
            .iter()
            .all(|check| check.fits)
    );
    assert_eq!(
        wrong(Platform {
            debug_fused: true,
            ..base()
        }),
        "fuses"
    );
    let other = Some(Digest::zero(HashAlg::Sha256));
    assert_eq!(
        wrong(Platform {
            public_key: other,
            ..base()
        }),
        "key"
    );
}

/// txt-acminfo of tboot's package, when the assets are there.
fn txt_acminfo() -> Option<PathBuf> {
    let assets = std::env::var_os("TAOBOOT_ASSETS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/assets"),
        PathBuf::from,
    );
    let list: serde_json::Value =
        serde_json::from_slice(&fs::read(assets.join("assets.json")).ok()?).unwrap();
    let tool = PathBuf::from(list.get("tboot_tools")?.as_str()?).join("txt-acminfo");
    tool.exists().then_some(tool)
}

/// Labels and numbers that both programs print.
fn numbers(acm: &Acm) -> Vec<(&'static str, u64)> {
    let (header, info) = (acm.header(), acm.info());
    let mut numbers = vec![
        ("chipset_id:", header.chipset_id.into()),
        ("date:", header.date.into()),
        ("size*4:", header.size.into()),
        ("txt_svn:", header.txt_svn.into()),
        ("se_svn:", header.se_svn.into()),
        ("chipset_id_list:", info.chipset_list.into()),
        ("os_sinit_data_ver:", info.os_sinit_data_version.into()),
        ("min_mle_hdr_ver:", info.min_mle_version.into()),
        ("capabilities:", info.capabilities.0.into()),
        ("acm_ver:", info.acm_version.into()),
    ];
    for id in acm.chipsets() {
        numbers.push(("device_id:", id.device.into()));
        numbers.push(("revision_id:", id.revision.into()));
    }
    for id in acm.processors() {
        numbers.push(("fms:", id.fms.into()));
        numbers.push(("fms_mask:", id.fms_mask.into()));
        numbers.push(("platform_id:", id.platform_id));
        numbers.push(("platform_mask:", id.platform_mask));
    }
    if let Some(tpm) = acm.tpm() {
        numbers.push(("tpm_nv_index_set :", tpm.nv_index_set().into()));
        numbers.push(("tpm_family :", tpm.families().into()));
        numbers.extend(tpm.algs.iter().map(|alg| ("alg_id:", u64::from(*alg))));
    }
    numbers
}

#[test]
fn txt_acminfo_reads_the_same_numbers() {
    let Some(tool) = required(txt_acminfo(), "txt-acminfo (cargo xtask setup)") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let made = directory.path().join("made.bin");
    fs::write(&made, module::make(false)).unwrap();
    let mut files = vec![made];
    if let Some(published) = std::env::var_os("LCP_ACMS") {
        files.extend(
            fs::read_dir(published)
                .unwrap()
                .map(|entry| entry.unwrap().path()),
        );
    }
    for file in &files {
        let output = Command::new(&tool).arg(file).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let acm = Acm::parse(&fs::read(file).unwrap()).unwrap();
        let theirs: BTreeSet<(String, u64)> = text.lines().filter_map(labelled).collect();
        for (label, number) in numbers(&acm) {
            let found = theirs.contains(&(label.to_owned(), number));
            assert!(found, "{}: {label} {number:#x}: {text}", file.display());
        }
        lcp::acm_signature::check(&acm)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
    println!("{} modules", files.len());
}

/// A line "label: number (more)".
fn labelled(line: &str) -> Option<(String, u64)> {
    let (label, rest) = line.trim().split_once(':')?;
    let word = rest.split_whitespace().next()?;
    let number = match word.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => word.parse().ok()?,
    };
    Some((format!("{label}:"), number))
}
