//! One thing that is counted, and how much of it may be.

/// One thing that is counted.
pub struct Figure {
    pub title: &'static str,
    pub places: Vec<String>,
    pub allowed: usize,
}

impl Figure {
    /// How much there is, of what, and how much may be.
    pub fn heading(&self) -> String {
        format!(
            "{} {}, allowed {}",
            self.places.len(),
            self.title,
            self.allowed
        )
    }
}
