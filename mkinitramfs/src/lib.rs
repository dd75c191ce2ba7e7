//! `cargo xtask`: what turns this workspace into a bootable image and tests it.
//! One module for each verb; none needs a system C library.

pub mod dist;
pub mod image;
