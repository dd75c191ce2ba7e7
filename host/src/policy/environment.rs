//! Environment variables that a program is to be started with.

use crate::policy::programs::{Environment, ProgramPolicy};

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

/// Variables that say only how a program shows things to a person.
const HARMLESS: [&str; 16] = [
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "COLUMNS",
    "LINES",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_COLLATE",
    "LC_CTYPE",
    "LC_MESSAGES",
    "LC_MONETARY",
    "LC_NUMERIC",
    "LC_TIME",
    "TZ",
    "SOURCE_DATE_EPOCH",
];

/// Does a variable change nothing but how things are shown? What does more (`BASH_ENV`,
/// `PYTHONPATH`, `PERL5OPT`, `OPENSSL_CONF`, `PATH`, and whatever the next interpreter reads) is
/// part of the program's name even where the policy accepts variables: no list of what is
/// dangerous is ever complete. The value must not lead to a file: a locale, a terminal or a time
/// zone can be given as a path.
fn is_harmless(variable: &str) -> bool {
    let Some((name, value)) = variable.split_once('=') else {
        return false;
    };
    let leads_elsewhere = match name {
        // Zones are in directories, such as Europe/Paris.
        "TZ" => value.trim_start_matches(':').starts_with('/') || value.contains(".."),
        _ => value.contains('/'),
    };
    HARMLESS.contains(&name) && !leads_elsewhere
}

/// The variables that are part of a program's name, in order.
pub(crate) fn named(asked: &[String], policy: &ProgramPolicy) -> Vec<String> {
    let is_named = |variable: &&String| match policy.environment {
        Environment::Named => true,
        Environment::Unnamed => !is_harmless(variable),
        Environment::Refused => false,
    };
    let mut named: Vec<String> = asked.iter().filter(is_named).cloned().collect();
    named.sort_unstable();
    named
}

/// Why variables are refused; a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum EnvironmentError {
    /// The policy has none.
    #[error(
        "environment variables were requested, but this host's policy refuses them (tao host start --environment name)"
    )]
    Refused,
    /// Not a variable.
    #[error("{0:?} is not an environment variable: expected NAME=VALUE")]
    Form(String),
    /// A dangerous one.
    #[error(
        "the environment variable {0} decides what a program loads or who its host is; it cannot be set"
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
pub(crate) fn check(asked: &[String], policy: &ProgramPolicy) -> Result<(), EnvironmentError> {
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
    fn what_does_more_than_change_how_things_are_shown_is_in_the_name_where_variables_are_accepted()
    {
        let named = |variable: &str, environment| {
            let policy = ProgramPolicy {
                environment,
                ..ProgramPolicy::default()
            };
            super::named(&[variable.to_owned()], &policy) == [variable]
        };
        for variable in [
            "BASH_ENV=/tmp/x",
            "ENV=/tmp/x",
            "PYTHONPATH=/tmp",
            "PYTHONSTARTUP=/tmp/x",
            "PERL5OPT=-M",
            "PERL5LIB=/tmp",
            "RUBYOPT=-r/tmp/x",
            "NODE_OPTIONS=--require=/tmp/x",
            "JAVA_TOOL_OPTIONS=-agentpath:/tmp/x",
            "OPENSSL_CONF=/tmp/x",
            "SSL_CERT_FILE=/tmp/x",
            "PATH=/tmp",
            "HOME=/tmp",
            "TERMINFO=/tmp",
            "LC_X=1",
            "A=1",
            "term=1",
            "TERM=/tmp/x",
            "LANG=../../tmp/x",
            "TZ=:/tmp/x",
            "TZ=/tmp/x",
            "TZ=../../tmp/x",
        ] {
            assert!(named(variable, Environment::Unnamed), "{variable}");
        }
        for variable in [
            "TERM=xterm",
            "LANG=de_DE.UTF-8",
            "LC_ALL=C",
            "TZ=Europe/Paris",
        ] {
            assert!(!named(variable, Environment::Unnamed), "{variable}");
            assert!(named(variable, Environment::Named), "{variable}");
        }
    }

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
