//! From words to a policy, and back.

use super::*;
use crate::policy::said::words;

#[test]
fn what_a_host_says_of_its_policy_are_the_words_that_made_it() {
    let made = PolicyWords {
        isolation: Some("declare".to_owned()),
        libraries: Some("measure".to_owned()),
        memory: Some("1M".to_owned()),
        largest: Some("64M".to_owned()),
        cpu: Some("150%".to_owned()),
        read: vec!["/usr".into()],
        user: Some("1000:100".to_owned()),
        devices: vec!["/dev/kvm".into()],
        ..PolicyWords::default()
    };
    let said = words(&made.policy().unwrap());
    for expected in [
        "isolation = \"declare\"",
        "libraries = \"measure\"",
        "scripts = \"refuse\"",
        "memory = \"1048576\"",
        "cpu = \"150%\"",
        "read = [\"/usr\"]",
        "user = \"1000:100\"",
        "devices = [\"/dev/kvm\"]",
    ] {
        assert!(said.iter().any(|word| word == expected), "{said:?}");
    }
}

#[test]
fn who_is_to_have_no_network_has_none_without_other_measures_too() {
    let made = PolicyWords {
        isolation: Some("none".to_owned()),
        network: Some(false),
        ..PolicyWords::default()
    };
    let policy = made.policy().unwrap();
    assert_eq!(policy.confinements, [Confinement::Network]);
    assert!(words(&policy).contains(&"isolation = \"none\"".to_owned()));
}

#[test]
fn words_that_no_measure_would_carry_out_are_refused() {
    let text = |text: &str| Some(text.to_owned());
    let empty = PolicyWords::default;
    for (key, words) in [
        (
            "read",
            PolicyWords {
                read: vec!["/usr".into()],
                ..empty()
            },
        ),
        (
            "write",
            PolicyWords {
                write: vec!["/tmp".into()],
                ..empty()
            },
        ),
        (
            "devices",
            PolicyWords {
                devices: vec!["/dev/kvm".into()],
                ..empty()
            },
        ),
        (
            "memory",
            PolicyWords {
                memory: text("1M"),
                ..empty()
            },
        ),
        (
            "processes",
            PolicyWords {
                processes: Some(1),
                ..empty()
            },
        ),
        (
            "cpu",
            PolicyWords {
                cpu: text("50%"),
                ..empty()
            },
        ),
        (
            "user",
            PolicyWords {
                user: text("own"),
                ..empty()
            },
        ),
    ] {
        assert!(words.policy().is_ok(), "{key}");
        let isolation = text("none");
        let error = PolicyWords { isolation, ..words }.policy().unwrap_err();
        let sentence = error.to_string();
        assert!(
            sentence.contains(key) && sentence.contains("none"),
            "{sentence}"
        );
    }
}

#[test]
fn no_words_are_the_default_and_unknown_ones_are_refused() {
    assert_eq!(
        PolicyWords::default().policy(),
        Ok(ProgramPolicy::default())
    );
    let odd = Some("odd".to_owned());
    for words in [
        PolicyWords {
            isolation: odd.clone(),
            ..PolicyWords::default()
        },
        PolicyWords {
            libraries: odd.clone(),
            ..PolicyWords::default()
        },
        PolicyWords {
            scripts: odd.clone(),
            ..PolicyWords::default()
        },
        PolicyWords {
            environment: odd.clone(),
            ..PolicyWords::default()
        },
        PolicyWords {
            memory: odd.clone(),
            ..PolicyWords::default()
        },
        PolicyWords {
            cpu: odd.clone(),
            ..PolicyWords::default()
        },
        PolicyWords {
            largest: odd,
            ..PolicyWords::default()
        },
        PolicyWords {
            processes: Some(0),
            ..PolicyWords::default()
        },
        PolicyWords {
            user: Some("odd:0".to_owned()),
            ..PolicyWords::default()
        },
        PolicyWords {
            devices: vec!["/etc/relative".into()],
            ..PolicyWords::default()
        },
        PolicyWords {
            read: vec!["relative".into()],
            ..PolicyWords::default()
        },
    ] {
        let error = words.policy().unwrap_err().to_string();
        assert!(error.contains("odd") || error.contains("relative") || error.contains('0'));
    }
}
