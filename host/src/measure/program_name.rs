//! What the host says a program is: the extensions that its name gets.

use std::path::Path;

use crate::{
    measure::{compose::compose, composition::Composition, error::MeasureError, opening::Opener},
    policy::{
        environment,
        programs::{Confinement, Environment, Lacking, ProgramPolicy},
    },
};
use tao::logic::{Head, LogicError, SubPrin, Term};

/// The name that a host with this policy gives the program at `path`, without what depends on
/// the machine or on how it is started (arguments, environment, what is lacking).
///
/// # Errors
///
/// If the program, or what belongs to it, cannot be measured.
pub fn measured_name(path: &Path, policy: &ProgramPolicy) -> Result<SubPrin, MeasureError> {
    let plain = ProgramPolicy {
        name_arguments: false,
        environment: Environment::Unnamed,
        lacking: Lacking::Accept,
        ..policy.clone()
    };
    let circumstances = Circumstances {
        policy: &plain,
        lacking: &[],
        arguments: &[],
        environment: &[],
    };
    let composition = compose(path, policy, &Opener::to_name())?;
    program_name(&composition, &circumstances).map_err(|error| MeasureError::Io {
        path: path.to_owned(),
        source: std::io::Error::other(error),
    })
}

/// What is part of the name besides the program's bytes.
pub(crate) struct Circumstances<'a> {
    pub policy: &'a ProgramPolicy,
    pub lacking: &'a [Confinement],
    pub arguments: &'a [String],
    pub environment: &'a [String],
}

/// `.Program([...])`, and as the policy says `.Script(...)`, `.Libraries(...)`, `.Args(...)`,
/// `.Env(...)`, `.Lacking(...)`, in this order.
pub(crate) fn program_name(
    composition: &Composition,
    circumstances: &Circumstances<'_>,
) -> Result<SubPrin, LogicError> {
    let policy = circumstances.policy;
    let text = |text: &str| Term::Str(text.into());
    let hash = |sha256: &[u8; 32]| Term::Bytes(sha256.to_vec().into());
    let texts = |list: &[String]| list.iter().map(|item| text(item)).collect::<Vec<_>>();
    let mut parts = vec![(Head::Program, vec![hash(&composition.executable.sha256)])];
    if let Some(script) = &composition.script {
        let argument = script.interpreter.argument.as_deref();
        let terms = [hash(&script.sha256)].into_iter();
        parts.push((Head::Script, terms.chain(argument.map(text)).collect()));
    }
    if let Some(libraries) = composition.libraries.as_ref().filter(|all| !all.is_empty()) {
        let each = libraries.iter().flat_map(|(name, hashes)| {
            let hashes = hashes.iter().map(hash);
            [text(name)].into_iter().chain(hashes)
        });
        parts.push((Head::Libraries, each.collect()));
    }
    if policy.name_arguments {
        parts.push((Head::Args, texts(circumstances.arguments)));
    }
    let named = environment::named(circumstances.environment, policy);
    // A policy that names them names also that there are none.
    if policy.environment == Environment::Named || !named.is_empty() {
        parts.push((Head::Env, texts(&named)));
    }
    let lacking = circumstances
        .lacking
        .iter()
        .map(|confinement| confinement.name());
    let unmeasured = composition.libraries.is_none().then_some("libraries");
    let lacking: Vec<_> = lacking.chain(unmeasured).map(text).collect();
    if policy.lacking == Lacking::Declare && !lacking.is_empty() {
        parts.push((Head::Lacking, lacking));
    }
    let mut name = SubPrin::default();
    for (head, terms) in parts {
        name = name.extended(&SubPrin::single(head.name(), terms)?);
    }
    Ok(name)
}
