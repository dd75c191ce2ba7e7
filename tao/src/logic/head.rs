//! The extensions by which a host says what a program is. A program that could write them itself
//! could take the name of another: `.Program([hash of sh])` that adds `.Script([hash])` would be
//! called as a script that the host has measured.

use super::ast::{Prin, PrinExt, SubPrin};

/// What a host, or what a host rests on, puts into a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// `.PCRs("17,18,19", "...")`: the machine's launch.
    Pcrs,
    /// `.Program([hash])`: where the description of a program begins.
    Program,
    /// `.Script([hash], "argument")`
    Script,
    /// `.Libraries("name", [hash], ...)`
    Libraries,
    /// `.Args("...", ...)`
    Args,
    /// `.Env("NAME=VALUE", ...)`
    Env,
    /// `.Lacking("...", ...)`
    Lacking,
}

impl Head {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Pcrs,
        Self::Program,
        Self::Script,
        Self::Libraries,
        Self::Args,
        Self::Env,
        Self::Lacking,
    ];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcrs => "PCRs",
            Self::Program => "Program",
            Self::Script => "Script",
            Self::Libraries => "Libraries",
            Self::Args => "Args",
            Self::Env => "Env",
            Self::Lacking => "Lacking",
        }
    }

    /// The head of this extension, if it is one of these.
    pub fn of(extension: &PrinExt) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|head| extension.name == *head.name())
    }

    /// Does it go on describing the program before it? Whoever speaks for a name speaks for what
    /// extends it, but not for this: that is another program's name.
    pub const fn describes_what_is_before(self) -> bool {
        match self {
            Self::Pcrs | Self::Program => false,
            Self::Script | Self::Libraries | Self::Args | Self::Env | Self::Lacking => true,
        }
    }
}

impl SubPrin {
    /// The first extension here that only a host writes.
    pub fn host_written(&self) -> Option<Head> {
        self.0.iter().find_map(Head::of)
    }
}

impl Prin {
    /// May `ancestor` speak for this name because it is its own or an extension of it? What goes
    /// on describing the program that `ancestor` is makes it another program.
    pub fn is_spoken_for_by(&self, ancestor: &Self) -> bool {
        self.is_within(ancestor)
            && self
                .ext
                .0
                .get(ancestor.ext.0.len())
                .and_then(Head::of)
                .is_none_or(|head| !head.describes_what_is_before())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_speaks_for_its_extensions_but_for_no_other_program() {
        let spoken_for = |name: &str, ancestor: &str| {
            let name: Prin = name.parse().unwrap();
            name.is_spoken_for_by(&ancestor.parse().unwrap())
        };
        let program = "key([00]).Program([01])";
        assert!(spoken_for(program, program));
        assert!(spoken_for(program, "key([00])"));
        assert!(!spoken_for("key([00])", program));
        assert!(spoken_for(
            &format!("{program}.User(1).Script([02])"),
            program
        ));
        for head in Head::ALL {
            let name = format!("{program}.{}([02])", head.name());
            assert_eq!(
                spoken_for(&name, program),
                !head.describes_what_is_before(),
                "{name}"
            );
            // What a host says of its own program begins with the program.
            let whole = format!("{program}.Program([03]).{}([02])", head.name());
            assert!(spoken_for(&whole, program));
            assert!(
                !whole.contains("Script")
                    || !spoken_for(&whole, &format!("{program}.Program([03])"))
            );
        }
    }
}
