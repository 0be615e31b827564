//! The functions of a file, those inside macro invocations (`proptest!`) included.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A function with a body.
pub(super) struct Function {
    pub(super) name: String,
    /// Where `fn` stands, counted from 1.
    pub(super) line: usize,
    /// From `fn` to the closing brace, both lines included.
    pub(super) lines: usize,
    /// Whether it carries an attribute such as `#[test]` or `#[tokio::test]`, or stands inside a macro.
    pub(super) test: bool,
}

/// Every function of `file`, in the order of the text.
pub(super) fn functions(file: &syn::File) -> Vec<Function> {
    let mut finder = Finder(Vec::new());
    finder.visit_file(file);
    finder.0.sort_by_key(|function| function.line);
    finder.0
}

struct Finder(Vec<Function>);

impl Finder {
    fn add(&mut self, attributes: &[syn::Attribute], signature: &syn::Signature, body: &syn::Block) {
        let line = signature.fn_token.span().start().line;
        self.0.push(Function {
            name: signature.ident.to_string(),
            line,
            lines: body.brace_token.span.close().end().line - line + 1,
            test: attributes.iter().any(|a| a.path().segments.last().is_some_and(|s| s.ident == "test")),
        });
    }

    /// Inside a macro there are only tokens: `fn`, a name, and the next group of braces.
    fn scan(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => self.scan(group.stream()),
                TokenTree::Ident(word) if word == "fn" => self.scanned(&tokens[at..]),
                _ => {}
            }
        }
    }

    fn scanned(&mut self, tokens: &[TokenTree]) {
        let end = tokens.iter().find_map(|token| match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                Some(Some(group.span_close()))
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => Some(None),
            _ => None,
        });
        if let ([first, TokenTree::Ident(name), ..], Some(Some(end))) = (tokens, end) {
            let line = first.span().start().line;
            let lines = end.end().line - line + 1;
            self.0.push(Function { name: name.to_string(), line, lines, test: true });
        }
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.attrs, &item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.attrs, &item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.add(&item.attrs, &item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.scan(item.tokens.clone());
    }
}
