//! The command lines of tboot 1.8's tools for TPM 1.2 that work on files: lcp_mlehash,
//! lcp_crtpolelt, lcp_crtpollist, lcp_crtpol2.

pub mod crtpol2;
pub mod crtpolelt;
pub mod crtpollist;
pub mod mlehash;
mod show;
