//! What a file of TypeScript, or a namespace in it, declares, imports and exports.

use oxc_ast::ast::{
    BindingPattern, Class, Declaration, ExportDefaultDeclarationKind, Expression, Function,
    ImportDeclarationSpecifier, ModuleExportName, Statement, TSEnumDeclaration,
    TSInterfaceDeclaration, TSNamespaceDeclarationBody, TSTypeAliasDeclaration,
    VariableDeclaration, VariableDeclarationKind, VariableDeclarator,
};
use oxc_span::GetSpan;
use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

/// What a file, or a namespace in it, declares.
#[derive(Default)]
pub(super) struct Scope<'a> {
    pub types: HashMap<&'a str, TypeDeclaration<'a>>,
    pub values: HashMap<&'a str, Value<'a>>,
    pub imports: HashMap<&'a str, Import<'a>>,
    pub exports: HashMap<&'a str, Export<'a>>,
    /// `export * from`.
    pub stars: Vec<&'a str>,
    /// What it declares in ways that are not followed: `import x = …`.
    others: HashSet<&'a str>,
}

/// A declaration that a type can refer to.
#[derive(Clone)]
pub(super) enum TypeDeclaration<'a> {
    /// All declarations of one name are one interface.
    Interface(Rc<Vec<&'a TSInterfaceDeclaration<'a>>>),
    Alias(&'a TSTypeAliasDeclaration<'a>),
    Enum(&'a TSEnumDeclaration<'a>),
    Class(&'a Class<'a>),
    Namespace(Rc<Scope<'a>>),
}

/// A declaration that an expression can refer to.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Variable {
        declarator: &'a VariableDeclarator<'a>,
        constant: bool,
        statement: u32,
    },
    Function(&'a Function<'a>),
    Class(&'a Class<'a>),
    Enum(&'a TSEnumDeclaration<'a>),
    Expression(&'a Expression<'a>),
}

pub(super) struct Import<'a> {
    pub from: &'a str,
    pub what: ImportName<'a>,
}

/// What of another module is imported.
pub(super) enum ImportName<'a> {
    Name(&'a str),
    /// `* as`.
    All,
}

pub(super) enum Export<'a> {
    /// Something of this file, under its own name there.
    Local(&'a str),
    From {
        from: &'a str,
        name: &'a str,
    },
    AllOf(&'a str),
    Value(Value<'a>),
    Interface(Rc<Vec<&'a TSInterfaceDeclaration<'a>>>),
}

fn name_of<'a>(name: &ModuleExportName<'a>) -> &'a str {
    name.name().as_str()
}

