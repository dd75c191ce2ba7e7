//! A list's file.

use anyhow::{Context, Result};
use lcp::list::PolicyList;
use original_options::file;

/// Reads a list file.
pub fn read(path: &str) -> Result<PolicyList> {
    PolicyList::parse(&file::read(path)?).with_context(|| path.to_owned())
}
