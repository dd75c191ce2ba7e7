//! What a hosted program links: the names of principals and what they say ([`logic`]),
//! keys ([`keys`]), and the messages between a program and its host ([`wire`]).
pub mod attestation;
pub mod keys;
pub mod logic;
pub mod wire;
