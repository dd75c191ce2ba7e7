//! `lcp nv` and the plans behind it on real software TPMs of both kinds (swtpm).

mod command;
mod interrupted;
mod machine;
mod obstacles;
