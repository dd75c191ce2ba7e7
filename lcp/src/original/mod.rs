//! The command lines of tboot's own tools, called by their names: lcptools-v2 of tboot 1.10, and those
//! of tboot 1.8 for TPM 1.2.
//!
//! Options, files, standard output and exit codes are theirs; what they get wrong is done right
//! here, with a note on standard error, unless `--compat` asks for their bytes. The differences are
//! listed in docs/man/lcp-compat.7.

use std::{ffi::OsString, process::ExitCode};

mod crtpol;
mod crtpolelt;
mod crtpollist;
mod getopt;
mod hash_file;
mod mlehash;
#[cfg(feature = "nv")]
mod nv;
mod pconf_file;
mod show;
mod show_policy;
mod show_signature;
mod strtoul;
mod tpm12;
mod uuid;
mod verify_list;

/// One of the original tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// lcp2_mlehash.
    MleHash,
    /// lcp2_crtpolelt.
    CrtPolElt,
    /// lcp2_crtpollist.
    CrtPolList,
    /// lcp2_crtpol.
    CrtPol,
    /// lcp_mlehash.
    MleHash12,
    /// lcp_crtpolelt.
    CrtPolElt12,
    /// lcp_crtpollist.
    CrtPolList12,
    /// lcp_crtpol2.
    CrtPol12,
    /// One of those for the NV of a TPM 1.2.
    #[cfg(feature = "nv")]
    Nv(nv::NvTool),
}

impl Tool {
    /// Names of the tools.
    pub const NAMES: [(&'static str, Tool); 8] = [
        ("lcp2_mlehash", Tool::MleHash),
        ("lcp2_crtpolelt", Tool::CrtPolElt),
        ("lcp2_crtpollist", Tool::CrtPolList),
        ("lcp2_crtpol", Tool::CrtPol),
        ("lcp_mlehash", Tool::MleHash12),
        ("lcp_crtpolelt", Tool::CrtPolElt12),
        ("lcp_crtpollist", Tool::CrtPolList12),
        ("lcp_crtpol2", Tool::CrtPol12),
    ];

    /// All of them, those for the NV of a TPM 1.2 too.
    pub fn all() -> impl Iterator<Item = (&'static str, Tool)> {
        #[cfg(feature = "nv")]
        let nv = nv::NvTool::NAMES.map(|(name, tool)| (name, Tool::Nv(tool)));
        #[cfg(not(feature = "nv"))]
        let nv = [];
        Self::NAMES.into_iter().chain(nv)
    }

    /// The tool of a name.
    pub fn named(name: &str) -> Option<Tool> {
        Self::all()
            .find(|(known, _)| *known == name)
            .map(|(_, tool)| tool)
    }
}

/// What a tool ends with: nothing, or a sentence for standard error (exit code 1).
type Outcome = Result<(), String>;

/// The exact word that asks for the original's bytes where it is wrong.
const COMPAT: &str = "--compat";

/// Runs a tool.
pub fn run(tool: Tool, name: &str, arguments: Vec<OsString>) -> ExitCode {
    let mut words = Vec::new();
    let mut compat = false;
    for argument in arguments {
        match argument.into_string() {
            Ok(word) if word == COMPAT => compat = true,
            Ok(word) => words.push(word),
            Err(word) => {
                eprintln!("{name}: {} is no UTF-8 text", word.display());
                return ExitCode::FAILURE;
            }
        }
    }
    let outcome = match tool {
        Tool::MleHash => mlehash::run(name, &words, compat),
        Tool::CrtPolElt => crtpolelt::run(name, &words, compat),
        Tool::CrtPolList => crtpollist::run(name, &words),
        Tool::CrtPol => crtpol::run(name, &words, compat),
        Tool::MleHash12 => tpm12::mlehash::run(&words, compat),
        Tool::CrtPolElt12 => tpm12::crtpolelt::run(name, &words, compat),
        Tool::CrtPolList12 => tpm12::crtpollist::run(name, &words),
        Tool::CrtPol12 => tpm12::crtpol2::run(name, &words, compat),
        #[cfg(feature = "nv")]
        Tool::Nv(tool) => return nv::run(tool, name, &words, compat),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("Error: {sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Reads a file; an empty one is refused, as the originals do.
fn read(path: &str) -> Result<Vec<u8>, String> {
    let bytes = crate::command::file::read(std::path::Path::new(path))
        .map_err(|error| commands::sentence(error.chain()))?;
    if bytes.is_empty() {
        return Err(format!("{path} is empty"));
    }
    Ok(bytes)
}

/// Replaces a file.
fn write(path: &str, bytes: &[u8]) -> Outcome {
    crate::command::file::replace(std::path::Path::new(path), bytes)
        .map_err(|error| commands::sentence(error.chain()))
}

/// A note about a difference to the original.
fn note(name: &str, text: &str) {
    eprintln!("{name}: note: {text}");
}
