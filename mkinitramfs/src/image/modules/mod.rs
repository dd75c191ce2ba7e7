//! Kernel modules: which ones an image holds, in which order they are loaded, and
//! the firmware they ask for.

pub mod alias;
pub mod alias_index;
pub mod dep;
pub mod file;
pub mod firmware;
pub mod hidden;
pub mod host;
pub mod left_out;
pub mod name;
pub mod plan;
pub mod resolve;
pub mod tree;
pub mod wanted;
