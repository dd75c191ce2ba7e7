//! What hosted programs ask their host for.

use tao::{
    attestation,
    client::SealPolicy,
    logic::{Form, Pred, SubPrin, Term},
};

use super::report::words;

pub const POLICIES: [SealPolicy; 3] = [SealPolicy::Own, SealPolicy::Few, SealPolicy::Any];

pub fn now() -> Result<i64, String> {
    attestation::now().map_err(words)
}

pub fn statement() -> Result<Form, String> {
    let name = "Ready".parse().map_err(words)?;
    let args = vec![Term::Int(1)];
    Ok(Form::Pred(Pred { name, args }))
}

pub fn subprin(text: &str) -> Result<SubPrin, String> {
    text.parse().map_err(words)
}
