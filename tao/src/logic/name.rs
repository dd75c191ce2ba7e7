//! Building and comparing the names of principals.

use sha2::{Digest, Sha256};

use super::{
    ast::{Prin, PrinExt, SubPrin, Term},
    error::LogicError,
    head::Head,
    identifier::{Ident, Keyword},
};

impl Prin {
    /// The principal of a kind named by the SHA-256 of a public key
    /// (DER SubjectPublicKeyInfo): `key([...])`, `tpm2([...])`.
    ///
    /// # Errors
    /// When the kind is not spelled as one.
    pub fn of_public_key(kind: &str, spki: &[u8]) -> Result<Self, LogicError> {
        Ok(Self {
            kind: Keyword::new(kind)?,
            id: Term::Bytes(Sha256::digest(spki).to_vec().into()),
            ext: SubPrin::default(),
        })
    }

    /// The name with more extensions at its end.
    #[must_use]
    pub fn extended(&self, more: &SubPrin) -> Self {
        let mut name = self.clone();
        name.ext.0.extend_from_slice(&more.0);
        name
    }

    /// Is this `ancestor`, or an extension of it? Compared by structure.
    pub fn is_within(&self, ancestor: &Self) -> bool {
        self.kind == ancestor.kind
            && self.id == ancestor.id
            && self.ext.0.starts_with(&ancestor.ext.0)
    }

    /// What was appended to `ancestor` to get this name; `None` if it is not within it.
    pub fn relative_to(&self, ancestor: &Self) -> Option<SubPrin> {
        if !self.is_within(ancestor) {
            return None;
        }
        self.ext
            .0
            .get(ancestor.ext.0.len()..)
            .map(|ext| SubPrin(ext.to_vec()))
    }
}

impl SubPrin {
    /// A single extension, `.Name(args)`.
    ///
    /// # Errors
    /// When the name is not spelled as one.
    pub fn single(name: &str, args: Vec<Term>) -> Result<Self, LogicError> {
        Ok(Self::of(Ident::new(name)?, args))
    }

    /// The same with a name that is known to be one.
    pub(crate) fn of(name: Ident, args: Vec<Term>) -> Self {
        Self(vec![PrinExt { name, args }])
    }

    /// `.Program([sha256 of the binary])`, a hosted program.
    ///
    /// # Errors
    /// None: `Program` is the name of an extension.
    pub fn program(sha256: &[u8; 32]) -> Result<Self, LogicError> {
        Self::single(
            Head::Program.name(),
            vec![Term::Bytes(sha256.to_vec().into())],
        )
    }

    /// `.PCRs("17,18", "hex,hex")`: the registers in the order given, with their values.
    ///
    /// # Errors
    /// None: `PCRs` is the name of an extension.
    pub fn pcrs<'a>(values: impl IntoIterator<Item = (u8, &'a [u8])>) -> Result<Self, LogicError> {
        let (mut numbers, mut digests) = (String::new(), String::new());
        for (number, value) in values {
            if !numbers.is_empty() {
                numbers.push(',');
                digests.push(',');
            }
            numbers.push_str(&number.to_string());
            digests.push_str(&hex::encode(value));
        }
        let text = |string: String| Term::Str(string.as_str().into());
        Self::single(Head::Pcrs.name(), vec![text(numbers), text(digests)])
    }

    /// The same extensions followed by more.
    #[must_use]
    pub fn extended(&self, more: &Self) -> Self {
        let mut all = self.clone();
        all.0.extend_from_slice(&more.0);
        all
    }
}
