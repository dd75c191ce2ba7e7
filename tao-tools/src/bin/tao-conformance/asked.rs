//! What hosted programs ask their host for.

use tao::{
    attestation,
    client::SealPolicy,
    logic::{Form, Pred, SubPrin, Term},
};

use super::report::Breach;

pub const POLICIES: [SealPolicy; 3] = [SealPolicy::Own, SealPolicy::Few, SealPolicy::Any];

pub fn now() -> Result<i64, Breach> {
    attestation::now().map_err(Breach::from)
}

pub fn statement() -> Result<Form, Breach> {
    let name = "Ready".parse()?;
    let args = vec![Term::Int(1)];
    Ok(Form::Pred(Pred { name, args }))
}

pub fn subprin(text: &str) -> Result<SubPrin, Breach> {
    text.parse().map_err(Breach::from)
}
