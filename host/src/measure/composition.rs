//! All that will run when a program is started: the program, or the interpreter of a script
//! and the script; and where the policy measures them, the loader and the libraries.
//!
//! Each file is opened once, as who asks for it, and what is hashed is what the program gets:
//! nothing here is found by its path a second time.

use std::{collections::BTreeMap, os::fd::OwnedFd, path::PathBuf, sync::Arc};

use crate::measure::{measured_program::MeasuredProgram, program::script::Interpreter};

/// The bytes of a copy.
#[derive(Debug)]
pub enum Bytes {
    /// These.
    Here(Arc<Vec<u8>>),
    /// Those of sealed memory.
    Sealed(OwnedFd),
}

/// A file that a program finds as it was measured.
#[derive(Debug)]
pub struct Copy {
    /// Where it is in the directory of copies: a relative path.
    pub place: PathBuf,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// The bytes.
    pub bytes: Bytes,
}

/// A script that an interpreter reads.
#[derive(Debug)]
pub struct MeasuredScript {
    /// SHA-256 of the script.
    pub sha256: [u8; 32],
    /// Its place in the directory of copies.
    pub place: String,
    /// Who reads it.
    pub interpreter: Interpreter,
}

/// The loader that loads the program and its libraries from the directory of copies.
#[derive(Debug)]
pub struct Loader {
    /// What is executed in place of the program.
    pub executable: Arc<MeasuredProgram>,
    /// It can tell the program another name than its place (glibc 2.33).
    pub tells_name: bool,
    /// The program's place.
    pub program: String,
    /// Directory of the libraries.
    pub directory: &'static str,
    /// Places of the libraries.
    pub libraries: Vec<String>,
}

/// All that will run.
#[derive(Debug)]
pub struct Composition {
    /// The program, or who reads the script.
    pub executable: Arc<MeasuredProgram>,
    /// What it reads, if it is an interpreter.
    pub script: Option<MeasuredScript>,
    /// Loader and libraries by name, each with the hashes of the files that it may be;
    /// `None` if there are some and they were not measured.
    pub libraries: Option<BTreeMap<String, Vec<[u8; 32]>>>,
    /// Who loads it, if there are measured libraries.
    pub loader: Option<Loader>,
    /// What the program must find as it was measured.
    pub copies: Vec<Copy>,
}

impl Composition {
    /// What the kernel is to execute.
    pub fn executed(&self) -> &MeasuredProgram {
        match &self.loader {
            Some(loader) => &loader.executable,
            None => &self.executable,
        }
    }
}
