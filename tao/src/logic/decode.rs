//! Reading the binary form.
//!
//! Strict where the original was lax: a value has exactly one encoding (no overlong
//! integers, booleans are 0 or 1), counts are checked against the bytes that are there
//! before anything is allocated, and nesting is bounded.

use super::{
    ast::{Form, Pred, Prin, PrinExt, PrinTail, Says, Speaksfor, SubPrin, Term},
    encode::tag,
    error::LogicError,
    identifier::{Ident, Keyword},
    limits::{Budget, MAX_LENGTH},
};

type Result<T> = std::result::Result<T, LogicError>;

struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
    budget: Budget,
}

impl<'a> Reader<'a> {
    fn error<T>(&self, reason: impl Into<String>) -> Result<T> {
        let at = self.length.saturating_sub(self.rest.len());
        Err(LogicError::Binary {
            at,
            reason: reason.into(),
        })
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for position in 0..10_u32 {
            let Some((&byte, rest)) = self.rest.split_first() else {
                return self.error("ends inside a number");
            };
            let bits = u64::from(byte & 0x7f);
            if position == 9 && byte > 1 {
                return self.error("a number of more than 64 bits");
            }
            if position > 0 && byte == 0 {
                return self.error("a number with a superfluous byte");
            }
            self.rest = rest;
            // At most 63 places: `position` is at most 9.
            value |= bits.wrapping_shl(position.saturating_mul(7));
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        self.error("a number of more than 64 bits")
    }

    fn int(&mut self) -> Result<i64> {
        Ok(i64::from_ne_bytes(self.varint()?.to_ne_bytes()))
    }

    fn bool(&mut self) -> Result<bool> {
        match self.varint()? {
            0 => Ok(false),
            1 => Ok(true),
            other => self.error(format!("{other} where 0 or 1 says false or true")),
        }
    }

    fn optional_int(&mut self) -> Result<Option<i64>> {
        if self.bool()? {
            self.int().map(Some)
        } else {
            Ok(None)
        }
    }

    fn string(&mut self) -> Result<&'a [u8]> {
        let length = self.varint()?;
        match usize::try_from(length)
            .ok()
            .and_then(|length| self.rest.split_at_checked(length))
        {
            Some((string, rest)) => {
                self.rest = rest;
                Ok(string)
            }
            None => self.error(format!(
                "a string of {length} bytes where {} are left",
                self.rest.len()
            )),
        }
    }

