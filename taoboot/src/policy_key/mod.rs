//! `taoboot policy-key`: the owner's key that signs launches, on a machine that need not be the
//! one that boots.

pub mod approve;
mod files;
mod known_digests;
mod new;
mod sign;

use std::process::ExitCode;

use anyhow::Result;
use argh::FromArgs;

pub use files::{is_good, public_key, read};

/// Make the key that approves launches, and sign predicted launches with it, on any machine.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "policy-key",
    example = "On the machine that signs:\n  taoboot policy-key new --private owner.pem --public owner.pub.pem",
    example = "On the machine that boots, once:\n  taoboot enroll --policy-key owner.pub.pem",
    example = "For each new launch, on the machine that signs, then on the one that boots:\n  taoboot policy-key sign --key owner.pem --predictions menu.json --output approved.json\n  taoboot approve approved.json"
)]
pub struct PolicyKey {
    #[argh(subcommand)]
    verb: Verb,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Verb {
    New(new::New),
    Sign(sign::Sign),
    Digest(sign::Digest),
    Attach(sign::Attach),
}

impl PolicyKey {
    pub fn run(self) -> Result<ExitCode> {
        match self.verb {
            Verb::New(verb) => verb.run(),
            Verb::Sign(verb) => verb.run(),
            Verb::Digest(verb) => verb.run(),
            Verb::Attach(verb) => verb.run(),
        }
    }
}
