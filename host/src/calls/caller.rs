//! Who is calling: a hosted program, under the name it has now.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crate::counters::table::{self, Id, Owner};
use tao::logic::SubPrin;

/// Longest name below the host's, in its binary form.
const MAX_NAME: usize = 16 * 1024;
/// Most extensions of a name.
const MOST_EXTENSIONS: usize = 64;
/// What of a long name is kept where counters are listed.
const LISTED: usize = 256;

/// Why a name is not extended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExtendError {
    /// By nothing.
    #[error("no extension is given")]
    Nothing,
    /// It would be too long.
    #[error(
        "the name would have {extensions} extensions and {length} bytes; the limits are {MOST_EXTENSIONS} extensions and {MAX_NAME} bytes"
    )]
    TooLong {
        /// How many extensions.
        extensions: usize,
        /// How many bytes.
        length: usize,
    },
}

/// A program's part of its name.
#[derive(Debug)]
pub(crate) struct Called {
    pub subprin: SubPrin,
    /// Its binary form, which sealing needs each time.
    pub bytes: Vec<u8>,
    id: OnceLock<Id>,
}

impl Called {
    fn new(subprin: SubPrin) -> Arc<Self> {
        let bytes = subprin.encode();
        Arc::new(Self {
            subprin,
            bytes,
            id: OnceLock::new(),
        })
    }

    /// Under which its counters are kept.
    pub fn id(&self) -> Id {
        *self.id.get_or_init(|| table::id(&self.bytes))
    }
}

/// A hosted program.
#[derive(Debug)]
pub struct Caller {
    /// What the host measured.
    started_as: SubPrin,
    /// The same, and whatever the program has added to it since.
    now: RwLock<Arc<Called>>,
    owner: OnceLock<Owner>,
}

impl Caller {
    /// A program that has just been started.
    pub fn new(subprin: SubPrin) -> Self {
        Self {
            now: RwLock::new(Called::new(subprin.clone())),
            started_as: subprin,
            owner: OnceLock::new(),
        }
    }

    /// The program's part of its name, as the host measured it.
    pub fn started_as(&self) -> &SubPrin {
        &self.started_as
    }

    /// The program's part of its name now.
    pub fn subprin(&self) -> SubPrin {
        self.now().subprin.clone()
    }

    /// The same, with its binary form.
    pub(crate) fn now(&self) -> Arc<Called> {
        // The name is replaced as a whole, so a panic elsewhere leaves a whole name.
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&now)
    }

    /// Whom its counters count against: the program that was started, under all its names.
    pub(crate) fn owner(&self) -> &Owner {
        self.owner.get_or_init(|| {
            let mut name = self.started_as.to_string();
            if name.len() > LISTED {
                let ends = name.char_indices().map(|(at, _)| at);
                name.truncate(ends.take_while(|at| *at <= LISTED).last().unwrap_or(0));
                name.push('…');
            }
            let id = table::id(&self.started_as.encode());
            Owner { id, name }
        })
    }

    /// Was the program started under that name, or has it that name now?
    pub fn is_called(&self, name: &SubPrin) -> bool {
        self.started_as == *name || self.now().subprin == *name
    }

    /// Extends the name. There is no way back, for as long as the program runs.
    pub(crate) fn extend(&self, more: &SubPrin) -> Result<(), ExtendError> {
        if more.0.is_empty() {
            return Err(ExtendError::Nothing);
        }
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let extended = Called::new(now.subprin.extended(more));
        let (extensions, length) = (extended.subprin.0.len(), extended.bytes.len());
        if extensions > MOST_EXTENSIONS || length > MAX_NAME {
            return Err(ExtendError::TooLong { extensions, length });
        }
        *now = extended;
        Ok(())
    }
}
