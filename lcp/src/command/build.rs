//! `lcp build`: everything out of one spec file.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use argh::FromArgs;
use commands::Wanted;
use commands::file;
use lcp::{
    sign::Scheme,
    spec::{self, Built, NvIndex, Outcome, Pending, Spec},
};
use serde_json::{Value, json};
use txt::hash::HashAlg;

use super::{describe, policy};

/// Build elements, lists, policy, data file and NV plan out of one reviewed file (see lcp(8)).
///
/// Nothing is written unless every check passes. The same spec always gives the same bytes. Lists
/// for an offline key are written as DIR/NAME.tosign first: sign them, and run it again.
#[derive(FromArgs)]
#[argh(subcommand, name = "build")]
pub struct Build {
    /// directory for the files, made when it does not exist
    #[argh(option)]
    out: PathBuf,
    /// write also what is hardly meant so (each warning is printed)
    #[argh(switch)]
    force: bool,
    /// print JSON: the policy, its lists, what was found, and the NV plan
    #[argh(switch)]
    json: bool,
    /// the spec file; paths in it count from its directory
    #[argh(positional)]
    spec: PathBuf,
}

impl Build {
    pub fn run(self) -> Result<ExitCode> {
        let shown = || self.spec.display().to_string();
        let spec =
            Spec::parse(&file::read_text(&self.spec, Wanted::Settings)?).with_context(shown)?;
        let directory = self.spec.parent().unwrap_or(Path::new("")).to_owned();
        let read = |path: &str| {
            let path = directory.join(path);
            if !path.exists() {
                return Ok(None);
            }
            // The largest that a spec names is tboot itself.
            let limit = txt::mlehash::MAX_IMAGE_LEN as u64;
            file::read_at_most(&path, limit)
                .map(Some)
                .map_err(|error| commands::sentence(error.chain()).into())
        };
        match spec::build(&spec, &read).with_context(shown)? {
            Outcome::Pending(lists) => self.pending(&lists),
            Outcome::Complete(built) => self.complete(&built),
        }
    }

    /// Writes what has to be signed and says how.
    fn pending(&self, lists: &[Pending]) -> Result<ExitCode> {
        self.make_directory()?;
        for list in lists {
            let path = self.out.join(format!("{}.tosign", list.name));
            file::replace(&path, &list.bytes)?;
            let digest = list.hash.digest(&list.bytes);
            eprintln!(
                "lcp: list {} waits for its signature in {} ({} {digest}): {}",
                list.name,
                list.signature,
                list.hash,
                openssl(list, &path)
            );
        }
        eprintln!("lcp: no policy yet: sign, then run the same command again");
        Ok(ExitCode::FAILURE)
    }

    fn complete(&self, built: &Built) -> Result<ExitCode> {
        policy::gate(&built.report, self.force)?;
        self.make_directory()?;
        let nv = nv_plan(&built.nv, &built.policy.to_bytes());
        for (name, bytes) in &built.files {
            file::replace(&self.out.join(name), bytes)?;
        }
        let text = format!("{nv:#}\n");
        file::replace(&self.out.join("nv.json"), text.as_bytes())?;
        let files: Vec<&str> = built.files.iter().map(|(name, _)| name.as_str()).collect();
        let findings: Vec<String> = built
            .report
            .findings
            .iter()
            .map(ToString::to_string)
            .collect();
        let document = json!({
            "files": files,
            "findings": findings,
            "nv": nv,
            "policy": describe::policy(&built.policy),
            "data": built.data.as_ref().map(describe::data),
        });
        if self.json {
            describe::print(&document, true);
        } else {
            println!("policy hash {}", built.policy.policy_hash());
            println!(
                "{} files and nv.json in {}",
                files.len(),
                self.out.display()
            );
        }
        Ok(ExitCode::SUCCESS)
    }

    fn make_directory(&self) -> Result<()> {
        std::fs::create_dir_all(&self.out)
            .with_context(|| format!("cannot make {}", self.out.display()))
    }
}

/// The command that signs with openssl.
fn openssl(list: &Pending, path: &Path) -> String {
    let pss = match list.scheme {
        Scheme::RsaPss => " -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:-1",
        _ => "",
    };
    let path = path.display();
    let signature = &list.signature;
    match list.scheme {
        Scheme::Sm2 => format!(
            "openssl pkeyutl -sign -rawin -digest sm3 -pkeyopt distid: -inkey KEY -in {path} -out {signature}"
        ),
        _ => format!(
            "openssl dgst -{}{pss} -sign KEY -out {signature} {path}",
            list.hash
        ),
    }
}

/// What has to be in the TPM, for a person and for `lcp nv`.
fn nv_plan(nv: &NvIndex, policy: &[u8]) -> Value {
    let attributes = format!("{:#x}", nv.attributes);
    let mut plan = json!({
        "tpm": if nv.tpm12 { "1.2" } else { "2.0" },
        "index": format!("{:#010x}", nv.index),
        "size": nv.size,
        "file": "policy.pol",
        "sha256": HashAlg::Sha256.digest(policy).to_string(),
    });
    if let Some(map) = plan.as_object_mut() {
        if nv.tpm12 {
            map.insert("permissions".to_owned(), json!(attributes));
            map.insert("localities".to_owned(), json!("0x1f"));
        } else {
            map.insert("attributes".to_owned(), json!(attributes));
        }
    }
    plan
}
