//! From a path to the module that defines what it names, through imports and re-exports.

use std::collections::BTreeSet;

use super::modules::Modules;

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A module of this crate.
    Module(usize),
    /// Something that this module of this crate defines.
    Item(usize),
    /// Something of another crate.
    Foreign,
}

/// Look-ups under way, so that imports in a ring end.
type Seen = BTreeSet<(usize, String, bool)>;

impl Modules {
    /// What `path` names when it is written in module `from`; `None` for what is no name of a module: a
    /// variable, a generic parameter, a word of the prelude.
    pub(super) fn resolve(&self, from: usize, path: &[String]) -> Option<Found> {
        self.resolve_in(from, path, &mut Seen::new())
    }

    fn resolve_in(&self, from: usize, path: &[String], seen: &mut Seen) -> Option<Found> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(self.walk(0, rest, seen)),
            "self" => Some(self.walk(from, rest, seen)),
            "super" => {
                let mut module = self.all[from].parent;
                let ups = rest.iter().take_while(|word| *word == "super").count();
                (0..ups).for_each(|_| module = self.all[module].parent);
                Some(self.walk(module, &rest[ups..], seen))
            }
            name => match self.look_up(from, name, rest.is_empty(), seen)? {
                Found::Module(module) => Some(self.walk(module, rest, seen)),
                found => Some(found),
            },
        }
    }

    fn walk(&self, module: usize, path: &[String], seen: &mut Seen) -> Found {
        let Some((name, rest)) = path.split_first() else { return Found::Module(module) };
        match self.look_up(module, name, rest.is_empty(), seen) {
            Some(Found::Module(child)) => self.walk(child, rest, seen),
            Some(found) => found,
            // Not to be seen in the text, so a macro of this module makes it.
            None => Found::Item(module),
        }
    }

    /// What `name` is in `module`. A module and an item may share a name: in the middle of a path (not
    /// `last`) the module is meant, at its end the item.
    fn look_up(&self, module: usize, name: &str, last: bool, seen: &mut Seen) -> Option<Found> {
        if !seen.insert((module, name.to_owned(), last)) {
            return None;
        }
        let here = &self.all[module];
        let child = here.children.get(name).map(|child| Found::Module(*child));
        if child.is_some() && !last {
            return child;
        }
        if here.items.contains(name) {
            return Some(Found::Item(module));
        }
        if let Some(path) = here.imports.get(name) {
            let itself = path.len() == 1 && path[0] == name;
            let found = if itself { None } else { self.resolve_in(module, path, seen) };
            return Some(found.or(child).unwrap_or(Found::Foreign));
        }
        child.or_else(|| self.look_in_globs(module, name, last, seen))
    }

    fn look_in_globs(&self, module: usize, name: &str, last: bool, seen: &mut Seen) -> Option<Found> {
        self.all[module].globs.iter().find_map(|glob| match self.resolve_in(module, glob, seen) {
            Some(Found::Module(other)) => self.look_up(other, name, last, seen),
            _ => None,
        })
    }
}
