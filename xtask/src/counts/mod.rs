//! `cargo xtask counts`: what the house rules of CONTRIBUTING.md forbid, counted in the sources.
//!
//! * [`package`]: the packages and their targets.
//! * [`tokens`], [`scope`], [`modules`]: a source file, what a module says, what its paths lead to.
//! * [`circles`], [`arrows`], [`outside`], [`places`]: what is counted.
//! * [`allowed`]: what is allowed, as tables.

mod allowed;
mod arrows;
mod circles;
mod figure;
mod modules;
mod outside;
mod package;
mod places;
mod scope;
mod survey;
mod tokens;

use std::path::PathBuf;

use anyhow::{Result, bail};
use argh::FromArgs;

use crate::workspace;
use figure::Figure;
use survey::Survey;

/// Counts circles of imports, arrows between packages, files from elsewhere, silent defaults,
/// errors that are text, and long files.
#[derive(FromArgs)]
#[argh(subcommand, name = "counts")]
pub struct Counts {
    /// fail if there is more of something than allowed
    #[argh(switch)]
    check: bool,
    /// show each place
    #[argh(switch)]
    list: bool,
    /// count in another checkout, to compare with
    #[argh(option)]
    root: Option<PathBuf>,
}

impl Counts {
    /// Counts.
    pub fn run(self) -> Result<()> {
        let root = match self.root {
            Some(root) => root.canonicalize()?,
            None => workspace::root()?,
        };
        let figures = Survey::of(&root)?.figures();
        for figure in &figures {
            println!("{:5}  {}", figure.places.len(), figure.title);
            for place in figure.places.iter().filter(|_| self.list) {
                println!("         {}", place.replace('\n', "\n         "));
            }
        }
        if self.check { refuse(&figures) } else { Ok(()) }
    }
}

/// Fails if something is in the sources that may not be there.
pub fn check() -> Result<()> {
    refuse(&Survey::of(&workspace::root()?)?.figures())
}

fn refuse(figures: &[Figure]) -> Result<()> {
    let mut titles = Vec::new();
    for figure in figures {
        if figure.places.len() <= figure.allowed {
            continue;
        }
        if figure.allowed == 0 {
            eprintln!("{}:", figure.heading());
            for place in &figure.places {
                eprintln!("  {}", place.replace('\n', "\n  "));
            }
        } else {
            eprintln!(
                "{}: `cargo xtask counts --list` shows them",
                figure.heading()
            );
        }
        titles.push(figure.heading());
    }
    if !titles.is_empty() {
        bail!("{} (CONTRIBUTING.md has the rules)", titles.join("; "));
    }
    Ok(())
}
