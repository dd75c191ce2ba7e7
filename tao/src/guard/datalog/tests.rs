use super::*;

fn pred(text: &str) -> Pred {
    text.parse().unwrap()
}

#[test]
fn what_is_no_rule_is_refused_by_what_is_wrong() {
    let mut guard = DatalogGuard::new();
    for (rule, words) in [
        ("forall X: P(X)", "in no condition"),
        ("forall X: Q(1) implies P(X)", "in no condition"),
        ("Q(X) implies P(X)", "not quantified"),
        ("P(X)", "not quantified"),
        ("forall X: forall X: Q(X) implies P(X)", "twice"),
        ("forall X: Q(X) or R(X) implies P(X)", "not a predicate"),
        ("forall X: not Q(X) implies P(X)", "not a predicate"),
        ("exists X: P(X)", "not a predicate"),
        ("key([00]) says P(1)", "not a predicate"),
        ("key([00]) speaksfor key([01])", "not a predicate"),
        ("true", "not a predicate"),
        ("forall X: Q(X) implies P(X) and R(X)", "not a predicate"),
        ("forall X: Q(X) implies P(key([00]).A(X))", "inside"),
        ("forall X: Q(X) implies Subprin(X, X, X)", "built in"),
        ("forall X: Subprin(X) implies P(X)", "three arguments"),
        ("forall X: Q(X) implies", "expected"),
        ("P(1) trailing", "expected the end"),
    ] {
        let error = guard.add_rule(rule).unwrap_err().to_string();
        assert!(error.contains(words), "{rule}: {error}");
    }
    assert!(guard.rules().is_empty());
    assert!(matches!(
        guard.query(&pred("P(X)")),
        Err(GuardError::Query(_))
    ));
}

#[test]
fn a_yes_is_explained_by_rules_and_facts_and_a_no_by_what_is_missing() {
    let mut guard = DatalogGuard::new();
    for rule in [
        "forall P: forall H: forall E: Host(H) and Hash(E) and Subprin(P, H, E) implies Member(P)",
        "forall P: Member(P) implies Authorized(P, \"Execute\")",
        "Host(key([aa]))",
        "Hash(ext.Program([01]))",
    ] {
        guard.add_rule(rule).unwrap();
    }
    let why = guard
        .why(&pred("Authorized(key([aa]).Program([01]), \"Execute\")"))
        .unwrap();
    let lines: Vec<_> = why
        .steps
        .iter()
        .map(|step| (step.depth, step.statement.as_str(), step.reason.as_str()))
        .collect();
    assert!(why.allowed);
    assert_eq!(
        lines[0].1,
        "Authorized(key([aa]).Program([01]), \"Execute\")"
    );
    assert_eq!(
        lines[1],
        (
            1,
            "Member(key([aa]).Program([01]))",
            guard.rules()[0].as_str()
        )
    );
    assert!(
        lines.contains(&(2, "Host(key([aa]))", "a fact")),
        "{lines:?}"
    );
    assert!(lines.contains(&(2, "Hash(ext.Program([01]))", "a fact")));
    let why = guard
        .why(&pred("Authorized(key([aa]).Program([02]), \"Execute\")"))
        .unwrap();
    assert!(!why.allowed);
    let last = why.steps.last().unwrap();
    assert_eq!(last.statement, "Hash(ext.Program([02]))");
    assert!(last.reason.contains("missing"), "{why:?}");
}

#[test]
fn circles_and_growth_come_to_an_end() {
    let mut guard = DatalogGuard::new();
    for rule in [
        "forall X: forall Y: Edge(X, Y) implies Path(X, Y)",
        "forall X: forall Y: forall Z: Path(X, Y) and Path(Y, Z) implies Path(X, Z)",
        "forall X: forall Y: forall P: A(X) and B(Y) and Subprin(P, X, Y) implies A(P)",
        "forall X: A(X) implies Some(1)",
        "A(key([70]))",
        "B(ext.H(1))",
    ] {
        guard.add_rule(rule).unwrap();
    }
    for node in 0..40 {
        guard
            .add_rule(&format!("Edge({node}, {})", (node + 1) % 40))
            .unwrap();
    }
    assert_eq!(guard.query(&pred("Path(3, 2)")), Ok(true));
    assert_eq!(guard.query(&pred("Path(3, 41)")), Ok(false));
    assert_eq!(guard.query(&pred("Some(1)")), Ok(true));
    assert_eq!(
        guard.query(&pred("Some(key([00]).H(1).H(1).H(1))")),
        Ok(false)
    );
}

