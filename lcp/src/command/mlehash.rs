//! `lcp mlehash`: the hash of tboot with its command line.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use argh::FromArgs;
use commands::Wanted;
use commands::file;
use serde_json::json;
use txt::{hash::HashAlg, mlehash::Mle};

/// Print the hash of tboot with a command line: what SINIT measures, and what a policy names.
#[derive(FromArgs)]
#[argh(subcommand, name = "mlehash")]
pub struct MleHash {
    /// hash algorithm: sha1, sha256, sha384, sha512 or sm3; may be repeated (default sha256)
    #[argh(option)]
    alg: Vec<HashAlg>,
    /// tboot's command line: exactly what follows the file name in grub.cfg (default: none)
    #[argh(option, default = "String::new()")]
    cmdline: String,
    /// print JSON, with the fields of the MLE header
    #[argh(switch)]
    json: bool,
    /// tboot.gz, or uncompressed tboot
    #[argh(positional)]
    file: PathBuf,
}

impl MleHash {
    pub fn run(self) -> Result<ExitCode> {
        let bytes = file::read_at_most(&self.file, txt::mlehash::MAX_IMAGE_LEN as u64)?;
        let shown = || self.file.display().to_string();
        let mle = file::parsed(&self.file, &bytes, Wanted::Tboot, Mle::parse(&bytes))?;
        let algs = if self.alg.is_empty() {
            vec![HashAlg::Sha256]
        } else {
            self.alg.clone()
        };
        let mut hashes = Vec::new();
        for alg in algs {
            hashes.push(mle.hash(alg, self.cmdline.as_bytes()).with_context(shown)?);
        }
        let header = mle.header();
        if header.max_cmdline().is_none() && !self.cmdline.is_empty() {
            eprintln!("lcp: warning: this MLE has no command line area and does not measure it");
        }
        if self.json {
            let hashes: serde_json::Map<String, serde_json::Value> = hashes
                .iter()
                .map(|hash| (hash.alg().name().to_owned(), json!(hash.to_string())))
                .collect();
            let document = json!({
                "hashes": hashes,
                "cmdline": self.cmdline,
                "header": {
                    "offset": header.offset,
                    "version": format!("{:#x}", header.version),
                    "entry_point": format!("{:#x}", header.entry_point),
                    "mle_start": format!("{:#x}", header.mle_start),
                    "mle_end": format!("{:#x}", header.mle_end),
                    "capabilities": format!("{:#x}", header.capabilities),
                    "max_cmdline": header.max_cmdline(),
                },
            });
            println!("{document:#}");
        } else {
            for hash in &hashes {
                println!("{hash}");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
