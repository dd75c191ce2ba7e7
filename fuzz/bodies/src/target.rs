/// A target's name, and what it does with some bytes; a panic is a finding.
pub type FuzzTarget = (&'static str, fn(&[u8]));
