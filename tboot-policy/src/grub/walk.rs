//! Going through a script's statements in GRUB's order.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    grub_commands::is_command,
    lex::{Piece, Word},
    script::{MenuKind, Statement, literal},
    variables::{Arguments, MAX_NAMES, Variables},
};

/// What a walk meets.
pub trait Visitor {
    /// Its refusal.
    type Error;

    /// A command that is not an assignment. `certain`: it runs on every machine.
    fn command(
        &mut self,
        line: usize,
        words: &[Word],
        variables: &Variables,
        certain: bool,
    ) -> Result<(), Self::Error>;

    /// A menu entry or submenu.
    fn menu(
        &mut self,
        line: usize,
        kind: MenuKind,
        words: &[Word],
        body: &Arc<[Statement]>,
        variables: &Variables,
        certain: bool,
    ) -> Result<(), Self::Error>;

    /// Its refusal to go on: functions call each other deeper or longer than any real script.
    fn too_long(&self, line: usize) -> Self::Error;
}

/// Goes through statements in GRUB's order.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The variables so far.
    pub variables: Variables,
    functions: BTreeMap<String, Function>,
    calls: usize,
    steps: usize,
}

/// What a name may mean where it is called.
#[derive(Clone, Debug)]
struct Function {
    /// Several, where a condition that only the machine knows decides which of them it is.
    bodies: Vec<Arc<[Statement]>>,
    /// Has it the one body on every machine?
    certain: bool,
}

/// Most definitions of one name under conditions that only the machine knows.
const MAX_BODIES: usize = 16;

/// Deepest calls of functions.
const MAX_CALLS: usize = 16;
/// Most commands that are followed: functions could call each other for ever.
const MAX_STEPS: usize = 100_000;

impl Walk {
    /// A walk that begins with these variables.
    pub fn new(variables: Variables) -> Self {
        Self {
            variables,
            functions: BTreeMap::new(),
            calls: 0,
            steps: MAX_STEPS,
        }
    }

    /// The walk through what is in a submenu with these arguments.
    #[must_use]
    pub fn in_submenu(&self, arguments: Arguments) -> Self {
        let mut variables = self.variables.in_submenu();
        variables.arguments = Some(arguments);
        Self {
            variables,
            functions: self.functions.clone(),
            calls: 0,
            steps: MAX_STEPS,
        }
    }

    /// The walk through an entry with these arguments.
    #[must_use]
    pub fn in_entry(&self, arguments: Arguments) -> Self {
        let mut inner = self.clone();
        inner.variables.arguments = Some(arguments);
        inner
    }

    /// Visits statements. Both sides of a condition that cannot be decided are visited as uncertain,
    /// and what they set is unknown afterwards.
    pub fn visit<V: Visitor>(
        &mut self,
        statements: &[Statement],
        certain: bool,
        visitor: &mut V,
    ) -> Result<(), V::Error> {
        for statement in statements {
            match statement {
                Statement::Command { line, words } => {
                    self.command(*line, words, certain, visitor)?
                }
                Statement::Menu {
                    line,
                    kind,
                    words,
                    body,
                } => visitor.menu(*line, *kind, words, body, &self.variables, certain)?,
                Statement::Loop { variable, body, .. } => {
                    if let Some(variable) = variable {
                        self.variables.forget(variable);
                    }
                    self.visit(body, false, visitor)?;
                }
                Statement::Function { line, name, body } => {
                    if !self.define(name, body, certain) {
                        return Err(visitor.too_long(*line));
                    }
                }
                Statement::If {
                    branches,
                    otherwise,
                    ..
                } => self.condition(branches, otherwise, certain, visitor)?,
            }
        }
        Ok(())
    }

    /// `false`: there are more functions than in any real script.
    fn define(&mut self, name: &str, body: &Arc<[Statement]>, certain: bool) -> bool {
        if self.functions.len() >= MAX_NAMES {
            return false;
        }
        let mut bodies = Vec::new();
        if !certain && let Some(before) = self.functions.remove(name) {
            bodies = before.bodies;
        }
        bodies.push(Arc::clone(body));
        let fits = bodies.len() <= MAX_BODIES;
        self.functions
            .insert(name.to_owned(), Function { bodies, certain });
        fits
    }

    fn condition<V: Visitor>(
        &mut self,
        branches: &[(Vec<Statement>, Vec<Statement>)],
        otherwise: &[Statement],
        certain: bool,
        visitor: &mut V,
    ) -> Result<(), V::Error> {
        let mut decided = certain;
        for (condition, body) in branches {
            match self.variables.decide(condition) {
                Some(false) => {}
                Some(true) => return self.visit(body, decided, visitor),
                None => {
                    decided = false;
                    self.visit(condition, false, visitor)?;
                    self.visit(body, false, visitor)?;
                }
            }
        }
        self.visit(otherwise, decided, visitor)
    }

