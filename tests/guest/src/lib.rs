//! What the harness and the probe in its machines have in common: the orders.

pub mod orders;
