//! Properties of random values and of random input.

use proptest::prelude::*;

use super::{
    Form, Ident, Keyword, Pred, Prin, PrinExt, PrinTail, Printed, Says, Speaksfor, Style, SubPrin,
    Term, limits::MAX_DEPTH,
};

/// The host reads statements on threads with little more stack than this, which is what
/// unoptimized code needs.
const SMALL_STACK: usize = 448 * 1024;

#[test]
fn the_deepest_value_is_read_on_a_small_stack() {
    let depth = MAX_DEPTH as usize - 2;
    // Each level of a form or of a name takes one level of nesting in the binary form.
    let form: Form = (0..depth).fold(Form::Const(true), |form, _| Form::Not(Box::new(form)));
    let key = Keyword::new("key").unwrap();
    let term = (0..depth).fold(Term::Int(0), |id, _| {
        Term::from(Prin {
            kind: key.clone(),
            id,
            ext: SubPrin::default(),
        })
    });
    let read = move || {
        assert_eq!(Form::decode(&form.encode()), Ok(form));
        assert_eq!(Term::decode(&term.encode()), Ok(term));
    };
    std::thread::Builder::new()
        .stack_size(SMALL_STACK)
        .spawn(read)
        .unwrap()
        .join()
        .unwrap();
}

fn ident() -> impl Strategy<Value = Ident> {
    "[A-Z][a-zA-Z0-9_]{0,5}".prop_map(|name| Ident::new(&name).unwrap())
}

fn term() -> impl Strategy<Value = Term> {
    let leaf = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Term::Str(bytes.into())),
        ".{0,20}".prop_map(|text| Term::Str(text.as_str().into())),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Term::Bytes(bytes.into())),
        any::<i64>().prop_map(Term::Int),
        ident().prop_map(Term::Var),
    ];
    leaf.prop_recursive(3, 24, 3, |inner| {
        let extension = (ident(), proptest::collection::vec(inner.clone(), 0..3))
            .prop_map(|(name, args)| PrinExt { name, args });
        let chain = proptest::collection::vec(extension, 1..3)
            .prop_map(SubPrin)
            .boxed();
        prop_oneof![
            chain
                .clone()
                .prop_map(|chain| Term::PrinTail(PrinTail(chain))),
            (prop_oneof!["key", "tpm2?"], inner, chain).prop_map(|(kind, id, ext)| {
                Term::from(Prin {
                    kind: Keyword::new(&kind).unwrap(),
                    id,
                    ext,
                })
            }),
        ]
    })
}

fn form() -> impl Strategy<Value = Form> {
    let pred = (ident(), proptest::collection::vec(term(), 0..3))
        .prop_map(|(name, args)| Form::Pred(Pred { name, args }));
    let speaksfor = (term(), term()).prop_map(|(delegate, delegator)| {
        Form::Speaksfor(Speaksfor {
            delegate,
            delegator,
        })
    });
    let leaf = prop_oneof![pred, speaksfor, any::<bool>().prop_map(Form::Const)];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        prop_oneof![
            boxed.clone().prop_map(Form::Not),
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Form::And),
            proptest::collection::vec(inner, 0..4).prop_map(Form::Or),
            (boxed.clone(), boxed.clone()).prop_map(|(a, b)| Form::Implies(a, b)),
            (ident(), boxed.clone()).prop_map(|(name, body)| Form::Forall(name, body)),
            (ident(), boxed.clone()).prop_map(|(name, body)| Form::Exists(name, body)),
            (term(), any::<Option<i64>>(), any::<Option<i64>>(), boxed).prop_map(
                |(speaker, time, expiration, message)| {
                    Form::Says(Says {
                        speaker,
                        time,
                        expiration,
                        message,
                    })
                }
            ),
        ]
    })
}

proptest! {
    #[test]
    fn every_form_survives_its_binary_form(form in form()) {
        prop_assert_eq!(Form::decode(&form.encode()).unwrap(), form);
    }

    #[test]
    fn every_term_survives_its_text_and_its_binary_form(term in term()) {
        prop_assert_eq!(&Term::decode(&term.encode()).unwrap(), &term);
        prop_assert_eq!(&term.to_string().parse::<Term>().unwrap(), &term);
        prop_assert_eq!(&term.printed(Style::Base64).parse::<Term>().unwrap(), &term);
    }

    #[test]
    fn the_text_of_a_form_parses_to_a_form_with_the_same_text(form in form()) {
        let text = form.to_string();
        prop_assert_eq!(text.parse::<Form>().unwrap().to_string(), text);
    }

    #[test]
    fn random_bytes_never_panic_and_have_one_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(form) = Form::decode(&bytes) {
            prop_assert_eq!(form.encode(), bytes.clone());
        }
        if let Ok(term) = Term::decode(&bytes) {
            prop_assert_eq!(term.encode(), bytes);
        }
    }

    #[test]
    fn random_text_never_panics(text in "[\\PC(){}\\[\\].,:\"a-zA-Z0-9 ]{0,80}") {
        drop(text.parse::<Form>());
        drop(text.parse::<Term>());
        drop(text.parse::<SubPrin>());
    }
}