    fn command<V: Visitor>(
        &mut self,
        line: usize,
        words: &[Word],
        certain: bool,
        visitor: &mut V,
    ) -> Result<(), V::Error> {
        let Some((first, rest)) = words.split_first() else {
            return Ok(());
        };
        self.steps = match self.steps.checked_sub(1) {
            Some(left) => left,
            None => return Err(visitor.too_long(line)),
        };
        let name = literal(first);
        match name.as_deref() {
            Some("set") => {
                if let Some(assignment) = rest.first() {
                    self.assign(assignment, certain);
                }
            }
            Some("unset") => {
                for name in rest.iter().filter_map(literal) {
                    match certain {
                        true => self.variables.set(&name, Vec::new()),
                        false => self.variables.forget(&name),
                    }
                }
            }
            Some("export") => {
                let names = rest.iter().filter_map(literal);
                names.for_each(|name| self.variables.export(name));
            }
            Some("load_env") if self.variables.directory.is_some() && rest.is_empty() => {
                self.load_environment(certain);
            }
            Some(
                command @ ("load_env" | "read" | "regexp" | "probe" | "search" | "smbios"
                | "increment" | "decrement"),
            ) => self.forget_what_it_sets(command, rest),
            Some("setparams") => {
                self.variables.arguments = certain.then(|| self.variables.arguments_of(rest));
            }
            Some("shift") => match &mut self.variables.arguments {
                Some(arguments) if certain && rest.is_empty() => arguments.shift(),
                arguments => *arguments = None,
            },
            // Another script may set anything.
            Some("source" | "." | "eval") => {
                self.forget_what_it_sets("load_env", &[]);
                visitor.command(line, words, &self.variables, certain)?;
            }
            // GRUB looks among its commands first, so that no function stands in for one.
            Some(called) if is_command(called) => {
                visitor.command(line, words, &self.variables, certain)?;
            }
            called => match called.and_then(|called| self.functions.get(called).cloned()) {
                Some(_) if self.calls == MAX_CALLS => return Err(visitor.too_long(line)),
                Some(function) => self.call(&function, rest, certain, visitor)?,
                None if assigned_name(first).is_some() => self.assign(first, certain),
                None => visitor.command(line, words, &self.variables, certain)?,
            },
        }
        Ok(())
    }

    /// Follows each body that a function may have.
    fn call<V: Visitor>(
        &mut self,
        function: &Function,
        arguments: &[Word],
        certain: bool,
        visitor: &mut V,
    ) -> Result<(), V::Error> {
        let certain = certain && function.certain;
        let inner = self.variables.arguments_of(arguments);
        let outer = self.variables.arguments.take();
        self.calls = self.calls.saturating_add(1);
        let mut visited = Ok(());
        for body in &function.bodies {
            self.variables.arguments = Some(inner.clone());
            visited = self.visit(body, certain, visitor);
            if visited.is_err() {
                break;
            }
        }
        self.calls = self.calls.saturating_sub(1);
        self.variables.arguments = outer;
        visited
    }

    /// `load_env` without arguments, where the environment block is known.
    fn load_environment(&mut self, certain: bool) {
        let saved: Vec<(String, Vec<u8>)> = match &self.variables.directory {
            Some(directory) => directory
                .environment()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            None => Vec::new(),
        };
        for (name, value) in saved {
            if self.variables.preset.contains_key(&name) {
                continue;
            }
            match certain {
                true => self.variables.set(&name, value),
                false => self.variables.forget(&name),
            }
        }
    }

    /// Commands that read values from a file or a device.
    fn forget_what_it_sets(&mut self, command: &str, arguments: &[Word]) {
        let texts: Vec<String> = arguments.iter().filter_map(literal).collect();
        let names: Vec<&str> = match command {
            "load_env" | "read" | "increment" | "decrement" => texts
                .iter()
                .map(String::as_str)
                .filter(|text| !text.starts_with('-'))
                .collect(),
            _ => {
                let behind = texts.iter().zip(texts.iter().skip(1));
                let apart = behind
                    .filter(|(option, _)| option.starts_with("-s") || *option == "--set")
                    .map(|(_, name)| name.rsplit(':').next().unwrap_or(name));
                let joined = texts.iter().filter_map(|text| text.strip_prefix("--set="));
                apart.chain(joined).collect()
            }
        };
        // What is preset is meant to be what these commands find.
        let Variables { values, preset, .. } = &mut self.variables;
        // Behind -f stands the file, which is not a variable.
        let no_names = match texts.iter().any(|text| text == "-f" || text == "--file") {
            true => names.len() <= 1,
            false => names.is_empty(),
        };
        let all = command == "load_env" && no_names;
        values.retain(|name, _| {
            preset.contains_key(name) || !(all || names.contains(&name.as_str()))
        });
    }

    /// `name=value`.
    fn assign(&mut self, word: &Word, certain: bool) {
        let Some(name) = assigned_name(word) else {
            return;
        };
        let expanded = self.variables.expand(word).ok();
        let value = expanded.as_ref().and_then(|arguments| arguments.first());
        let value = value.and_then(|text| text.get(name.len().saturating_add(1)..));
        match (certain, value) {
            (true, Some(value)) => self.variables.set(&name, value.to_vec()),
            _ => self.variables.forget(&name),
        }
    }
}

/// The variable that a word assigns to.
fn assigned_name(word: &Word) -> Option<String> {
    let Some(Piece::Text(text)) = word.first() else {
        return None;
    };
    let end = text.iter().position(|byte| *byte == b'=')?;
    let name = std::str::from_utf8(text.get(..end)?).ok()?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (!name.is_empty() && name.bytes().all(fits)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests;
