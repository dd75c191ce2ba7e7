//! The auth logic: what principals are called and what they say.
//!
//! A type for each level of the grammar: [`Term`] (values and names), [`Pred`], [`Form`]
//! (statements). Each has a canonical text, parsed and printed here, and the binary form
//! that is signed. Values are compared by structure, never by their text: in the system
//! this logic comes from, `[]` and `[00]` had one text, so that two principals had one name.
//!
//! Text and bytes are hostile input: depth, size and counts are bounded by [`limits`].
//!
//! ```
//! use tao::logic::{Form, Prin};
//!
//! let program: Prin = "key([0a]).Program([0b])".parse()?;
//! let host: Prin = "key([0a])".parse()?;
//! assert!(program.is_within(&host));
//! assert_eq!(program.relative_to(&host).unwrap().to_string(), ".Program([0b])");
//!
//! let form: Form = "key([0a]) says Ready(1)".parse()?;
//! assert_eq!(Form::decode(&form.encode())?, form);
//! # Ok::<(), tao::logic::LogicError>(())
//! ```

mod ast;
mod decode;
mod encode;
mod error;
mod head;
mod identifier;
mod lexer;
pub mod limits;
mod name;
mod parse;
mod parse_form;
mod print;
mod quoted;
#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod tests;

pub use ast::{Form, Pred, Prin, PrinExt, PrinTail, Says, Speaksfor, Str, SubPrin, Term};
pub use error::LogicError;
pub use head::Head;
pub(crate) use identifier::is_identifier;
pub use identifier::{Ident, Keyword};
pub use parse::Text;
pub use print::{Printed, Style};

/// An [`Ident`] from a constant. One that is spelled wrong does not compile.
macro_rules! ident {
    ($name:expr) => {{
        const { assert!($crate::logic::is_identifier($name)) };
        $crate::logic::Ident::checked($name)
    }};
}
pub(crate) use ident;
