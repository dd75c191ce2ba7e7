//! The values of the logic.

use super::identifier::{Ident, Keyword};

/// A string: bytes, normally UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Str(Box<[u8]>);

impl Str {
    /// The string's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The string as text, if it is UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<Vec<u8>> for Str {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

/// A value or a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Term {
    /// `"text"`
    Str(Str),
    /// `[0a1b]`
    Bytes(Box<[u8]>),
    /// `42`
    Int(i64),
    /// `key([0a]).Program([0b])`
    Prin(Box<Prin>),
    /// `ext.Program([0b])`
    PrinTail(PrinTail),
    /// `X`
    Var(Ident),
}

impl Term {
    /// The principal, if the term is one.
    pub fn as_prin(&self) -> Option<&Prin> {
        match self {
            Self::Prin(prin) => Some(prin),
            _ => None,
        }
    }
}

impl From<Prin> for Term {
    fn from(prin: Prin) -> Self {
        Self::Prin(Box::new(prin))
    }
}

/// A principal: a root, and what it vouches for step by step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prin {
    /// What kind of root: `key`, `tpm`, `tpm2`.
    pub kind: Keyword,
    /// Which one: normally the SHA-256 of its public key.
    pub id: Term,
    /// The extensions, outermost first.
    pub ext: SubPrin,
}

/// A chain of extensions: `.PCRs("17", "00").Program([0b])`. May be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubPrin(pub Vec<PrinExt>);

/// An extension without its principal: `ext.Program([0b])`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrinTail(pub SubPrin);

/// One extension: a name and its arguments.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrinExt {
    /// `Program`, `PCRs`, `TrivialGuard`, ...
    pub name: Ident,
    /// The arguments.
    pub args: Vec<Term>,
}

/// A predicate: a name and its arguments.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pred {
    /// The predicate's name.
    pub name: Ident,
    /// The arguments.
    pub args: Vec<Term>,
}

/// `delegate speaksfor delegator`
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Speaksfor {
    /// Who may speak.
    pub delegate: Term,
    /// For whom.
    pub delegator: Term,
}

/// `speaker from time until expiration says message`. Times are nanoseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Says {
    /// Who speaks.
    pub speaker: Term,
    /// Not before this time.
    pub time: Option<i64>,
    /// Not after this time.
    pub expiration: Option<i64>,
    /// What is said.
    pub message: Box<Form>,
}

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// `P(1, X)`
    Pred(Pred),
    /// `true` or `false`
    Const(bool),
    /// `not P()`
    Not(Box<Self>),
    /// `P() and Q()`; without conjuncts it is true.
    And(Vec<Self>),
    /// `P() or Q()`; without disjuncts it is false.
    Or(Vec<Self>),
    /// `P() implies Q()`
    Implies(Box<Self>, Box<Self>),
    /// `A speaksfor B`
    Speaksfor(Speaksfor),
    /// `A says P()`
    Says(Says),
    /// `forall X: P(X)`
    Forall(Ident, Box<Self>),
    /// `exists X: P(X)`
    Exists(Ident, Box<Self>),
}
