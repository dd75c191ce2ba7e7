//! Environment variables that a program is to be started with.

use super::isolation::{Environment, ProgramPolicy};

/// Longest of all together.
const LONGEST: usize = 32 * 1024;

/// Variables that decide what a program loads or who its host is.
const RESERVED: [&str; 6] = [
    "LD_",
    "CLOUDPROXY_TAO_",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "LOCPATH",
    "MALLOC_",
];

/// Why variables are refused; a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(super) enum EnvironmentError {
    /// The policy has none.
    #[error(
        "environment variables were asked for, and this host's policy refuses them (tao host start --environment name)"
    )]
    Refused,
    /// Not a variable.
    #[error("{0:?} is not an environment variable: expected NAME=VALUE")]
    Form(String),
    /// A dangerous one.
    #[error(
        "the environment variable {0} decides what a program loads or who its host is; it can't be set"
    )]
    Reserved(String),
    /// Two values.
    #[error("the environment variable {0} is given twice")]
    Twice(String),
    /// Too much.
    #[error("the environment is longer than {LONGEST} bytes")]
    Long,
}

/// May a program be started with these variables?
pub(super) fn check(asked: &[String], policy: &ProgramPolicy) -> Result<(), EnvironmentError> {
    if !asked.is_empty() && policy.environment == Environment::Refused {
        return Err(EnvironmentError::Refused);
    }
    if asked.iter().map(String::len).sum::<usize>() > LONGEST {
        return Err(EnvironmentError::Long);
    }
    let mut names = std::collections::HashSet::new();
    for variable in asked {
        let name = variable.split_once('=').map(|(name, _)| name);
        let name = name
            .filter(|name| !name.is_empty() && !variable.contains('\0'))
            .ok_or_else(|| EnvironmentError::Form(variable.clone()))?;
        if RESERVED.iter().any(|reserved| name.starts_with(reserved)) {
            return Err(EnvironmentError::Reserved(name.to_owned()));
        }
        if !names.insert(name) {
            return Err(EnvironmentError::Twice(name.to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_what_is_loaded_or_asked_can_not_be_set() {
        let policy = ProgramPolicy {
            environment: Environment::Unnamed,
            ..ProgramPolicy::default()
        };
        let asked = |variables: &[&str]| {
            let variables: Vec<_> = variables.iter().map(|text| (*text).to_owned()).collect();
            check(&variables, &policy)
        };
        assert_eq!(asked(&["A=1", "B=", "LDX=1"]), Ok(()));
        for variable in [
            "LD_PRELOAD=x",
            "LD_LIBRARY_PATH=/tmp",
            "CLOUDPROXY_TAO_HOST_SPEC=x",
            "GCONV_PATH=/tmp",
        ] {
            let refused = asked(&[variable]);
            assert!(
                matches!(refused, Err(EnvironmentError::Reserved(_))),
                "{variable}"
            );
        }
        for variable in ["A", "=x", "", "A=\0"] {
            assert!(matches!(asked(&[variable]), Err(EnvironmentError::Form(_))));
        }
        assert!(matches!(
            asked(&["A=1", "A=2"]),
            Err(EnvironmentError::Twice(_))
        ));
        let long = format!("A={}", "x".repeat(LONGEST));
        assert_eq!(asked(&[&long]), Err(EnvironmentError::Long));
        let refused = check(&["A=1".to_owned()], &ProgramPolicy::default());
        assert_eq!(refused, Err(EnvironmentError::Refused));
    }
}