impl<'a> Scope<'a> {
    pub fn of(statements: &'a [Statement<'a>]) -> Self {
        let mut scope = Self::default();
        for statement in statements {
            scope.statement(statement);
        }
        scope
    }

    /// Whether it declares this name in a way that is not followed, or a namespace in it declares
    /// it: there it is known without the namespace's name.
    pub fn has_unfollowed(&self, name: &str) -> bool {
        let inner = |of: &TypeDeclaration<'a>| match of {
            TypeDeclaration::Namespace(space) => {
                space.types.contains_key(name) || space.has_unfollowed(name)
            }
            _ => false,
        };
        self.others.contains(name) || self.types.values().any(inner)
    }

    /// What a namespace exports.
    pub fn exported_type(&self, name: &str) -> Option<TypeDeclaration<'a>> {
        self.types
            .get(name)
            .filter(|_| self.exports.contains_key(name))
            .cloned()
    }

    fn statement(&mut self, statement: &'a Statement<'a>) {
        match statement {
            Statement::ImportDeclaration(import) => {
                let from = import.source.value.as_str();
                for specifier in import.specifiers.iter().flatten() {
                    let (local, what) = match specifier {
                        ImportDeclarationSpecifier::ImportSpecifier(s) => (
                            s.local.name.as_str(),
                            ImportName::Name(name_of(&s.imported)),
                        ),
                        ImportDeclarationSpecifier::ImportDefaultSpecifier(s) => {
                            (s.local.name.as_str(), ImportName::Name("default"))
                        }
                        ImportDeclarationSpecifier::ImportNamespaceSpecifier(s) => {
                            (s.local.name.as_str(), ImportName::All)
                        }
                    };
                    self.imports.insert(local, Import { from, what });
                }
            }
            Statement::ExportAllDeclaration(export) => {
                let from = export.source.value.as_str();
                match &export.exported {
                    Some(name) => drop(self.exports.insert(name_of(name), Export::AllOf(from))),
                    None => self.stars.push(from),
                }
            }
            Statement::ExportNamedDeclaration(export) => {
                for specifier in &export.specifiers {
                    self.exports.insert(
                        name_of(&specifier.exported),
                        Export::Local(name_of(&specifier.local)),
                    );
                }
            }
            Statement::ExportFromDeclaration(export) => {
                let from = export.source.value.as_str();
                for specifier in &export.specifiers {
                    let name = name_of(&specifier.local);
                    self.exports
                        .insert(name_of(&specifier.exported), Export::From { from, name });
                }
            }
            Statement::ExportDeclaration(export) => {
                for name in self.declaration(&export.declaration, export.span.start) {
                    self.exports.insert(name, Export::Local(name));
                }
            }
            Statement::ExportDefaultDeclaration(export) => {
                let exported = match &export.declaration {
                    ExportDefaultDeclarationKind::FunctionDeclaration(f) => {
                        Export::Value(Value::Function(f))
                    }
                    ExportDefaultDeclarationKind::ClassDeclaration(c) => {
                        Export::Value(Value::Class(c))
                    }
                    ExportDefaultDeclarationKind::TSInterfaceDeclaration(i) => {
                        Export::Interface(Rc::new(vec![&**i]))
                    }
                    other => match other.as_expression() {
                        Some(Expression::Identifier(name)) => Export::Local(name.name.as_str()),
                        Some(expression) => Export::Value(Value::Expression(expression)),
                        None => return,
                    },
                };
                self.exports.insert("default", exported);
            }
            other => {
                if let Some(declaration) = other.as_declaration() {
                    self.declaration(declaration, declaration.span().start);
                }
            }
        }
    }

    /// Adds a declaration; returns the names that it declares.
    fn declaration(&mut self, declaration: &'a Declaration<'a>, statement: u32) -> Vec<&'a str> {
        match declaration {
            Declaration::VariableDeclaration(variables) => self.variables(variables, statement),
            Declaration::FunctionDeclaration(function) => {
                let Some(id) = &function.id else {
                    return Vec::new();
                };
                // Of overloads, the one with the body is called.
                let name = id.name.as_str();
                if function.body.is_some() || !self.values.contains_key(name) {
                    self.values.insert(name, Value::Function(function));
                }
                vec![name]
            }
            Declaration::ClassDeclaration(class) => {
                let Some(id) = &class.id else {
                    return Vec::new();
                };
                let name = id.name.as_str();
                self.values.insert(name, Value::Class(class));
                self.types.insert(name, TypeDeclaration::Class(class));
                vec![name]
            }
            Declaration::TSTypeAliasDeclaration(alias) => {
                let name = alias.id.name.as_str();
                self.types.insert(name, TypeDeclaration::Alias(alias));
                vec![name]
            }
            Declaration::TSInterfaceDeclaration(interface) => vec![self.interface(interface)],
            Declaration::TSEnumDeclaration(declared) => {
                let name = declared.id.name.as_str();
                self.types.insert(name, TypeDeclaration::Enum(declared));
                self.values.insert(name, Value::Enum(declared));
                vec![name]
            }
            Declaration::TSNamespaceDeclaration(namespace) => {
                let name = namespace.id.name.as_str();
                if let TSNamespaceDeclarationBody::TSModuleBlock(block) = &namespace.body {
                    self.types.insert(
                        name,
                        TypeDeclaration::Namespace(Rc::new(Scope::of(&block.body))),
                    );
                }
                vec![name]
            }
            Declaration::TSImportEqualsDeclaration(import) => {
                self.others.insert(import.id.name.as_str());
                vec![import.id.name.as_str()]
            }
            _ => Vec::new(),
        }
    }

    fn variables(
        &mut self,
        variables: &'a VariableDeclaration<'a>,
        statement: u32,
    ) -> Vec<&'a str> {
        let constant = variables.kind == VariableDeclarationKind::Const;
        let mut names = Vec::new();
        for declarator in &variables.declarations {
            if let BindingPattern::BindingIdentifier(id) = &declarator.id {
                let name = id.name.as_str();
                self.values.insert(
                    name,
                    Value::Variable {
                        declarator,
                        constant,
                        statement,
                    },
                );
                names.push(name);
            }
        }
        names
    }

    fn interface(&mut self, interface: &'a TSInterfaceDeclaration<'a>) -> &'a str {
        let name = interface.id.name.as_str();
        let mut all = match self.types.get(name) {
            Some(TypeDeclaration::Interface(all)) => (**all).clone(),
            _ => Vec::new(),
        };
        all.push(interface);
        self.types
            .insert(name, TypeDeclaration::Interface(Rc::new(all)));
        name
    }
}
