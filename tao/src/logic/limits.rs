//! Bounds on what the parser and the decoder accept.
//!
//! They are far above anything a principal has reason to say, and low enough that a
//! hostile statement costs little memory and little stack.

/// Longest text or binary form that is read, in bytes.
pub const MAX_LENGTH: usize = 1 << 20;

/// Deepest nesting of forms, terms and parentheses.
pub const MAX_DEPTH: u32 = 64;

/// Most elements (terms, forms, extensions) in one value.
pub const MAX_ELEMENTS: u32 = 1 << 16;

/// Counts elements and nesting while a value is read.
#[derive(Debug, Default)]
pub(super) struct Budget {
    depth: u32,
    elements: u32,
}

impl Budget {
    /// Goes one level deeper; false when that is too deep or one element too many.
    pub(super) fn enter(&mut self) -> bool {
        self.depth = self.depth.saturating_add(1);
        self.elements = self.elements.saturating_add(1);
        self.depth <= MAX_DEPTH && self.elements <= MAX_ELEMENTS
    }

    /// Comes back from [`Budget::enter`].
    pub(super) fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}
