//! A development host and a domain, by commands only.

mod domain;
mod host;
mod programs;
mod world;
