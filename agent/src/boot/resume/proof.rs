//! Nothing takes over any more.

/// Proof that no hibernation image takes this boot's place any more: there is none, or it was put away.
/// Only [`super::settle`] makes one; mounting root and writing to swap ask for it.
pub struct NotResumed(());

impl NotResumed {
    /// For [`super::settle`] alone.
    pub(super) const fn settled() -> Self {
        Self(())
    }
}
