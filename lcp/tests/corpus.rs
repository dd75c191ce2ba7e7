//! The corpora of the fuzz targets, with the same functions that the targets run.
// Clippy's permission for tests covers test functions only, not what they call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../../fuzz/bodies/lcp.rs"]
mod lcp_bodies;
#[path = "../../fuzz/bodies/original.rs"]
mod original;
#[path = "../../fuzz/replay.rs"]
mod replay;

#[test]
fn nothing_in_the_corpora_breaks_a_parser() {
    replay::every_input(&lcp_bodies::TARGETS);
}

#[test]
fn every_target_has_its_program() {
    replay::every_target_has_its_program(&lcp_bodies::TARGETS);
}
