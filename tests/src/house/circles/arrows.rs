//! The arrows of a crate: which file names something that which other file defines.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse};

use super::modules::{Modules, Words, attributes, imports, is_reexport, is_test, is_test_module};
use super::resolve::Found;

/// From a file to a file, with the first line of the one that names something of the other.
pub(super) type Arrows = BTreeMap<(usize, usize), usize>;

/// All arrows between different files of the crate.
pub(super) fn arrows(modules: &Modules) -> Arrows {
    let mut arrows = Arrows::new();
    for file in &modules.files {
        let mut reader = Reader { modules, module: file.module, arrows: &mut arrows };
        reader.visit_file(&file.syntax);
    }
    arrows
}

/// Reads one file, module by module.
struct Reader<'a> {
    modules: &'a Modules,
    module: usize,
    arrows: &'a mut Arrows,
}

impl Reader<'_> {
    fn draw(&mut self, path: &[String], line: usize) {
        if let Some(Found::Item(defines)) = self.modules.resolve(self.module, path) {
            let from = self.modules.all[self.module].file;
            let to = self.modules.all[defines].file;
            if from != to {
                self.arrows.entry((from, to)).and_modify(|first| *first = line.min(*first)).or_insert(line);
            }
        }
    }

    /// Draws a glob as an arrow to the module's own file where that defines something; what the module
    /// passes on is drawn where it is named.
    fn draw_glob(&mut self, path: &[String], line: usize) {
        if let Some(Found::Module(module)) = self.modules.resolve(self.module, path)
            && let Some(item) = self.modules.all[module].items.first()
        {
            let mut path = path.to_vec();
            path.push(item.clone());
            self.draw(&path, line);
        }
    }

    /// Inside a macro there are only tokens: every `a::b` among them is read as a path.
    fn scan(&mut self, tokens: TokenStream) {
        let mut words = Words::new();
        let (mut line, mut colons) = (0, 0);
        for token in tokens {
            match token {
                TokenTree::Ident(word) if colons == 2 && !words.is_empty() => words.push(word.to_string()),
                TokenTree::Ident(word) => {
                    self.end(&mut words, line);
                    line = word.span().start().line;
                    words.push(word.to_string());
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => {
                    self.end(&mut words, line);
                    self.scan(group.stream());
                }
                _ => self.end(&mut words, line),
            }
            colons = 0;
        }
        self.end(&mut words, line);
    }

    fn end(&mut self, words: &mut Words, line: usize) {
        if words.len() > 1 {
            self.draw(words, line);
        }
        words.clear();
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let child = self.modules.all[self.module].children.get(&item.ident.to_string()).copied();
        if let (Some(child), Some((_, items)), false) = (child, &item.content, is_test_module(item)) {
            let outer = std::mem::replace(&mut self.module, child);
            items.iter().for_each(|item| self.visit_item(item));
            self.module = outer;
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for import in imports(item).iter().filter(|_| !is_reexport(item)) {
            match import.name {
                Some(_) => self.draw(&import.words, import.line),
                None => self.draw_glob(&import.words, import.line),
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let words: Words = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.draw(&words, path.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.visit_path(&item.path);
        self.scan(item.tokens.clone());
    }

    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}
