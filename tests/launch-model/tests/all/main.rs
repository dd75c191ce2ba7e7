//! The model against what real tools and a real host recorded. The records are the ones that the
//! packages which it checks have, and it is held to them by itself.
// A test fails by a panic, and so do its helpers.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod recorded;
mod rules;