    fn word(&mut self) -> Result<&'a str> {
        let bytes = self.string()?;
        match std::str::from_utf8(bytes) {
            Ok(word) => Ok(word),
            Err(_) => self.error("a name that is not UTF-8"),
        }
    }

    fn ident(&mut self) -> Result<Ident> {
        Ident::new(self.word()?)
    }

    /// Reads a counted list. Each element takes at least `smallest` bytes, so a count
    /// that cannot be true is refused before memory is set aside for it.
    fn list<T>(
        &mut self,
        smallest: usize,
        mut element: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let claimed = self.varint()?;
        let count = usize::try_from(claimed).unwrap_or(usize::MAX);
        if count.saturating_mul(smallest) > self.rest.len() {
            return self.error(format!(
                "a list of {claimed} elements where {} bytes are left",
                self.rest.len()
            ));
        }
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(element(self)?);
        }
        Ok(list)
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if !self.budget.enter() {
            return Err(LogicError::TooComplex);
        }
        let value = read(self)?;
        self.budget.leave();
        Ok(value)
    }

    fn expect_tag(&mut self, expected: u64, what: &str) -> Result<()> {
        match self.varint()? {
            tag if tag == expected => Ok(()),
            tag => self.error(format!("tag {tag} where {what} (tag {expected}) belongs")),
        }
    }

    fn terms(&mut self) -> Result<Vec<Term>> {
        self.list(2, Self::term)
    }

    fn sub_prin(&mut self) -> Result<SubPrin> {
        self.expect_tag(tag::SUB_PRIN, "a chain of extensions")?;
        let extension = |reader: &mut Self| {
            reader.expect_tag(tag::PRIN_EXT, "an extension")?;
            reader.nested(|reader| {
                Ok(PrinExt {
                    name: reader.ident()?,
                    args: reader.terms()?,
                })
            })
        };
        self.list(4, extension).map(SubPrin)
    }

    fn prin_body(&mut self) -> Result<Prin> {
        Ok(Prin {
            kind: Keyword::new(self.word()?)?,
            id: self.term()?,
            ext: self.sub_prin()?,
        })
    }

    fn prin(&mut self) -> Result<Prin> {
        self.expect_tag(tag::PRIN, "a principal")?;
        self.nested(Self::prin_body)
    }

    fn term(&mut self) -> Result<Term> {
        self.nested(|reader| {
            Ok(match reader.varint()? {
                tag::STR => Term::Str(reader.string()?.to_vec().into()),
                tag::BYTES => Term::Bytes(reader.string()?.into()),
                tag::INT => Term::Int(reader.int()?),
                tag::PRIN => Term::Prin(Box::new(reader.prin_body()?)),
                tag::PRIN_TAIL => Term::PrinTail(PrinTail(reader.sub_prin()?)),
                tag::VAR => Term::Var(reader.ident()?),
                tag => return reader.error(format!("tag {tag} where a term (1 to 6) belongs")),
            })
        })
    }

    fn pred_body(&mut self) -> Result<Pred> {
        Ok(Pred {
            name: self.ident()?,
            args: self.terms()?,
        })
    }

    fn pred(&mut self) -> Result<Pred> {
        self.expect_tag(tag::PRED, "a predicate")?;
        self.pred_body()
    }

    fn boxed_form(&mut self) -> Result<Box<Form>> {
        self.form().map(Box::new)
    }

    fn form(&mut self) -> Result<Form> {
        self.nested(|reader| {
            Ok(match reader.varint()? {
                tag::PRED => Form::Pred(reader.pred_body()?),
                tag::CONST => Form::Const(reader.bool()?),
                tag::NOT => Form::Not(reader.boxed_form()?),
                tag::AND => Form::And(reader.list(2, Self::form)?),
                tag::OR => Form::Or(reader.list(2, Self::form)?),
                tag::IMPLIES => Form::Implies(reader.boxed_form()?, reader.boxed_form()?),
                tag::SPEAKSFOR => Form::Speaksfor(Speaksfor {
                    delegate: reader.term()?,
                    delegator: reader.term()?,
                }),
                tag::SAYS => Form::Says(Says {
                    speaker: reader.term()?,
                    time: reader.optional_int()?,
                    expiration: reader.optional_int()?,
                    message: reader.boxed_form()?,
                }),
                tag::FORALL => Form::Forall(reader.ident()?, reader.boxed_form()?),
                tag::EXISTS => Form::Exists(reader.ident()?, reader.boxed_form()?),
                tag => return reader.error(format!("tag {tag} where a form (7 to 16) belongs")),
            })
        })
    }
}

fn whole<'a, T>(bytes: &'a [u8], read: fn(&mut Reader<'a>) -> Result<T>) -> Result<T> {
    if bytes.len() > MAX_LENGTH {
        return Err(LogicError::TooLong(bytes.len()));
    }
    let mut reader = Reader {
        rest: bytes,
        length: bytes.len(),
        budget: Budget::default(),
    };
    let value = read(&mut reader)?;
    match reader.rest.len() {
        0 => Ok(value),
        extra => reader.error(format!("{extra} bytes after the end of the value")),
    }
}

macro_rules! decode {
    ($($type:ty => $method:ident),*) => {$(
        impl $type {
            /// Reads the binary form; all of `bytes` must belong to it.
            ///
            /// # Errors
            /// When the bytes are not the binary form of such a value, or are too many or nested
            /// too deeply.
            pub fn decode(bytes: &[u8]) -> Result<Self> {
                whole(bytes, |reader| reader.$method())
            }
        }
    )*};
}

decode!(Term => term, Form => form, Prin => prin, Pred => pred, SubPrin => sub_prin);

impl PrinTail {
    /// Reads the binary form; all of `bytes` must belong to it.
    ///
    /// # Errors
    /// When the bytes are not the binary form of such a value, or are too many or nested too
    /// deeply.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        whole(bytes, |reader| {
            reader.expect_tag(tag::PRIN_TAIL, "an extension without principal")?;
            reader.sub_prin().map(PrinTail)
        })
    }
}
