//! Menus that are refused.

use super::error::ScriptError;

/// Most entries that a menu may have.
pub(super) const MAX_ENTRIES: usize = 4096;
/// Deepest submenus, and most of them.
pub(super) const MAX_DEPTH: usize = 8;
pub(super) const MAX_LEVELS: usize = 512;

/// A menu that cannot be read, or an entry that is not in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MenuError {
    /// GRUB cannot read the script either.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// No entry of this name.
    #[error("no menu entry {name:?}; there are: {known}")]
    NoEntry {
        /// What was asked for.
        name: String,
        /// The entries that there are.
        known: String,
    },
    /// Several entries of this name.
    #[error(
        "{name:?} names several menu entries: {found}; name one by its place, as GRUB_DEFAULT does"
    )]
    Several {
        /// What was asked for.
        name: String,
        /// The entries.
        found: String,
    },
    /// A menu that is larger than any real one.
    #[error(
        "the menu has more than {MAX_ENTRIES} entries or {MAX_DEPTH} levels, or functions that never end"
    )]
    TooLarge,
}
