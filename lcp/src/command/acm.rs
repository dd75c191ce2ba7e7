//! `lcp acm`: what a SINIT module is, whether it is Intel's as signed, and whether it fits.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use argh::FromArgs;
use commands::file;
use commands::{Wanted, refuse_idle};
use lcp::acm_signature::{SignatureError, SignatureInfo};
use serde_json::{Value, json};
use txt::{
    acm::{Acm, Check, Platform},
    hash::{Digest, HashAlg},
};

use super::{describe, number};

/// Show an authenticated code module, check its signature, and match it against a platform.
///
/// The platform's numbers are those that txt-stat prints there (DIDVID, PUBLIC.KEY), cpuid leaf 1
/// EAX, and `rdmsr 0x17`. Exit 1 when the signature is wrong or a given number does not fit. That the
/// signature verifies says that the file is whole; that the key is Intel's, only --public-key says.
#[derive(FromArgs)]
#[argh(subcommand, name = "acm")]
pub struct AcmCommand {
    /// the platform's TXT.DIDVID register, in hexadecimal
    #[argh(option, from_str_fn(number::hex64))]
    didvid: Option<u64>,
    /// the processor's family, model and stepping: CPUID leaf 1 EAX, in hexadecimal
    #[argh(option, from_str_fn(number::hex64))]
    fms: Option<u64>,
    /// the processor's IA32_PLATFORM_ID (MSR 0x17), in hexadecimal
    #[argh(option, from_str_fn(number::hex64))]
    platform_id: Option<u64>,
    /// the platform's TXT.PUBLIC.KEY register: SHA-256 of the key that it accepts
    #[argh(option)]
    public_key: Option<String>,
    /// the platform is fused for debugging
    #[argh(switch)]
    debug_fused: bool,
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// the module's file
    #[argh(positional)]
    file: PathBuf,
}

impl AcmCommand {
    pub fn run(self) -> Result<ExitCode> {
        let platform = self.platform()?;
        let asked = platform.didvid.is_some()
            || platform.fms.is_some()
            || platform.platform_id.is_some()
            || platform.public_key.is_some();
        if !asked {
            let fused = ("--debug-fused", self.debug_fused);
            refuse_idle(
                &[fused],
                "without what else the platform has: --didvid, --fms, --platform-id or --public-key",
            )?;
        }
        let bytes = file::read(&self.file)?;
        let acm = file::parsed(&self.file, &bytes, Wanted::Sinit, Acm::parse(&bytes))?;
        let signature = lcp::acm_signature::check(&acm);
        let checks = if asked {
            platform.compare(&acm)
        } else {
            Vec::new()
        };
        let good = signature.is_ok() && checks.iter().all(|check| check.fits);
        describe::print(&document(&acm, &signature, &checks), self.json);
        for check in checks.iter().filter(|check| !check.fits) {
            eprintln!("lcp: {}: {}", check.what, check.text);
        }
        if let Err(error) = &signature {
            eprintln!("lcp: {}: {error}", self.file.display());
        }
        Ok(if good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn platform(&self) -> Result<Platform> {
        let key = |text: &String| {
            let hex: String = text.chars().filter(|c| c.is_ascii_hexdigit()).collect();
            Digest::from_hex(HashAlg::Sha256, &hex).context("--public-key")
        };
        let fms = |fms: u64| u32::try_from(fms).context("--fms has more than 32 bits");
        Ok(Platform {
            didvid: self.didvid,
            fms: self.fms.map(fms).transpose()?,
            platform_id: self.platform_id,
            public_key: self.public_key.as_ref().map(key).transpose()?,
            debug_fused: self.debug_fused,
        })
    }
}

fn document(
    acm: &Acm,
    signature: &Result<SignatureInfo, SignatureError>,
    checks: &[Check],
) -> Value {
    let (header, info) = (acm.header(), acm.info());
    let hex = |number: u64| format!("{number:#x}");
    let date = hex::encode(header.date.to_be_bytes());
    let chipsets: Vec<Value> = acm
        .chipsets()
        .iter()
        .map(|id| {
            json!({
                "vendor": hex(id.vendor.into()),
                "device": hex(id.device.into()),
                "revision": hex(id.revision.into()),
                "revision_is_mask": id.flags & 1 != 0,
                "extended": hex(id.extended.into()),
            })
        })
        .collect();
    let processors: Vec<Value> = acm
        .processors()
        .iter()
        .map(|id| {
            json!({
                "fms": hex(id.fms.into()),
                "fms_mask": hex(id.fms_mask.into()),
                "platform_id": hex(id.platform_id),
                "platform_mask": hex(id.platform_mask),
            })
        })
        .collect();
    let tpm = acm.tpm().map(|tpm| {
        let hashes: Vec<&str> = tpm.hashes().into_iter().map(HashAlg::name).collect();
        json!({
            "extend_policy": tpm.extend_policy(),
            "families": hex(tpm.families().into()),
            "nv_index_set": tpm.nv_index_set(),
            "hashes": hashes,
        })
    });
    let verified = match signature {
        Ok(good) => json!({
            "verified": true,
            "hash": good.digest.alg().name(),
            "digest": good.digest.to_string(),
        }),
        Err(error) => json!({ "verified": false, "error": error.to_string() }),
    };
    let platform: Vec<Value> = checks
        .iter()
        .map(|check| json!({ "check": check.what, "fits": check.fits, "text": check.text }))
        .collect();
    let mut document = json!({
        "kind": info.kind.name(),
        "version": info.acm_version,
        "date": date,
        "size": header.size,
        "header_version": format!("{:?}", header.version).replace('_', ".").to_lowercase(),
        "chipset_id": hex(header.chipset_id.into()),
        "pre_production": header.is_pre_production(),
        "debug_signed": header.is_debug_signed(),
        "txt_svn": header.txt_svn,
        "se_svn": header.se_svn,
        "table_version": info.version,
        "min_mle_version": hex(info.min_mle_version.into()),
        "os_sinit_data_version": info.os_sinit_data_version,
        "capabilities": { "value": hex(info.capabilities.0.into()), "names": info.capabilities.names() },
        "chipsets": chipsets,
        "processors": processors,
        "tpm": tpm,
        "key_bits": header.modulus.len().saturating_mul(8),
        "key_hash": HashAlg::Sha256.digest(&header.modulus).to_string(),
        "signature": verified,
    });
    if let (Some(map), false) = (document.as_object_mut(), platform.is_empty()) {
        map.insert("platform".to_owned(), json!(platform));
    }
    document
}
