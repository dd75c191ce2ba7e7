//! tboot 1.8's tools for the NV of a TPM 1.2, as they were typed: the recorded steps again on a
//! real software TPM, with the same standard output, files and exit codes.

use std::{
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;
use tpm::swtpm::Swtpm;

/// Number, command line, exit code, standard output of each step.
const STEPS: &str = include_str!("../vectors/tpm12-nv/steps.json");

struct Place {
    directory: TempDir,
    swtpm: Swtpm,
}

impl Place {
    fn new(owner: Option<&str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for tool in [
            "tpmnv_defindex",
            "tpmnv_relindex",
            "tpmnv_getcap",
            "tpmnv_lock",
            "lcp_readpol",
            "lcp_writepol",
        ] {
            symlink(env!("CARGO_BIN_EXE_lcp"), directory.path().join(tool)).unwrap();
        }
        let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/tpm12-nv");
        for file in ["any22.pol", "vl.pol"] {
            std::fs::copy(vectors.join(file), directory.path().join(file)).unwrap();
        }
        std::fs::write(directory.path().join("d20"), "01234567890123456789").unwrap();
        Self {
            directory,
            swtpm: Swtpm::start_tpm12(owner).unwrap(),
        }
    }

    fn run(&self, line: &str) -> Output {
        let mut words = line.split_whitespace();
        Command::new(self.directory.path().join(words.next().unwrap()))
            .args(words)
            .current_dir(self.directory.path())
            .env("LCP_TCTI", self.swtpm.tcti())
            .output()
            .unwrap()
    }

    fn code(&self, line: &str) -> i32 {
        self.run(line).status.code().unwrap()
    }

    fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.directory.path().join(name)).unwrap()
    }
}

/// Steps that are not these tools' (a comparison, lcp_crtpconf), and the help, which is our own.
const OTHERS: [&str; 4] = ["06", "36", "37", "38"];

#[test]
fn every_recorded_step_prints_the_same_and_ends_with_the_same_code() {
    let place = Place::new(Some("ownerpw"));
    let steps: Vec<serde_json::Value> = serde_json::from_str(STEPS).unwrap();
    assert_eq!(steps.len(), 44);
    let mut compared = 0;
    for step in &steps {
        let [number, line, stdout] =
            ["step", "cmd", "stdout"].map(|field| step[field].as_str().unwrap());
        if OTHERS.contains(&number) {
            continue;
        }
        // One line makes its file first; this one prints what the original misreads.
        let line = line.rsplit("; ").next().unwrap();
        let compat = if number == "08" { " --compat" } else { "" };
        let output = place.run(&format!("{line}{compat}"));
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(printed, stdout, "{number}: {line}");
        assert_eq!(
            output.status.code(),
            step["rc"].as_i64().map(|rc| rc as i32),
            "{number}: {line}"
        );
        let complaint = String::from_utf8(output.stderr).unwrap();
        let lines = complaint.lines().filter(|line| !line.contains(": note: "));
        assert_eq!(
            lines.count(),
            usize::from(!output.status.success()),
            "{complaint}"
        );
        compared += 1;
    }
    assert_eq!(compared, 40);
    assert_eq!(place.file("read.pol"), place.file("any22.pol"));
    assert!(place.file("readvl.pol").starts_with(&place.file("vl.pol")));
    assert_eq!(place.file("readvl.pol")[76..], [0xff; 180]);
    assert_eq!(place.file("readerr"), [0xff; 8]);
    assert_eq!(place.file("r20"), place.file("d20"));
    assert_eq!(place.file("r20b"), place.file("d20"));
}

#[test]
fn what_is_typed_wrong_has_its_exit_code() {
    let place = Place::new(None);
    for (line, code) in [
        ("tpmnv_defindex -h", 0),
        ("tpmnv_relindex", 0),
        ("lcp_readpol", 0),
        ("lcp_writepol", 0),
        ("tpmnv_lock -h", 0),
        ("tpmnv_defindex -x", 26),
        ("tpmnv_defindex -i", 26),
        ("tpmnv_defindex -pv 1 -s 2", 2),
        ("tpmnv_defindex -i 0", 1),
        ("tpmnv_defindex -i 0x100000000", 1),
        ("tpmnv_defindex -i 5 -pv 2", 3),
        ("tpmnv_defindex -i 5 -pv 4 -s 2", 9),
        ("tpmnv_defindex -i 5 -rl 0x20", 1),
        ("tpmnv_defindex -i aux -wl 1", 1),
        ("tpmnv_defindex -i owner more", 1),
        ("tpmnv_relindex -i owner", 16),
        ("lcp_readpol -s 5", 2),
        ("lcp_readpol -i OWNER", 4),
        ("lcp_readpol -i owner -s 5", 6),
        ("lcp_readpol -i owner -s 2000", 1),
        ("lcp_writepol -i owner", 1),
        ("lcp_writepol -i owner -e -f d20", 1),
        ("lcp_writepol -i owner -f missing", 31),
        ("lcp_writepol -i owner -f d20", 6),
        ("tpmnv_getcap -i owner", 4),
        ("tpmnv_getcap -f nobody", 4),
        ("tpmnv_lock", 31),
        ("tpmnv_lock --tcti device:/nonexistent/tpm0 -f", 4),
    ] {
        assert_eq!(place.code(line), code, "{line}");
    }
}

#[test]
fn a_password_file_serves_in_place_of_a_password() {
    let place = Place::new(Some("ownerpw"));
    std::fs::write(place.directory.path().join("pw"), "ownerpw\n").unwrap();
    let output = place.run("tpmnv_defindex -i owner --password-file pw");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stderr, b"");
    let output = place.run("lcp_writepol -i owner -f any22.pol -p ownerpw");
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("list of processes")
    );
    // Without --compat the policy in it is read as what it is.
    let printed = String::from_utf8(place.run("lcp_readpol -i owner").stdout).unwrap();
    assert!(
        printed.contains("version: 2.2") && printed.contains("type: any"),
        "{printed}"
    );
}

#[test]
fn links_are_made_for_these_tools_too() {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lcp"))
        .args(["links", &directory.path().display().to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    for tool in [
        "tpmnv_defindex",
        "tpmnv_lock",
        "lcp_writepol",
        "lcp2_crtpol",
    ] {
        assert!(directory.path().join(tool).is_symlink(), "{tool}");
    }
}
