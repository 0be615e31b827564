//! The modules of a crate: what each defines, what it imports, and the file it stands in.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use syn::visit::Visit;
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree, Visibility};

use crate::house::sources::parse;

/// A path as its words.
pub(super) type Words = Vec<String>;

/// A crate; module 0 is its root.
pub(super) struct Modules {
    pub(super) files: Vec<File>,
    pub(super) all: Vec<Module>,
}

/// A file and the module it is.
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) module: usize,
    pub(super) syntax: syn::File,
}

/// A module, in a file of its own or inside another's.
#[derive(Default)]
pub(super) struct Module {
    pub(super) file: usize,
    pub(super) parent: usize,
    pub(super) children: BTreeMap<String, usize>,
    pub(super) items: BTreeSet<String>,
    pub(super) imports: BTreeMap<String, Words>,
    pub(super) globs: Vec<Words>,
}

/// One leaf of a `use`.
pub(super) struct Import {
    pub(super) words: Words,
    /// The name it binds; `None` for a glob.
    pub(super) name: Option<String>,
    pub(super) line: usize,
}

impl Modules {
    /// Reads the crate that begins in the file `start`.
    pub(super) fn load(start: &Path) -> Result<Self> {
        let mut modules = Self { files: Vec::new(), all: Vec::new() };
        let folder = start.parent().unwrap_or(start).to_path_buf();
        modules.read(start.to_path_buf(), &folder, 0)?;
        Ok(modules)
    }

    /// Reads one file, which is a child of `parent`, and the modules under it, which lie in `folder`.
    fn read(&mut self, path: PathBuf, folder: &Path, parent: usize) -> Result<usize> {
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let syntax = parse(&path, &text)?;
        let (file, module) = (self.files.len(), self.all.len());
        self.files.push(File { path, module, syntax: syntax.clone() });
        self.all.push(Module { file, parent, ..Module::default() });
        self.declare(module, &syntax.items, folder)?;
        Ok(module)
    }

    fn declare(&mut self, module: usize, items: &[Item], folder: &Path) -> Result<()> {
        for item in items.iter().filter(|item| !is_test(attributes(item))) {
            Uses { module: &mut self.all[module] }.visit_item(item);
            match item {
                Item::Mod(child) if !is_test_module(child) => self.child(module, child, folder)?,
                other => self.all[module].items.extend(defined(other)),
            }
        }
        Ok(())
    }

    fn child(&mut self, parent: usize, child: &ItemMod, folder: &Path) -> Result<()> {
        let name = child.ident.to_string();
        let inner = folder.join(&name);
        let module = if let Some((_, items)) = &child.content {
            let (file, module) = (self.all[parent].file, self.all.len());
            self.all.push(Module { file, parent, ..Module::default() });
            self.declare(module, items, &inner)?;
            module
        } else {
            let own = inner.join("mod.rs");
            let path = if own.is_file() { own } else { folder.join(format!("{name}.rs")) };
            if !path.is_file() {
                bail!("{} is missing: the file of `mod {name}`", path.display());
            }
            self.read(path, &inner, parent)?
        };
        self.all[parent].children.insert(name, module);
        Ok(())
    }
}

/// Whether the module holds tests: by its attribute or by the name of its file.
pub(super) fn is_test_module(module: &ItemMod) -> bool {
    is_test(&module.attrs) || module.ident == "tests"
}

/// Whether the attributes keep something out of everything but tests.
pub(super) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_cfg = attribute.path().is_ident("cfg");
        let condition = attribute.meta.require_list().map(|list| list.tokens.to_string()).unwrap_or_default();
        attribute.path().is_ident("test")
            || is_cfg && (condition == "test" || condition.starts_with("all (test"))
    })
}

/// The attributes of an item.
pub(super) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The name that an item defines.
fn defined(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

/// Notes the names that every `use` of a module binds, those inside its functions too.
struct Uses<'a> {
    module: &'a mut Module,
}

impl<'ast> Visit<'ast> for Uses<'_> {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for import in imports(item) {
            match import.name {
                Some(name) => drop(self.module.imports.insert(name, import.words)),
                None => self.module.globs.push(import.words),
            }
        }
    }

    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}
}

/// Whether a `use` passes names on rather than (or besides) using them here.
pub(super) fn is_reexport(item: &ItemUse) -> bool {
    !matches!(item.vis, Visibility::Inherited)
}

/// The leaves of a `use`; none for one that begins with `::`, which names another crate.
pub(super) fn imports(item: &ItemUse) -> Vec<Import> {
    let mut leaves = Vec::new();
    if item.leading_colon.is_none() {
        flatten(&item.tree, &mut Vec::new(), &mut leaves);
    }
    leaves
}

fn flatten(tree: &UseTree, words: &mut Words, leaves: &mut Vec<Import>) {
    let mut leaf = |last: &syn::Ident, bound: Option<&syn::Ident>| {
        let mut words = words.clone();
        // `use a::{self}` binds `a`.
        let name = if last == "self" { words.last().cloned() } else { Some(last.to_string()) };
        if last != "self" {
            words.push(last.to_string());
        }
        let name = bound.map(ToString::to_string).or(name);
        leaves.push(Import { words, name, line: last.span().start().line });
    };
    match tree {
        UseTree::Path(path) => {
            words.push(path.ident.to_string());
            flatten(&path.tree, words, leaves);
            words.pop();
        }
        UseTree::Name(name) => leaf(&name.ident, None),
        UseTree::Rename(rename) => leaf(&rename.ident, Some(&rename.rename)),
        UseTree::Glob(glob) => {
            let line = glob.star_token.spans[0].start().line;
            leaves.push(Import { words: words.clone(), name: None, line });
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, words, leaves)),
    }
}
