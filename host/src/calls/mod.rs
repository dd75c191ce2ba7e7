//! The calls of the Tao, without any input or output.

pub(crate) mod call;
pub(crate) mod caller;
pub(crate) mod error;
pub(crate) mod methods;
pub(crate) mod sealing;
pub(crate) mod service;
