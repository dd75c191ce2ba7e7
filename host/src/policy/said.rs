//! What a host says of its policy.

use crate::policy::programs::{
    Confinement, Environment, Lacking, Libraries, ProgramPolicy, RunAs, Scripts,
};

/// What a policy says besides the confinements, in the words of the configuration.
pub(crate) fn words(policy: &ProgramPolicy) -> Vec<String> {
    let libraries = match policy.libraries {
        Libraries::Unmeasured => "accept",
        Libraries::Measured => "measure",
        Libraries::Refused => "refuse",
    };
    let scripts = match policy.scripts {
        Scripts::Refused => "refuse",
        Scripts::Measured => "measure",
    };
    let environment = match policy.environment {
        Environment::Refused => "refuse",
        Environment::Named => "name",
        Environment::Unnamed => "accept",
    };
    let taken = |confinement: &Confinement| *confinement != Confinement::Network;
    let lacking = match policy.lacking {
        _ if !policy.confinements.iter().any(taken) => "none",
        Lacking::Accept => "best",
        Lacking::Declare => "declare",
        Lacking::Refuse => "strict",
    };
    let user = match policy.run_as {
        RunAs::Own => "own".to_owned(),
        RunAs::Caller => "caller".to_owned(),
        RunAs::User { uid, gid } => format!("{uid}:{gid}"),
    };
    let mut words = vec![
        format!("isolation = {lacking:?}"),
        format!("name_arguments = {}", policy.name_arguments),
        format!("libraries = {libraries:?}"),
        format!("scripts = {scripts:?}"),
        format!("environment = {environment:?}"),
        format!("user = {user:?}"),
    ];
    words.push(format!("largest = \"{}\"", policy.largest));
    let limits = policy.limits;
    words.extend(limits.memory.map(|bytes| format!("memory = \"{bytes}\"")));
    words.extend(limits.processes.map(|most| format!("processes = {most}")));
    words.extend(limits.cpu.map(|share| format!("cpu = \"{share}%\"")));
    if !policy.devices.is_empty() {
        words.push(format!("devices = {:?}", policy.devices));
    }
    if let Some(files) = &policy.files {
        for (key, paths) in [("read", &files.read), ("write", &files.write)] {
            words.push(format!("{key} = {paths:?}"));
        }
    }
    words
}
