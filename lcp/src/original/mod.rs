//! The command lines of tboot's own tools, called by their names: lcptools-v2 of tboot 1.10, and those
//! of tboot 1.8 for TPM 1.2.
//!
//! Options, files, standard output and exit codes are theirs; what they get wrong is done right
//! here, with a note on standard error, unless `--compat` asks for their bytes. The differences are
//! listed in docs/man/lcp-compat.7.

use std::{ffi::OsString, process::ExitCode};

use original_options::{outcome, words::Words};

mod crtpol;
mod crtpolelt;
mod crtpollist;
mod list_file;
mod listing;
mod mlehash;
#[cfg(feature = "nv")]
mod nv;
mod show;
mod show_policy;
mod show_signature;
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
    pub const NAMES: [(&'static str, Self); 8] = [
        ("lcp2_mlehash", Self::MleHash),
        ("lcp2_crtpolelt", Self::CrtPolElt),
        ("lcp2_crtpollist", Self::CrtPolList),
        ("lcp2_crtpol", Self::CrtPol),
        ("lcp_mlehash", Self::MleHash12),
        ("lcp_crtpolelt", Self::CrtPolElt12),
        ("lcp_crtpollist", Self::CrtPolList12),
        ("lcp_crtpol2", Self::CrtPol12),
    ];

    /// All of them, those for the NV of a TPM 1.2 too.
    pub fn all() -> impl Iterator<Item = (&'static str, Self)> {
        #[cfg(feature = "nv")]
        let nv = nv::NvTool::NAMES.map(|(name, tool)| (name, Self::Nv(tool)));
        #[cfg(not(feature = "nv"))]
        let nv = [];
        Self::NAMES.into_iter().chain(nv)
    }

    /// The tool of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all()
            .find(|(known, _)| *known == name)
            .map(|(_, tool)| tool)
    }
}

/// Runs a tool.
pub fn run(tool: Tool, name: &str, arguments: Vec<OsString>) -> ExitCode {
    let Words { words, compat } = match Words::of(arguments) {
        Ok(words) => words,
        Err(error) => {
            eprintln!("{name}: {error}");
            return ExitCode::FAILURE;
        }
    };
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
    outcome::exit_code(outcome)
}
