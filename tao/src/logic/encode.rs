//! The binary form: what is hashed, signed and sent.
//!
//! Integers are unsigned LEB128 of the 64-bit two's complement; strings and lists carry
//! their length or count in front; each element begins with a tag.

use super::ast::{Form, Pred, Prin, PrinExt, PrinTail, SubPrin, Term};

pub(super) mod tag {
    //! Numbers of the elements.
    pub const PRIN: u64 = 1;
    pub const PRIN_TAIL: u64 = 2;
    pub const STR: u64 = 3;
    pub const BYTES: u64 = 4;
    pub const INT: u64 = 5;
    pub const VAR: u64 = 6;
    pub const PRED: u64 = 7;
    pub const CONST: u64 = 8;
    pub const NOT: u64 = 9;
    pub const AND: u64 = 10;
    pub const OR: u64 = 11;
    pub const IMPLIES: u64 = 12;
    pub const SPEAKSFOR: u64 = 13;
    pub const SAYS: u64 = 14;
    pub const FORALL: u64 = 15;
    pub const EXISTS: u64 = 16;
    pub const SUB_PRIN: u64 = 17;
    pub const PRIN_EXT: u64 = 18;
}

/// Collects the binary form.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    fn int(&mut self, value: i64) {
        self.varint(u64::from_ne_bytes(value.to_ne_bytes()));
    }

    fn count(&mut self, count: usize) {
        self.varint(count as u64);
    }

    fn string(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn optional_int(&mut self, value: Option<i64>) {
        match value {
            None => self.varint(0),
            Some(value) => {
                self.varint(1);
                self.int(value);
            }
        }
    }

    fn terms(&mut self, terms: &[Term]) {
        self.count(terms.len());
        for term in terms {
            self.term(term);
        }
    }

    fn forms(&mut self, forms: &[Form]) {
        self.count(forms.len());
        for form in forms {
            self.form(form);
        }
    }

    fn sub_prin(&mut self, sub: &SubPrin) {
        self.varint(tag::SUB_PRIN);
        self.count(sub.0.len());
        for PrinExt { name, args } in &sub.0 {
            self.varint(tag::PRIN_EXT);
            self.string(name.as_str().as_bytes());
            self.terms(args);
        }
    }

    fn prin(&mut self, prin: &Prin) {
        self.varint(tag::PRIN);
        self.string(prin.kind.as_str().as_bytes());
        self.term(&prin.id);
        self.sub_prin(&prin.ext);
    }

    fn tagged_string(&mut self, tag: u64, bytes: &[u8]) {
        self.varint(tag);
        self.string(bytes);
    }

    fn term(&mut self, term: &Term) {
        match term {
            Term::Str(string) => self.tagged_string(tag::STR, string.as_bytes()),
            Term::Bytes(bytes) => self.tagged_string(tag::BYTES, bytes),
            Term::Int(value) => {
                self.varint(tag::INT);
                self.int(*value);
            }
            Term::Prin(prin) => self.prin(prin),
            Term::PrinTail(PrinTail(sub)) => {
                self.varint(tag::PRIN_TAIL);
                self.sub_prin(sub);
            }
            Term::Var(name) => self.tagged_string(tag::VAR, name.as_str().as_bytes()),
        }
    }

    fn pred(&mut self, pred: &Pred) {
        self.tagged_string(tag::PRED, pred.name.as_str().as_bytes());
        self.terms(&pred.args);
    }

    fn form(&mut self, form: &Form) {
        match form {
            Form::Pred(pred) => self.pred(pred),
            Form::Const(value) => {
                self.varint(tag::CONST);
                self.varint(u64::from(*value));
            }
            Form::Not(inner) => {
                self.varint(tag::NOT);
                self.form(inner);
            }
            Form::And(conjuncts) => {
                self.varint(tag::AND);
                self.forms(conjuncts);
            }
            Form::Or(disjuncts) => {
                self.varint(tag::OR);
                self.forms(disjuncts);
            }
            Form::Implies(antecedent, consequent) => {
                self.varint(tag::IMPLIES);
                self.form(antecedent);
                self.form(consequent);
            }
            Form::Speaksfor(speaksfor) => {
                self.varint(tag::SPEAKSFOR);
                self.term(&speaksfor.delegate);
                self.term(&speaksfor.delegator);
            }
            Form::Says(says) => {
                self.varint(tag::SAYS);
                self.term(&says.speaker);
                self.optional_int(says.time);
                self.optional_int(says.expiration);
                self.form(&says.message);
            }
            Form::Forall(variable, body) => {
                self.tagged_string(tag::FORALL, variable.as_str().as_bytes());
                self.form(body);
            }
            Form::Exists(variable, body) => {
                self.tagged_string(tag::EXISTS, variable.as_str().as_bytes());
                self.form(body);
            }
        }
    }
}

macro_rules! encode {
    ($($type:ty => $method:ident),*) => {$(
        impl $type {
            /// The binary form.
            pub fn encode(&self) -> Vec<u8> {
                let mut writer = Writer::default();
                writer.$method(self);
                writer.0
            }
        }
    )*};
}

encode!(Term => term, Form => form, Prin => prin, Pred => pred, SubPrin => sub_prin);

impl PrinTail {
    /// The binary form.
    pub fn encode(&self) -> Vec<u8> {
        Term::PrinTail(self.clone()).encode()
    }
}
