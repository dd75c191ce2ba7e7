//! The policy tools: `lcp mlehash` and `lcp build` against tboot's own programs, in turns.
//!
//! Both sides must make the same bytes, or nothing is measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ::harness::assets::Assets;
use ::harness::workplace::workspace_root;
use anyhow::{Context, Result, ensure};

use crate::table::Table;
use crate::timing::{median, time};

const PART: &str = "policies (against tboot's own tools)";
/// Each side is measured this often, in turns.
const RUNS: usize = 15;
const CMDLINE: &str = "logging=serial,memory,vga";
/// A value for PCR 0: SHA-256 of nothing.
const PCR: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Times both.
pub fn measure(table: &mut Table) -> Result<()> {
    let assets = Assets::load()?;
    let directory = tempfile::tempdir().context("cannot make a directory")?;
    let bench = Bench {
        lcp: program()?,
        tools: assets.tboot_tools.clone(),
        tboot: assets.tboot.clone(),
        directory: directory.path().to_owned(),
    };
    bench.prepare()?;
    eprintln!("bench: lcp mlehash ...");
    compare(table, "mlehash", &|| bench.our_mlehash(), &|| {
        bench.their_mlehash()
    })?;
    eprintln!("bench: lcp build ...");
    compare(table, "build", &|| bench.our_build(), &|| {
        bench.their_build()
    })?;
    bench.same_policy()
}

/// The optimized program: `$TAOBOOT_LCP`, which `cargo xtask bench` builds.
fn program() -> Result<PathBuf> {
    let path = std::env::var_os("TAOBOOT_LCP").map_or_else(
        || workspace_root().join("target/release/lcp"),
        PathBuf::from,
    );
    ensure!(
        path.is_file(),
        "{} is missing: run `cargo build --release -p taoboot-lcp`",
        path.display()
    );
    Ok(path)
}

struct Bench {
    lcp: PathBuf,
    tools: PathBuf,
    tboot: PathBuf,
    directory: PathBuf,
}

impl Bench {
    /// Keys, the spec of ours, the script of theirs; the same list and policy.
    fn prepare(&self) -> Result<()> {
        let keys = workspace_root().join("lcp/tests/vectors/keys");
        for name in ["rsa2048.pem", "rsa2048.pub.pem"] {
            fs::copy(keys.join(name), self.directory.join(name))
                .with_context(|| format!("cannot copy {name}"))?;
        }
        let tboot = self.tboot.display();
        let spec = format!(
            "[policy]\ntype = \"list\"\nversion = \"3.0\"\n\
             [[list]]\nname = \"site\"\nversion = \"2.1\"\n\
             [list.sign]\nscheme = \"rsa\"\nkey = \"rsa2048.pem\"\n\
             [[list.element]]\ntype = \"mle2\"\n\
             tboot = [{{ file = \"{tboot}\", cmdline = \"{CMDLINE}\" }}]\n\
             [[list.element]]\ntype = \"pconf2\"\npcrs = {{ 0 = \"{PCR}\" }}\n"
        );
        fs::write(self.directory.join("spec.toml"), spec).context("cannot write the spec")?;
        // The tools put each element in front of the others.
        let script = format!(
            "lcp2_mlehash --create --alg sha256 --cmdline '{CMDLINE}' {tboot} >hash\n\
             lcp2_crtpolelt --create --type mle2 --alg sha256 --out 0.elt hash\n\
             lcp2_crtpolelt --create --type pconf2 --alg sha256 --pcr0 {PCR} --out 1.elt\n\
             lcp2_crtpollist --create --listver 0x201 --out site.lst 1.elt 0.elt\n\
             lcp2_crtpollist --sign --sigalg rsa --pub rsa2048.pub.pem --priv rsa2048.pem --out site.lst\n\
             lcp2_crtpol --create --type list --polver 3.0 --alg sha256 --sign rsa-2048-sha256 \
             --pol policy.pol --data policy.data site.lst\n"
        );
        fs::write(self.directory.join("theirs.sh"), script).context("cannot write the script")
    }

    fn our_mlehash(&self) -> Command {
        let mut command = Command::new(&self.lcp);
        command
            .args(["mlehash", "--cmdline", CMDLINE])
            .arg(&self.tboot);
        command
    }

    fn their_mlehash(&self) -> Command {
        let mut command = Command::new(self.tools.join("lcp2_mlehash"));
        command
            .args(["--create", "--cmdline", CMDLINE])
            .arg(&self.tboot);
        command
    }

    fn our_build(&self) -> Command {
        let mut command = Command::new(&self.lcp);
        command.args(["build", "spec.toml", "--out", "ours"]);
        command.current_dir(&self.directory);
        command
    }

    fn their_build(&self) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-e", "theirs.sh"])
            .current_dir(&self.directory);
        command.env("PATH", format!("{}:/usr/bin:/bin", self.tools.display()));
        command
    }

    /// Both made the same policy and data file.
    fn same_policy(&self) -> Result<()> {
        for name in ["policy.pol", "policy.data"] {
            let read = |path: &Path| {
                fs::read(path).with_context(|| format!("cannot read {}", path.display()))
            };
            let ours = read(&self.directory.join("ours").join(name))?;
            let theirs = read(&self.directory.join(name))?;
            ensure!(ours == theirs, "{name}: lcp build and tboot's tools differ");
        }
        Ok(())
    }
}

/// Runs both in turns; the medians are compared.
fn compare(
    table: &mut Table,
    name: &str,
    ours: &dyn Fn() -> Command,
    theirs: &dyn Fn() -> Command,
) -> Result<()> {
    let (mut walls, mut cpus) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..RUNS {
        for (side, command) in [ours, theirs].into_iter().enumerate() {
            let times = time(name, &mut command())?;
            if let (Some(walls), Some(cpus)) = (walls.get_mut(side), cpus.get_mut(side)) {
                walls.push(times.wall.as_secs_f64());
                cpus.push(times.cpu.as_secs_f64());
            }
        }
    }
    let [our_wall, their_wall] = [median(&walls[0])?, median(&walls[1])?];
    let [our_cpu, their_cpu] = [median(&cpus[0])?, median(&cpus[1])?];
    table.figure(PART, format!("lcp {name}"), our_wall, "s", "median of 15");
    table.figure(PART, format!("tboot's {name}"), their_wall, "s", "");
    let ratio = format!("{name}: ours / theirs");
    table.target(PART, ratio, our_wall / their_wall, "", 1.0, "");
    let ratio = format!("{name}: ours / theirs, processor time");
    table.target(PART, ratio, our_cpu / their_cpu, "", 1.0, "");
    Ok(())
}
