//! The keys of a host.

use crate::authority::error::IdentityError;
use tao::{
    keys::{Crypter, Deriver, Secret, Signer},
    logic::SubPrin,
};

/// What a host signs, seals and derives with.
pub struct HostKeys {
    pub(crate) signer: Signer,
    /// Seals for programs.
    pub(crate) crypter: Crypter,
    /// Derives the secrets that programs share.
    pub(crate) deriver: Deriver,
    /// Seals the host's own table of counters: nothing that a program has sealed can be
    /// taken for it.
    pub(crate) table: Crypter,
}

impl HostKeys {
    /// Keys from 32 secret bytes, the same each time. They are bound to the guard: the same
    /// machine under another guard cannot open what was sealed under this one.
    pub fn derive(host_secret: &Secret, guard: &SubPrin) -> Result<Self, IdentityError> {
        let guard = guard.encode();
        let deriver = Deriver::new(host_secret.clone());
        let secret = |purpose: &str| deriver.secret(&[purpose.as_bytes(), &guard].concat());
        Ok(Self {
            signer: Signer::new(secret("taoboot host signing key")?)?,
            crypter: Crypter::new(&secret("taoboot host sealing key")?),
            deriver: Deriver::new(secret("taoboot host deriving key")?),
            table: Crypter::new(&secret("taoboot host counter table key")?),
        })
    }
}
