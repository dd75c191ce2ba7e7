//! A measured launch on TPM 2.0, as the CPU, SINIT and tboot carry it out: an oracle for tests.
//!
//! The harness plays what this computes into the TPM of a virtual machine, and `tboot-policy`'s
//! predictions are compared with it. It therefore shares no code with them: it has its own readers of
//! tboot's image and of the verified launch policy, and is written to be read beside tboot's source
//! (1.10 and 1.11: `policy.c`, `integrity.c`, `cmdline.c`, `lcp2_mlehash`) and the TXT Software
//! Development Guide. Recorded hashes of the real tools and the log of a real host prove it
//! (`tests/all`).
//!
//! * [`platform`]: what SINIT measures, and in which order.
//! * [`mle`]: tboot's image and its hash.
//! * [`policy`]: the bytes of the verified launch policy.
//! * [`tboot`]: what tboot extends, and where it halts.
//! * [`replay`]: PCR values.
//!
//! ```
//! use launch_model::{Bank, policy::Policy, tboot};
//!
//! let policy = Policy::read(&Policy::DEFAULT)?;
//! let how = tboot::Extending::of(b"logging=serial")?;
//! let kernel = tboot::Module {
//!     name: "vmlinuz".into(),
//!     cmdline: b"ro".to_vec(),
//!     file: b"a kernel".to_vec(),
//! };
//! let hashed = [kernel.hashes(&how.banks)?];
//! let events = tboot::events(&policy, &hashed, &how, tboot::Registers::DetailsAuthorities);
//! // The policy into PCR 17 and 18, the kernel into PCR 17.
//! assert_eq!(events.iter().map(|event| event.pcr).collect::<Vec<_>>(), [17, 18, 17]);
//! assert_eq!(events[2].digests.keys().collect::<Vec<_>>(), [&Bank::Sha256]);
//! # Ok::<(), launch_model::ModelError>(())
//! ```

mod bank;
mod error;
mod event;
mod file;
pub mod mle;
pub mod platform;
pub mod policy;
pub mod replay;
pub mod tboot;

use std::{collections::BTreeMap, fmt};

pub use bank::Bank;
pub use error::ModelError;
pub use event::Event;
pub use platform::Platform;
pub use policy::Complaint;
pub use tboot::Module;

use self::{mle::Mle, policy::Policy, tboot::Registers};

/// The files of a boot.
#[derive(Clone)]
pub struct Boot {
    /// tboot.gz, or uncompressed.
    pub tboot: Vec<u8>,
    /// tboot's command line: the text after the file name.
    pub tboot_cmdline: Vec<u8>,
    /// The modules in GRUB's order, without SINIT modules and LCP data.
    pub modules: Vec<Module>,
    /// The bytes of the verified launch policy; `None` for tboot's built-in one.
    pub vlp: Option<Vec<u8>>,
    /// The machine.
    pub platform: Platform,
}

/// Without the bytes of files, for the messages of failed tests.
impl fmt::Debug for Boot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let modules = self.modules.iter();
        let modules: Vec<_> = modules
            .map(|module| (&module.name, text(&module.cmdline), module.file.len()))
            .collect();
        f.debug_struct("Boot")
            .field("tboot_cmdline", &text(&self.tboot_cmdline))
            .field("modules", &modules)
            .field("vlp", &format_args!("{:02x?}", self.vlp))
            .finish_non_exhaustive()
    }
}

/// What a launch does.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The bytes that the CPU sends between TPM_HASH_START and TPM_HASH_END; the first event is
    /// their digest.
    pub hash_data: Vec<u8>,
    /// The extends, in order.
    pub events: Vec<Event>,
    /// Where the modules are not as the policy wants them.
    pub complaints: Vec<Complaint>,
    /// Does tboot halt before it extends anything?
    pub halts: bool,
}

impl Launch {
    /// PCR 17 to 22 of one bank after it.
    pub fn pcrs(&self, bank: Bank) -> BTreeMap<u8, Vec<u8>> {
        replay::pcrs(&self.events, bank)
    }
}

/// Carries out a launch.
///
/// # Errors
/// tboot would not start, or does what is not modelled.
pub fn launch(boot: &Boot) -> Result<Launch, ModelError> {
    let how = tboot::Extending::of(&boot.tboot_cmdline)?;
    let mle = Mle::of(&boot.tboot, &boot.tboot_cmdline)?;
    let policy = Policy::read(boot.vlp.as_deref().unwrap_or(&Policy::DEFAULT))?;
    let modules: Vec<_> = boot
        .modules
        .iter()
        .map(|module| module.hashes(&how.banks))
        .collect::<Result<_, _>>()?;
    if modules.is_empty() {
        return Err(ModelError::NoKernel);
    }
    let complaints = tboot::complaints(&policy, &modules, &how)?;
    let mut events = boot.platform.events(&mle, &boot.tboot_cmdline);
    events.extend(tboot::events(
        &policy,
        &modules,
        &how,
        Registers::DetailsAuthorities,
    ));
    Ok(Launch {
        hash_data: boot.platform.sinit.clone(),
        events,
        halts: policy.halts(&complaints),
        complaints,
    })
}
