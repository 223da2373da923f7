//! Which variables of its environment a program reads, as far as it names them:
//! `process.env.API_TOKEN`, `process.env["API_TOKEN"]`, `const { API_TOKEN } = process.env`, also where
//! `process` or `env` has another name.

use crate::typescript::{depth, with_room};
use oxc_allocator::Allocator;
use oxc_ast::ast::{
    AssignmentExpression, AssignmentTarget, BindingPattern, ComputedMemberExpression, Expression,
    ImportDeclaration, ImportDeclarationSpecifier, StaticMemberExpression, VariableDeclarator,
};
use oxc_ast_visit::{Visit, walk};
use oxc_parser::Parser;
use oxc_span::SourceType;
use std::collections::BTreeSet;

/// The names of what a finished bundle reads. What it sets itself is not among them; nor is what it
/// names by a value, or hands on with the whole of `process.env`.
pub fn variables_read(bundle: &str) -> BTreeSet<String> {
    if !bundle.contains("env") || depth::fault("", bundle).is_some() {
        return BTreeSet::new();
    }
    with_room(|| {
        let arena = Allocator::default();
        let parsed = Parser::new(&arena, bundle, SourceType::mjs()).parse();
        if parsed.panicked || !parsed.diagnostics.is_empty() {
            return BTreeSet::new();
        }
        let mut names = Names::default();
        names.visit_program(&parsed.program);
        let mut found = Found {
            names,
            read: BTreeSet::new(),
            set: BTreeSet::new(),
        };
        found.visit_program(&parsed.program);
        &found.read - &found.set
    })
}

/// What `process` and `process.env` are called besides.
#[derive(Default)]
struct Names {
    process: BTreeSet<String>,
    env: BTreeSet<String>,
}

impl Names {
    fn is_env(&self, it: &Expression<'_>) -> bool {
        match it.without_parentheses() {
            Expression::Identifier(name) => self.env.contains(name.name.as_str()),
            Expression::StaticMemberExpression(member) => {
                member.property.name == "env" && self.is_process(&member.object)
            }
            _ => false,
        }
    }

    fn is_process(&self, it: &Expression<'_>) -> bool {
        match it.without_parentheses() {
            Expression::Identifier(name) => {
                name.name == "process" || self.process.contains(name.name.as_str())
            }
            Expression::StaticMemberExpression(member) => {
                let is_global = |object: &Expression<'_>| match object {
                    Expression::Identifier(name) => {
                        matches!(name.name.as_str(), "globalThis" | "global")
                    }
                    _ => false,
                };
                match member.property.name.as_str() {
                    "process" => is_global(&member.object),
                    // Of a namespace of the module, as esbuild imports it for CommonJS.
                    "default" => self.is_process(&member.object),
                    _ => false,
                }
            }
            _ => false,
        }
    }
}

impl<'a> Visit<'a> for Names {
    fn visit_import_declaration(&mut self, it: &ImportDeclaration<'a>) {
        if !matches!(it.source.value.as_str(), "process" | "node:process") {
            return;
        }
        for specifier in it.specifiers.iter().flatten() {
            match specifier {
                ImportDeclarationSpecifier::ImportSpecifier(one) => {
                    let local = one.local.name.to_string();
                    match one.imported.name().as_str() {
                        "env" => self.env.insert(local),
                        "default" => self.process.insert(local),
                        _ => false,
                    };
                }
                ImportDeclarationSpecifier::ImportDefaultSpecifier(one) => {
                    self.process.insert(one.local.name.to_string());
                }
                ImportDeclarationSpecifier::ImportNamespaceSpecifier(one) => {
                    self.process.insert(one.local.name.to_string());
                }
            }
        }
    }

    fn visit_variable_declarator(&mut self, it: &VariableDeclarator<'a>) {
        if let Some(init) = &it.init {
            match &it.id {
                BindingPattern::BindingIdentifier(name) if self.is_env(init) => {
                    self.env.insert(name.name.to_string());
                }
                BindingPattern::ObjectPattern(pattern) if self.is_process(init) => {
                    let env = pattern
                        .properties
                        .iter()
                        .filter(|property| property.key.static_name().as_deref() == Some("env"));
                    for property in env {
                        if let BindingPattern::BindingIdentifier(name) = &property.value {
                            self.env.insert(name.name.to_string());
                        }
                    }
                }
                _ => {}
            }
        }
        walk::walk_variable_declarator(self, it);
    }
}

struct Found {
    names: Names,
    read: BTreeSet<String>,
    set: BTreeSet<String>,
}

impl<'a> Visit<'a> for Found {
    fn visit_static_member_expression(&mut self, it: &StaticMemberExpression<'a>) {
        if self.names.is_env(&it.object) {
            self.read.insert(it.property.name.to_string());
        }
        walk::walk_static_member_expression(self, it);
    }

    fn visit_computed_member_expression(&mut self, it: &ComputedMemberExpression<'a>) {
        if self.names.is_env(&it.object)
            && let Expression::StringLiteral(name) = &it.expression
        {
            self.read.insert(name.value.to_string());
        }
        walk::walk_computed_member_expression(self, it);
    }

    fn visit_variable_declarator(&mut self, it: &VariableDeclarator<'a>) {
        if let (BindingPattern::ObjectPattern(pattern), Some(init)) = (&it.id, &it.init)
            && self.names.is_env(init)
        {
            let names = pattern
                .properties
                .iter()
                .filter_map(|it| it.key.static_name());
            self.read.extend(names.map(String::from));
        }
        walk::walk_variable_declarator(self, it);
    }

    fn visit_assignment_expression(&mut self, it: &AssignmentExpression<'a>) {
        if let AssignmentTarget::StaticMemberExpression(member) = &it.left
            && self.names.is_env(&member.object)
        {
            self.set.insert(member.property.name.to_string());
        }
        walk::walk_assignment_expression(self, it);
    }
}

#[cfg(test)]
mod tests {
    use super::variables_read;

    fn read(bundle: &str) -> Vec<String> {
        variables_read(bundle).into_iter().collect()
    }

    #[test]
    fn what_a_bundle_reads_is_found_however_it_is_written() {
        for (bundle, names) in [
            (
                "f(process.env.A, process.env?.B, process?.env?.C)",
                &["A", "B", "C"][..],
            ),
            (
                "process.env['A']; globalThis.process.env[\"B\"]",
                &["A", "B"],
            ),
            (
                "const { A, B: b = 'x', ...rest } = process.env;",
                &["A", "B"],
            ),
            (
                "var env = process.env; function f() { return env.A; }",
                &["A"],
            ),
            ("const { env: e } = process; e.A", &["A"]),
            (
                "import process2 from 'node:process'; process2.env.A",
                &["A"],
            ),
            (
                "import { env as e } from 'process'; e.A; const { B } = e",
                &["A", "B"],
            ),
            (
                "import * as p from 'node:process'; p.env.A; p.default.env.B",
                &["A", "B"],
            ),
            (
                "if (!process.env.A) throw new Error(`no ${(process.env).B}`)",
                &["A", "B"],
            ),
        ] {
            assert_eq!(read(bundle), names, "{bundle}");
        }
    }

    #[test]
    fn what_is_no_variable_or_set_by_the_program_itself_is_none() {
        for bundle in [
            "process.env.A = 'x'; f(process.env.A)",
            "process.env.A ??= 'x'",
            "process.env[name]; import.meta.env.A; other.env.B; env.C; f(process.env)",
            "// process.env.A\n'process.env.B'",
            "this is no program: process.env.A",
        ] {
            assert_eq!(read(bundle), [""; 0], "{bundle}");
        }
    }
}
