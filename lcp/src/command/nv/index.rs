//! Indices on the command line.

use anyhow::{Context, Result};
use lcp::nv::{IndexSet, Role};
use tpm::family::Family;

use crate::command::number;

/// An index by the name of its role, or by its number.
pub fn index_named(text: &str, family: Family, set: IndexSet) -> Result<u32> {
    if let Some(role) = Role::named(text) {
        return Ok(role.index(family, set));
    }
    let names: Vec<&str> = Role::ALL.into_iter().map(Role::name).collect();
    number::u32(text)
        .map_err(anyhow::Error::msg)
        .with_context(|| {
            format!(
                "{text:?} is not an index: a number, or {}",
                names.join(", ")
            )
        })
}
