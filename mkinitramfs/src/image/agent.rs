//! The program that becomes /init: it must run with nothing beside it, and it
//! must accept the config that is measured with it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use object::LittleEndian;
use object::elf::{DT_NEEDED, EM_X86_64, ET_DYN, ET_EXEC, FileHeader64, PT_INTERP};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

/// Reads the agent and checks that it is a static x86-64 program.
///
/// # Errors
/// The file cannot be read, or is something the kernel could not start as /init
/// in an image without libraries.
pub fn load(path: &Path) -> Result<Vec<u8>> {
    let bytes =
        fs::read(path).with_context(|| format!("cannot read the agent {}", path.display()))?;
    check_static(&bytes).with_context(|| format!("{} cannot be /init", path.display()))?;
    Ok(bytes)
}

/// Checks that `bytes` are an x86-64 ELF program without interpreter and without
/// needed libraries.
///
/// # Errors
/// Each thing that is not so, in words.
pub fn check_static(bytes: &[u8]) -> Result<()> {
    const HINT: &str = "build the agent for a static target";
    let header = match FileHeader64::<LittleEndian>::parse(bytes) {
        Ok(header) if bytes.starts_with(b"\x7fELF") => header,
        _ => bail!("it is not a 64-bit ELF program; {HINT}"),
    };
    let endian = match header.endian() {
        Ok(endian) => endian,
        Err(_) => bail!("it is not a little-endian ELF program; {HINT}"),
    };
    let machine = header.e_machine.get(endian);
    if machine != EM_X86_64 {
        bail!("it is built for ELF machine {machine:?}, not for x86-64");
    }
    let kind = header.e_type.get(endian);
    if kind != ET_EXEC && kind != ET_DYN {
        bail!("its ELF type is {kind:?}: an object or core file, not a program");
    }
    let segments = header
        .program_headers(endian, bytes)
        .context("its ELF program headers are damaged")?;
    if segments.is_empty() {
        bail!("it has no ELF program headers, so it is not a program");
    }
    for segment in segments {
        if segment.p_type(endian) == PT_INTERP {
            bail!(
                "it asks for a dynamic loader (PT_INTERP), which the image does not hold; {HINT}"
            );
        }
        let dynamic = segment
            .dynamic(endian, bytes)
            .context("its ELF dynamic section is damaged")?
            // A static program without relocations has no dynamic section.
            .unwrap_or_default();
        if dynamic.iter().any(|entry| entry.tag(endian) == DT_NEEDED) {
            bail!("it needs shared libraries (DT_NEEDED), which the image does not hold; {HINT}");
        }
    }
    Ok(())
}

/// Runs `AGENT --check-config CONFIG` and passes on what it says.
///
/// # Errors
/// The agent cannot be run here, or refuses the config.
pub fn check_config(agent: &Path, config: &Path) -> Result<()> {
    // A bare file name would be looked up in PATH instead of here.
    let program = fs::canonicalize(agent)
        .with_context(|| format!("cannot find the agent {}", agent.display()))?;
    let output = Command::new(&program)
        .arg("--check-config")
        .arg(config)
        .stdin(Stdio::null())
        .output()
        .with_context(|| {
            format!(
                "cannot run {} to check {}",
                agent.display(),
                config.display()
            )
        })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    if said.is_empty() {
        bail!(
            "{} is refused by {} --check-config ({})",
            config.display(),
            agent.display(),
            output.status
        );
    }
    bail!("{} is refused: {said}", config.display());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_static_x86_64_program_is_refused_by_name() {
        for (bytes, words) in [
            (b"#!/bin/sh\n".to_vec(), "not a 64-bit ELF"),
            (Vec::new(), "not a 64-bit ELF"),
            (b"\x7fELF".to_vec(), "not a 64-bit ELF"),
            (fs::read("/proc/self/exe").unwrap(), "dynamic loader"),
        ] {
            let error = check_static(&bytes).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