/// All consequences, the slow and obvious way.
fn naive(edges: &[(u8, u8)]) -> std::collections::BTreeSet<(u8, u8)> {
    let mut path: std::collections::BTreeSet<(u8, u8)> = edges.iter().copied().collect();
    loop {
        let more: Vec<(u8, u8)> = path
            .iter()
            .flat_map(|(x, y)| {
                path.iter()
                    .filter(move |(a, _)| a == y)
                    .map(move |(_, z)| (*x, *z))
            })
            .filter(|pair| !path.contains(pair))
            .collect();
        if more.is_empty() {
            return path;
        }
        path.extend(more);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(40))]

    #[test]
    fn answers_are_those_of_naive_evaluation_also_after_retracting(
        edges in proptest::collection::vec((0_u8..6, 0_u8..6), 0..14),
        retracted in proptest::collection::vec(0_usize..14, 0..4),
        left in proptest::bool::ANY,
    ) {
        let mut guard = DatalogGuard::new();
        guard.add_rule("forall X: forall Y: Edge(X, Y) implies Path(X, Y)").unwrap();
        guard.add_rule(if left {
            "forall X: forall Y: forall Z: Path(X, Y) and Edge(Y, Z) implies Path(X, Z)"
        } else {
            "forall X: forall Y: forall Z: Path(Y, Z) and Edge(X, Y) implies Path(X, Z)"
        }).unwrap();
        let mut edges: Vec<_> = edges.into_iter().collect();
        edges.sort_unstable();
        edges.dedup();
        for (x, y) in &edges {
            guard.add_rule(&format!("Edge({x}, {y})")).unwrap();
        }
        for place in retracted {
            if place < edges.len() {
                let (x, y) = edges.remove(place);
                guard.retract_rule(&format!("Edge({x}, {y})")).unwrap();
            }
        }
        let expected = naive(&edges);
        for x in 0..6 {
            for y in 0..6 {
                let query = pred(&format!("Path({x}, {y})"));
                proptest::prop_assert_eq!(guard.query(&query).unwrap(), expected.contains(&(x, y)));
                proptest::prop_assert_eq!(guard.why(&query).unwrap().allowed, expected.contains(&(x, y)));
            }
        }
    }
}

#[test]
fn many_facts_do_not_make_a_lookup_slow() {
    let mut guard = DatalogGuard::new();
    guard
        .add_rule("forall P: forall H: forall E: Host(H) and Hash(E) and Subprin(P, H, E) implies Authorized(P, \"Execute\")")
        .unwrap();
    guard.add_rule("Host(key([aa]))").unwrap();
    for number in 0..20_000_u32 {
        guard
            .add_rule(&format!(
                "Hash(ext.Program([{}]))",
                hex::encode(number.to_be_bytes())
            ))
            .unwrap();
    }
    let started = std::time::Instant::now();
    for number in 0..200_u32 {
        let hash = hex::encode((number * 90).to_be_bytes());
        let query = pred(&format!(
            "Authorized(key([aa]).Program([{hash}]), \"Execute\")"
        ));
        assert_eq!(guard.query(&query), Ok(true));
    }
    // Searching through all facts each time would take minutes in this build.
    assert!(
        started.elapsed() < std::time::Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_principal_is_taken_apart_in_every_way_whatever_the_order_of_the_conditions() {
    for conditions in [
        "Host(H) and Hash(E) and Subprin(P, H, E)",
        "Subprin(P, H, E) and Host(H) and Hash(E)",
    ] {
        let mut guard = DatalogGuard::new();
        let rule = format!("forall P: forall H: forall E: {conditions} implies Member(P)");
        guard.add_rule(&rule).unwrap();
        guard.add_rule("Host(key([aa]).Guard())").unwrap();
        guard
            .add_rule("Hash(ext.Program([01]).Libraries([02]))")
            .unwrap();
        let member = |name: &str| {
            let query = format!("Member(key([aa]).Guard(){name})");
            guard.query(&query.parse().unwrap()).unwrap()
        };
        assert!(member(".Program([01]).Libraries([02])"));
        for other in [
            "",
            ".Program([01])",
            ".Libraries([02])",
            ".Program([01]).Libraries([03])",
            ".Program([01]).Libraries([02]).More()",
            ".More().Program([01]).Libraries([02])",
        ] {
            assert!(!member(other), "{other}");
        }
    }
}
