//! Indices on the command line.

use anyhow::{Context, Result};
use lcp::nv::{IndexSet, Role};
use tpm::family::Family;

use crate::command::number;

/// The set of indices on the command line.
pub fn index_set(text: &str) -> Result<IndexSet, String> {
    match text {
        "0" => Ok(IndexSet::Set0),
        "1" => Ok(IndexSet::Set1),
        _ => Err(format!("there is no set {text:?}: 0 or 1")),
    }
}

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
