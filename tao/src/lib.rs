//! What a hosted program links: the names of principals and what they say ([`logic`]).
pub mod logic;
