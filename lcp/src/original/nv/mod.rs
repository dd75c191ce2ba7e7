//! tboot 1.8's tools for the NV of a TPM 1.2: tpmnv_defindex, tpmnv_relindex, tpmnv_getcap,
//! tpmnv_lock, lcp_readpol, lcp_writepol.
//!
//! Options, standard output, files and exit codes (LCP_E_*) are theirs; on standard error stands
//! one sentence of ours. Two exact words are added to each: `--tcti ADDRESS` (also the environment
//! variable LCP_TCTI) where they asked trousers' daemon, and `--password-file FILE` in place of a
//! password in the list of processes.

use std::process::ExitCode;

mod define;
mod failure;
mod getcap;
mod options;
mod setting;
mod value;

use setting::setting;

/// One of the tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NvTool {
    /// tpmnv_defindex.
    DefIndex,
    /// tpmnv_relindex.
    RelIndex,
    /// tpmnv_getcap.
    GetCap,
    /// tpmnv_lock.
    Lock,
    /// lcp_readpol.
    ReadPol,
    /// lcp_writepol.
    WritePol,
}

impl NvTool {
    /// Names of the tools.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("tpmnv_defindex", Self::DefIndex),
        ("tpmnv_relindex", Self::RelIndex),
        ("tpmnv_getcap", Self::GetCap),
        ("tpmnv_lock", Self::Lock),
        ("lcp_readpol", Self::ReadPol),
        ("lcp_writepol", Self::WritePol),
    ];
}

/// Runs a tool; 0, or the number of its error.
pub fn run(tool: NvTool, name: &str, words: &[String], compat: bool) -> ExitCode {
    let done = setting(name, words, compat).and_then(|(setting, words)| match tool {
        NvTool::DefIndex => define::define(&setting, &words),
        NvTool::RelIndex => define::release(&setting, &words),
        NvTool::Lock => define::lock(&setting, &words),
        NvTool::GetCap => getcap::run(&setting, &words),
        NvTool::ReadPol => value::read(&setting, &words),
        NvTool::WritePol => value::write(&setting, &words),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{name}: {failure}");
            ExitCode::from(failure.code())
        }
    }
}
