//! What the model does not carry out.

/// A launch that does not happen, or that is not modelled.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A gzip that GRUB cannot unpack.
    #[error("a gzip file is damaged: {0}")]
    Gzip(#[from] std::io::Error),
    /// A file that unpacks to more than a boot has memory for.
    #[error("a gzip file has more than {0} bytes of content")]
    TooLarge(u64),
    /// A file ends too early.
    #[error("{what} ends before its byte {needed}")]
    Short {
        /// What ends.
        what: &'static str,
        /// The byte that was to be read.
        needed: usize,
    },
    /// The file is not a tboot.
    #[error("not a tboot: {0}")]
    NotTboot(&'static str),
    /// tboot's area for its command line is smaller than the command line.
    #[error("tboot's command line has {found} bytes, and tboot has room for {room}")]
    CmdlineTooLong {
        /// Its length.
        found: usize,
        /// What fits, with a NUL behind it.
        room: usize,
    },
    /// `extpol=` with another value.
    #[error("extpol={0} is not modelled")]
    Extpol(String),
    /// The bytes are not a policy that tboot takes.
    #[error("not a verified launch policy: {what} is {found}")]
    NotPolicy {
        /// The field.
        what: &'static str,
        /// Its value.
        found: u8,
    },
    /// tboot would compare digests of two algorithms, byte by byte.
    #[error("the policy's digests have the algorithm {policy:#x}, tboot's {extended:#x}")]
    OtherAlgorithm {
        /// The policy's TPM_ALG number.
        policy: u8,
        /// The one that tboot computes.
        extended: u16,
    },
    /// No module: tboot has nothing to start.
    #[error("there is no kernel")]
    NoKernel,
}
