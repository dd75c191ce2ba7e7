//! The corpora of the fuzz targets, with the same functions that the targets run.
// Clippy's permission for tests covers test functions only, not what they call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../../fuzz/replay.rs"]
mod replay;
#[path = "../../fuzz/bodies/tao.rs"]
mod tao_bodies;

#[test]
fn nothing_in_the_corpora_breaks_a_parser() {
    replay::every_input(&tao_bodies::TARGETS);
}

#[test]
fn every_target_has_its_program() {
    replay::every_target_has_its_program(&tao_bodies::TARGETS);
}
