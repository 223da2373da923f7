//! What a type is: names followed, utility types and generics worked out, one level at a time.
//!
//! A type that is not asked for is not looked at, so that one that cannot be resolved spoils only
//! what needs it, and a type that contains itself ends.

use crate::typescript::{
    files::{File, Files, Found, Meaning, TypeDeclaration, Value},
    globals,
};
use oxc_ast::ast::{
    Argument, ArrayExpressionElement, BinaryOperator, Expression, ObjectPropertyKind, PropertyKey,
    TSEnumDeclaration, TSLiteral, TSMappedTypeModifierOperator, TSSignature, TSTupleElement,
    TSType, TSTypeName, TSTypeOperatorOperator, TSTypeParameterDeclaration, TSTypeQueryExprName,
    UnaryOperator,
};
use oxc_span::GetSpan;
use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    rc::Rc,
};

/// How many types may be looked at for one table or method. Types that grow without end stop here.
const BUDGET: u32 = 50_000;

/// How deep types may refer to each other.
const DEPTH: u32 = 80;

/// How many of the types within a column's are looked through. Each is a step down at most, so that
/// the stack holds them.
const WITHIN: usize = 2_000;

/// Where a type stands: its file, and what its type parameters mean.
#[derive(Clone)]
pub(super) struct Site<'a> {
    pub file: Rc<File<'a>>,
    parameters: Option<Rc<HashMap<&'a str, Thunk<'a>>>>,
}

/// A type that has not been looked at yet.
#[derive(Clone)]
pub(super) enum Thunk<'a> {
    Node(&'a TSType<'a>, Site<'a>),
    /// The type of a value; `true` where `as const` narrows it.
    Value(&'a Expression<'a>, Site<'a>, bool),
    Declared(Declared<'a>),
    Known(Box<Type<'a>>),
    All(Rc<Vec<Thunk<'a>>>),
}

/// A declaration that a reference was followed to.
#[derive(Clone)]
pub(super) struct Declared<'a> {
    pub name: &'a str,
    declaration: TypeDeclaration<'a>,
    site: Site<'a>,
    /// Which one it is, with its type arguments.
    pub key: String,
    /// Where its JSDoc stands, unless it is exported.
    pub at: u32,
}

/// A type, one level deep.
#[derive(Clone)]
pub(super) enum Type<'a> {
    /// `any` and `unknown`.
    Any,
    String,
    /// A template type.
    Template,
    Number,
    Boolean,
    BigInt,
    Symbol,
    Function,
    Null,
    Undefined,
    Never,
    Date,
    /// The SDK's.
    User,
    Text(String),
    Numeral(f64),
    Truth(bool),
    Object(Object<'a>),
    /// An object of which no more is known.
    SomeObject,
    Array(Thunk<'a>),
    Tuple(Vec<Element<'a>>),
    Union(Vec<Thunk<'a>>),
    /// Not to be had, and why.
    Unresolved(String),
}

/// An object type.
#[derive(Clone, Default)]
pub(super) struct Object<'a> {
    pub properties: Vec<Property<'a>>,
    /// What other properties may be.
    pub index: Option<Thunk<'a>>,
}

/// A property of an object type.
#[derive(Clone)]
pub(super) struct Property<'a> {
    pub name: String,
    pub optional: bool,
    pub of: Thunk<'a>,
    /// Where it stands.
    pub file: Rc<File<'a>>,
    pub at: u32,
}

/// An element of a tuple.
#[derive(Clone)]
pub(super) struct Element<'a> {
    pub of: Thunk<'a>,
    pub optional: bool,
    pub rest: bool,
}

/// A name in a type that nobody declares, and where it stands.
pub(super) struct Undeclared<'a> {
    pub name: String,
    pub file: Rc<File<'a>>,
    pub at: u32,
}

/// Works types out.
pub(super) struct Types<'f, 'a> {
    pub files: &'f Files<'a>,
    left: Cell<u32>,
    depth: Cell<u32>,
    undeclared: RefCell<Vec<Undeclared<'a>>>,
    /// What type parameters meant so far. A key has the address, which is another's once they are
    /// dropped.
    parameters: RefCell<Vec<Rc<HashMap<&'a str, Thunk<'a>>>>>,
}

fn unresolved<'a>(why: impl Into<String>) -> Type<'a> {
    Type::Unresolved(why.into())
}

impl<'a> Thunk<'a> {
    fn known(of: Type<'a>) -> Self {
        Self::Known(Box::new(of))
    }

    /// Equal for types that are one and the same.
    fn key(&self) -> String {
        match self {
            Self::Node(node, site) => format!("{:p}{}", *node, site.key()),
            Self::Value(node, site, narrow) => format!("{:p}{}{narrow}", *node, site.key()),
            Self::Declared(declared) => declared.key.clone(),
            Self::Known(of) => match &**of {
                Type::Text(text) => format!("{text:?}"),
                Type::Numeral(number) => number.to_string(),
                Type::Truth(truth) => truth.to_string(),
                // A mapped type's key, which is no literal.
                Type::String => "string".to_owned(),
                _ => format!("{:p}", &raw const **of),
            },
            Self::All(parts) => parts.iter().map(Self::key).collect::<Vec<_>>().join("&"),
        }
    }
}

impl<'a> Site<'a> {
    pub fn of(file: &Rc<File<'a>>) -> Self {
        Self {
            file: file.clone(),
            parameters: None,
        }
    }

    fn key(&self) -> String {
        self.parameters
            .as_ref()
            .map_or_else(String::new, |parameters| {
                format!("@{:p}", Rc::as_ptr(parameters))
            })
    }

    fn parameter(&self, name: &str) -> Option<Thunk<'a>> {
        self.parameters.as_ref()?.get(name).cloned()
    }
}

impl<'a> Declared<'a> {
    /// The file that declares it.
    pub fn site_file(&self) -> &File<'a> {
        &self.site.file
    }
}

impl<'f, 'a> Types<'f, 'a> {
    pub fn new(files: &'f Files<'a>) -> Self {
        Self {
            files,
            left: Cell::new(BUDGET),
            depth: Cell::new(0),
            undeclared: RefCell::default(),
            parameters: RefCell::default(),
        }
    }

    /// Looks at a type.
    pub fn head(&self, thunk: &Thunk<'a>) -> Type<'a> {
        if self.left.get() == 0 || self.depth.get() >= DEPTH {
            return unresolved("it refers to itself, or is too large to follow");
        }
        self.left.set(self.left.get() - 1);
        self.depth.set(self.depth.get() + 1);
        let head = match thunk {
            Thunk::Node(node, site) => self.node(node, site),
            Thunk::Value(expression, site, narrow) => self.value(expression, site, *narrow),
            Thunk::Declared(declared) => self.declared(declared),
            Thunk::Known(of) => (**of).clone(),
            Thunk::All(parts) => self.intersection(parts),
        };
        self.depth.set(self.depth.get() - 1);
        head
    }

    /// The members of a union, of unions in it too, or the one type that it is.
    pub fn members(&self, thunk: &Thunk<'a>) -> Vec<Type<'a>> {
        let mut all = Vec::new();
        self.add_members(thunk, &mut all, &mut Vec::new());
        all
    }

    fn add_members(&self, thunk: &Thunk<'a>, all: &mut Vec<Type<'a>>, within: &mut Vec<String>) {
        let key = thunk.key();
        if within.contains(&key) || within.len() >= DEPTH as usize {
            return all.push(unresolved("it refers to itself, or is too large to follow"));
        }
        match self.head(thunk) {
            Type::Union(members) => {
                within.push(key);
                members
                    .iter()
                    .for_each(|member| self.add_members(member, all, within));
                within.pop();
            }
            one => all.push(one),
        }
    }

    /// The declaration that a type is a reference to, if it is one.
    pub fn reference(&self, thunk: &Thunk<'a>) -> Option<Declared<'a>> {
        match thunk {
            Thunk::Declared(declared) => Some(declared.clone()),
            Thunk::Node(TSType::TSParenthesizedType(inner), site) => {
                self.reference(&Thunk::Node(&inner.type_annotation, site.clone()))
            }
            Thunk::Node(TSType::TSTypeReference(reference), site) => {
                if let TSTypeName::IdentifierReference(id) = &reference.type_name
                    && let Some(parameter) = site.parameter(&id.name)
                {
                    return self.reference(&parameter);
                }
                match self.follow(&reference.type_name, site) {
                    Found::Type(file, declaration) => {
                        let args = reference
                            .type_arguments
                            .as_ref()
                            .map_or(&[][..], |args| &args.params[..]);
                        self.apply(file, declaration, args, site).ok()
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    // ---- Names --------------------------------------------------------------------------------------------------

    /// What a name in a type stands for.
    fn follow(&self, name: &TSTypeName<'a>, site: &Site<'a>) -> Found<'a> {
        match name {
            TSTypeName::IdentifierReference(id) => {
                self.files.find(&site.file, &id.name, Meaning::Type)
            }
            TSTypeName::QualifiedName(name) => {
                self.member(self.follow(&name.left, site), &name.right.name)
            }
            TSTypeName::ThisExpression(_) => Found::Not("this is not a type of its own".into()),
        }
    }

    /// `of.name`.
    fn member(&self, of: Found<'a>, name: &str) -> Found<'a> {
        match of {
            Found::Module(file) => self.files.exported(&file, name, Meaning::Type),
            Found::Sdk(all) if all == "*" => Found::Sdk(name.to_owned()),
            Found::Type(file, TypeDeclaration::Namespace(space)) => match space.exported_type(name)
            {
                Some(declaration) => Found::Type(file, declaration),
                None => Found::Not(format!("the namespace does not export {name}")),
            },
            not @ (Found::Not(_) | Found::Undeclared(_)) => not,
            _ => Found::Not(format!("{name} is not to be found there")),
        }
    }

    /// A declaration with its type arguments.
    fn apply(
        &self,
        file: Rc<File<'a>>,
        declaration: TypeDeclaration<'a>,
        args: &'a [TSType<'a>],
        from: &Site<'a>,
    ) -> Result<Declared<'a>, String> {
        let mut site = Site {
            file,
            parameters: None,
        };
        let (name, at, parameters): (&str, u32, Option<&TSTypeParameterDeclaration<'a>>) =
            match &declaration {
                TypeDeclaration::Interface(all) => {
                    let first = all[0];
                    (
                        first.id.name.as_str(),
                        first.span.start,
                        first.type_parameters.as_deref(),
                    )
                }
                TypeDeclaration::Alias(alias) => (
                    alias.id.name.as_str(),
                    alias.span.start,
                    alias.type_parameters.as_deref(),
                ),
                TypeDeclaration::Enum(declared) => {
                    (declared.id.name.as_str(), declared.span.start, None)
                }
                TypeDeclaration::Class(class) => (
                    class.id.as_ref().map_or("class", |id| id.name.as_str()),
                    class.span.start,
                    None,
                ),
                TypeDeclaration::Namespace(_) => return Err("a namespace is no type".into()),
            };
        let mut key = format!("{}:{at}", site.file.path.display());
        for (i, parameter) in parameters.iter().flat_map(|p| &p.params).enumerate() {
            let of = match (args.get(i), &parameter.default) {
                (Some(arg), _) => self.argument(arg, from),
                (None, Some(default)) => Thunk::Node(default, site.clone()),
                (None, None) => {
                    return Err(format!(
                        "{name} is generic, and {} is not given",
                        parameter.name.name
                    ));
                }
            };
            key.push_str(&format!("<{}>", of.key()));
            site = self.with(&site, parameter.name.name.as_str(), of);
        }
        Ok(Declared {
            name,
            declaration,
            site,
            key,
            at,
        })
    }

    /// The site with one more type parameter.
    fn with(&self, site: &Site<'a>, name: &'a str, of: Thunk<'a>) -> Site<'a> {
        let mut parameters = site.parameters.as_deref().cloned().unwrap_or_default();
        parameters.insert(name, of);
        let parameters = Rc::new(parameters);
        self.parameters.borrow_mut().push(parameters.clone());
        Site {
            parameters: Some(parameters),
            ..site.clone()
        }
    }

    /// A type argument. One that is a type parameter itself is what that stands for, so that a
    /// recursive generic type is known for itself.
    fn argument(&self, arg: &'a TSType<'a>, from: &Site<'a>) -> Thunk<'a> {
        if let TSType::TSTypeReference(reference) = arg
            && let TSTypeName::IdentifierReference(id) = &reference.type_name
            && let Some(of) = from.parameter(&id.name)
        {
            return of;
        }
        Thunk::Node(arg, from.clone())
    }

    fn declared(&self, declared: &Declared<'a>) -> Type<'a> {
        let site = &declared.site;
        match &declared.declaration {
            TypeDeclaration::Alias(alias) => {
                self.head(&Thunk::Node(&alias.type_annotation, site.clone()))
            }
            TypeDeclaration::Interface(all) => {
                let mut object = Object::default();
                for interface in all.iter() {
                    for base in &interface.extends {
                        let args = base
                            .type_arguments
                            .as_ref()
                            .map_or(&[][..], |args| &args.params[..]);
                        match self.named(&base.type_name, args, site) {
                            Type::Object(base) => object.inherit(base),
                            Type::SomeObject => {}
                            Type::Unresolved(why) => {
                                return unresolved(format!(
                                    "{} extends what is not known: {why}",
                                    declared.name
                                ));
                            }
                            _ => {
                                return unresolved(format!(
                                    "{} extends what is no object type",
                                    declared.name
                                ));
                            }
                        }
                    }
                }
                for interface in all.iter() {
                    object.inherit(self.signatures(&interface.body.body, site));
                }
                Type::Object(object)
            }
            TypeDeclaration::Enum(declared) => Type::Union(
                self.enum_members(&site.file, declared)
                    .into_iter()
                    .map(|(_, of)| Thunk::known(of))
                    .collect(),
            ),
            TypeDeclaration::Class(_) => Type::SomeObject,
            TypeDeclaration::Namespace(_) => unresolved("a namespace is no type"),
        }
    }

    /// A named type: one of the app's own, of the SDK's, or of the language's.
    fn named(&self, name: &TSTypeName<'a>, args: &'a [TSType<'a>], site: &Site<'a>) -> Type<'a> {
        if let TSTypeName::IdentifierReference(id) = name
            && let Some(of) = site.parameter(&id.name)
        {
            return self.head(&of);
        }
        // `Status.Active`
        if let TSTypeName::QualifiedName(qualified) = name
            && let Found::Type(file, TypeDeclaration::Enum(declared)) =
                self.follow(&qualified.left, site)
        {
            let member = self
                .enum_members(&file, declared)
                .into_iter()
                .find(|(name, _)| *name == qualified.right.name.as_str());
            return member.map_or_else(
                || {
                    unresolved(format!(
                        "{} has no {}",
                        declared.id.name, qualified.right.name
                    ))
                },
                |(_, of)| of,
            );
        }
        match self.follow(name, site) {
            Found::Type(file, declaration) => match self.apply(file, declaration, args, site) {
                Ok(declared) => self.head(&Thunk::Declared(declared)),
                Err(why) => unresolved(why),
            },
            Found::Sdk(name) if name == "User" => Type::User,
            Found::Sdk(name) => unresolved(format!("{name} of the SDK is not a type of a column")),
            Found::Value(..) | Found::Module(_) => unresolved("it is no type"),
            Found::Undeclared(why) => {
                let builtin = match name {
                    TSTypeName::IdentifierReference(id) => self.builtin(&id.name, args, site),
                    _ => None,
                };
                builtin.unwrap_or_else(|| self.undeclared(name, site, why))
            }
            Found::Not(why) => unresolved(why),
        }
    }

    /// A type whose name nobody declares, unless that is somewhere where it is not looked for: it
    /// is told of by [`Types::take_undeclared`].
    fn undeclared(&self, name: &TSTypeName<'a>, site: &Site<'a>, why: String) -> Type<'a> {
        let mut first = name;
        while let TSTypeName::QualifiedName(qualified) = first {
            first = &qualified.left;
        }
        let TSTypeName::IdentifierReference(id) = first else {
            return unresolved(why);
        };
        if globals::is_global(&id.name)
            || site.file.scope.has_unfollowed(&id.name)
            || self.files.is_ambient(&id.name)
        {
            return unresolved(format!(
                "{} is declared elsewhere, and not followed",
                id.name
            ));
        }
        self.undeclared.borrow_mut().push(Undeclared {
            name: id.name.to_string(),
            file: site.file.clone(),
            at: id.span.start,
        });
        unresolved(why)
    }

    /// The names that were met since it was last asked, and that nobody declares.
    pub fn take_undeclared(&self) -> Vec<Undeclared<'a>> {
        self.undeclared.take()
    }

    /// Looks at all that a type is made of, for the sake of the names in it. `seen` is what was
    /// looked at.
    pub fn look_through(&self, thunk: &Thunk<'a>, seen: &mut HashSet<String>) {
        if seen.len() >= WITHIN || !seen.insert(thunk.key()) {
            return;
        }
        match self.head(thunk) {
            Type::Array(of) => self.look_through(&of, seen),
            Type::Tuple(elements) => elements
                .iter()
                .for_each(|element| self.look_through(&element.of, seen)),
            Type::Union(members) => members
                .iter()
                .for_each(|member| self.look_through(member, seen)),
            Type::Object(object) => {
                object
                    .properties
                    .iter()
                    .for_each(|property| self.look_through(&property.of, seen));
                object
                    .index
                    .iter()
                    .for_each(|of| self.look_through(of, seen));
            }
            _ => {}
        }
    }

    /// A type of the language's.
    fn builtin(&self, name: &str, args: &'a [TSType<'a>], site: &Site<'a>) -> Option<Type<'a>> {
        let arg = |i: usize| args.get(i).map(|arg| self.argument(arg, site));
        let missing = || Some(unresolved(format!("{name} lacks a type argument")));
        Some(match name {
            "Date" => Type::Date,
            "Array" | "ReadonlyArray" => match arg(0) {
                Some(of) => Type::Array(of),
                None => return missing(),
            },
            "String" | "Uppercase" | "Lowercase" | "Capitalize" | "Uncapitalize" => Type::String,
            "Number" => Type::Number,
            "Boolean" => Type::Boolean,
            "BigInt" => Type::BigInt,
            "Symbol" => Type::Symbol,
            "Function" => Type::Function,
            "Object" | "Map" | "Set" | "ReadonlyMap" | "ReadonlySet" | "Error" | "RegExp"
            | "URL" => Type::SomeObject,
            "Readonly" | "Awaited" => match arg(0) {
                Some(of) => self.head(&of),
                None => return missing(),
            },
            "Partial" | "Required" => match arg(0) {
                Some(of) => self.all_optional(&of, name == "Partial"),
                None => return missing(),
            },
            "NonNullable" => match arg(0) {
                Some(of) => {
                    self.head(&self.without(&of, |of| matches!(of, Type::Null | Type::Undefined)))
                }
                None => return missing(),
            },
            "Pick" | "Omit" => {
                let (Some(of), Some(names)) = (arg(0), arg(1)) else {
                    return missing();
                };
                let names = match self.names(&names) {
                    Ok(names) => names,
                    Err(why) => {
                        return Some(unresolved(format!("what {name} names is not known: {why}")));
                    }
                };
                match self.head(&of) {
                    Type::Object(mut object) => {
                        let has = |name: &String| object.properties.iter().any(|p| p.name == *name);
                        if name == "Pick"
                            && let Some(missing) = names.iter().find(|name| !has(name))
                        {
                            return Some(unresolved(format!(
                                "Pick names {missing}, which is not there"
                            )));
                        }
                        object
                            .properties
                            .retain(|p| names.contains(&p.name) == (name == "Pick"));
                        Type::Object(object)
                    }
                    other @ Type::Unresolved(_) => other,
                    _ => unresolved(format!("{name} needs an object type")),
                }
            }
            "Record" => {
                let (Some(keys), Some(of)) = (arg(0), arg(1)) else {
                    return missing();
                };
                match self.names(&keys) {
                    Ok(names) => {
                        let property = |name: String| Property {
                            name,
                            optional: false,
                            of: of.clone(),
                            file: site.file.clone(),
                            at: args[0].span().start,
                        };
                        Type::Object(Object {
                            properties: names.into_iter().map(property).collect(),
                            index: None,
                        })
                    }
                    // Keys that are not listed: any.
                    Err(_) => Type::Object(Object {
                        properties: Vec::new(),
                        index: Some(of),
                    }),
                }
            }
            "Exclude" | "Extract" => {
                let (Some(of), Some(which)) = (arg(0), arg(1)) else {
                    return missing();
                };
                let which = self.members(&which);
                let all = self.members(&of);
                if let Some(why) = all.iter().chain(&which).find_map(Type::why_unresolved) {
                    return Some(unresolved(why));
                }
                let fits = |of: &Type<'a>| which.iter().any(|which| of.is_a(which));
                let kept = all.into_iter().filter(|of| fits(of) == (name == "Extract"));
                Type::Union(kept.map(Thunk::known).collect())
            }
            _ => return None,
        })
    }

    /// `Partial` or, where they are not to be optional, `Required`: of a union, that of each
    /// member.
    fn all_optional(&self, of: &Thunk<'a>, optional: bool) -> Type<'a> {
        let mut members = self.members(of);
        for member in &mut members {
            let Type::Object(object) = member else {
                continue;
            };
            for property in &mut object.properties {
                property.optional = optional;
                if !optional {
                    property.of = self.without(&property.of, |of| matches!(of, Type::Undefined));
                }
            }
        }
        match members.len() {
            1 => members.remove(0),
            _ => Type::Union(members.into_iter().map(Thunk::known).collect()),
        }
    }

    /// A union without some of its members.
    fn without(&self, of: &Thunk<'a>, goes: impl Fn(&Type<'a>) -> bool) -> Thunk<'a> {
        let members = self.members(of);
        if !members.iter().any(&goes) {
            return of.clone();
        }
        Thunk::known(Type::Union(
            members
                .into_iter()
                .filter(|of| !goes(of))
                .map(Thunk::known)
                .collect(),
        ))
    }

    /// The names that a union of literals lists.
    fn names(&self, of: &Thunk<'a>) -> Result<Vec<String>, String> {
        let name = |of: Type<'a>| match of {
            Type::Text(text) => Ok(text),
            Type::Numeral(number) => Ok(number.to_string()),
            Type::Unresolved(why) => Err(why),
            _ => Err("it is no list of names".to_owned()),
        };
        self.members(of)
            .into_iter()
            .filter(|of| !matches!(of, Type::Never))
            .map(name)
            .collect()
    }

    // ---- Types as they are written ------------------------------------------------------------------------------

    fn node(&self, node: &'a TSType<'a>, site: &Site<'a>) -> Type<'a> {
        let thunk = |of: &'a TSType<'a>| Thunk::Node(of, site.clone());
        match node {
            TSType::TSAnyKeyword(_) | TSType::TSUnknownKeyword(_) => Type::Any,
            TSType::TSStringKeyword(_) => Type::String,
            TSType::TSNumberKeyword(_) => Type::Number,
            TSType::TSBooleanKeyword(_) => Type::Boolean,
            TSType::TSBigIntKeyword(_) => Type::BigInt,
            TSType::TSSymbolKeyword(_) => Type::Symbol,
            TSType::TSNullKeyword(_) => Type::Null,
            TSType::TSUndefinedKeyword(_) | TSType::TSVoidKeyword(_) => Type::Undefined,
            TSType::TSNeverKeyword(_) => Type::Never,
            TSType::TSObjectKeyword(_) => Type::SomeObject,
            TSType::TSFunctionType(_) | TSType::TSConstructorType(_) => Type::Function,
            TSType::TSTemplateLiteralType(template) => match &template.quasis[..] {
                [only] if template.types.is_empty() => Type::Text(
                    only.value
                        .cooked
                        .as_ref()
                        .unwrap_or(&only.value.raw)
                        .to_string(),
                ),
                _ => Type::Template,
            },
            TSType::TSParenthesizedType(inner) => self.head(&thunk(&inner.type_annotation)),
            TSType::TSLiteralType(literal) => match &literal.literal {
                TSLiteral::BooleanLiteral(of) => Type::Truth(of.value),
                TSLiteral::NumericLiteral(of) => Type::Numeral(of.value),
                TSLiteral::BigIntLiteral(_) => Type::BigInt,
                TSLiteral::StringLiteral(of) => Type::Text(of.value.to_string()),
                TSLiteral::TemplateLiteral(_) => Type::Template,
                TSLiteral::UnaryExpression(of) => match (&of.operator, &of.argument) {
                    (UnaryOperator::UnaryNegation, Expression::NumericLiteral(n)) => {
                        Type::Numeral(-n.value)
                    }
                    (UnaryOperator::UnaryPlus, Expression::NumericLiteral(n)) => {
                        Type::Numeral(n.value)
                    }
                    (_, Expression::BigIntLiteral(_)) => Type::BigInt,
                    _ => unresolved("this literal is not understood"),
                },
            },
            TSType::TSArrayType(array) => Type::Array(thunk(&array.element_type)),
            TSType::TSTupleType(tuple) => Type::Tuple(
                tuple
                    .element_types
                    .iter()
                    .map(|element| element_of(element, site))
                    .collect(),
            ),
            TSType::TSNamedTupleMember(member) => match member.element_type.as_ts_type() {
                Some(of) => self.head(&thunk(of)),
                None => unresolved("this tuple is not understood"),
            },
            TSType::TSTypeLiteral(literal) => Type::Object(self.signatures(&literal.members, site)),
            TSType::TSUnionType(union) => Type::Union(union.types.iter().map(thunk).collect()),
            TSType::TSIntersectionType(all) => {
                self.intersection(&all.types.iter().map(thunk).collect::<Vec<_>>())
            }
            TSType::TSTypeReference(reference) => {
                let args = reference
                    .type_arguments
                    .as_ref()
                    .map_or(&[][..], |args| &args.params[..]);
                self.named(&reference.type_name, args, site)
            }
            TSType::TSTypeOperatorType(operator) => match operator.operator {
                TSTypeOperatorOperator::Readonly => self.head(&thunk(&operator.type_annotation)),
                TSTypeOperatorOperator::Unique => Type::Symbol,
                TSTypeOperatorOperator::Keyof => self.keys(&thunk(&operator.type_annotation)),
            },
            TSType::TSIndexedAccessType(access) => {
                self.indexed(&thunk(&access.object_type), &thunk(&access.index_type))
            }
            TSType::TSMappedType(mapped) => self.mapped(mapped, site),
            TSType::TSTypeQuery(query) => self.query(&query.expr_name, site),
            TSType::TSImportType(import) => {
                let mut found = self.files.imported(&site.file, &import.source.value);
                let Some(mut qualifier) = import.qualifier.as_ref() else {
                    return Type::SomeObject;
                };
                let mut path = Vec::new();
                loop {
                    match qualifier {
                        oxc_ast::ast::TSImportTypeQualifier::Identifier(id) => {
                            path.push(id.name.as_str());
                            break;
                        }
                        oxc_ast::ast::TSImportTypeQualifier::QualifiedName(name) => {
                            path.push(name.right.name.as_str());
                            qualifier = &name.left;
                        }
                    }
                }
                for name in path.into_iter().rev() {
                    found = self.member(found, name);
                }
                let args = import
                    .type_arguments
                    .as_ref()
                    .map_or(&[][..], |args| &args.params[..]);
                match found {
                    Found::Type(file, declaration) => {
                        match self.apply(file, declaration, args, site) {
                            Ok(declared) => self.head(&Thunk::Declared(declared)),
                            Err(why) => unresolved(why),
                        }
                    }
                    Found::Sdk(name) if name == "User" => Type::User,
                    Found::Not(why) | Found::Undeclared(why) => unresolved(why),
                    _ => unresolved("this import is no type"),
                }
            }
            TSType::TSConditionalType(_) | TSType::TSInferType(_) => {
                unresolved("conditional types are not followed")
            }
            _ => unresolved("this kind of type is not followed"),
        }
    }

    fn signatures(&self, members: &'a [TSSignature<'a>], site: &Site<'a>) -> Object<'a> {
        let mut object = Object::default();
        for member in members {
            let (key, optional, of, at) = match member {
                TSSignature::TSPropertySignature(property) => {
                    let of = match &property.type_annotation {
                        Some(annotation) => Thunk::Node(&annotation.type_annotation, site.clone()),
                        None => Thunk::known(Type::Any),
                    };
                    (&property.key, property.optional, of, property.span.start)
                }
                TSSignature::TSMethodSignature(method) => (
                    &method.key,
                    method.optional,
                    Thunk::known(Type::Function),
                    method.span.start,
                ),
                TSSignature::TSIndexSignature(index) => {
                    object.index = Some(Thunk::Node(
                        &index.type_annotation.type_annotation,
                        site.clone(),
                    ));
                    continue;
                }
                _ => continue,
            };
            // A name that is computed from a symbol is no name of a column, nor of JSON.
            let Some(name) = self.key_name(key, site) else {
                continue;
            };
            object.add(Property {
                name,
                optional,
                of,
                file: site.file.clone(),
                at,
            });
        }
        object
    }

    fn key_name(&self, key: &'a PropertyKey<'a>, site: &Site<'a>) -> Option<String> {
        if let Some(name) = key.static_name() {
            return Some(name.into_owned());
        }
        match self.value(key.as_expression()?, site, true) {
            Type::Text(text) => Some(text),
            Type::Numeral(number) => Some(number.to_string()),
            _ => None,
        }
    }

    fn intersection(&self, parts: &[Thunk<'a>]) -> Type<'a> {
        let mut primitive: Option<Type<'a>> = None;
        let mut object: Option<Object<'a>> = None;
        let mut some_object = false;
        for (i, part) in parts.iter().enumerate() {
            match self.head(part) {
                Type::Any => {}
                Type::Never => return Type::Never,
                of @ Type::Unresolved(_) => return of,
                Type::Object(more) => match &mut object {
                    Some(object) => object.intersect(more),
                    None => object = Some(more),
                },
                Type::SomeObject => some_object = true,
                // A & (B | C) is (A & B) | (A & C).
                Type::Union(members) => {
                    let others = || {
                        parts
                            .iter()
                            .enumerate()
                            .filter(|(other, _)| *other != i)
                            .map(|(_, part)| part)
                    };
                    let each = |member: Thunk<'a>| {
                        Thunk::All(Rc::new(others().cloned().chain([member]).collect()))
                    };
                    return Type::Union(members.into_iter().map(each).collect());
                }
                // `string & { __brand: 'x' }`: the brand is there for the compiler only.
                of => match &primitive {
                    Some(before) if before.is_a(&of) => {}
                    Some(before) if !of.is_a(before) => return Type::Never,
                    _ => primitive = Some(of),
                },
            }
        }
        match (primitive, object) {
            (Some(primitive), _) => primitive,
            (None, Some(object)) => Type::Object(object),
            (None, None) if some_object => Type::SomeObject,
            (None, None) => Type::Any,
        }
    }

    /// `keyof`.
    fn keys(&self, of: &Thunk<'a>) -> Type<'a> {
        match self.head(of) {
            Type::Object(object) => {
                let mut keys: Vec<_> = object
                    .properties
                    .into_iter()
                    .map(|p| Thunk::known(Type::Text(p.name)))
                    .collect();
                if object.index.is_some() {
                    keys.push(Thunk::known(Type::String));
                }
                Type::Union(keys)
            }
            Type::Array(_) | Type::Tuple(_) => Type::Number,
            of @ Type::Unresolved(_) => of,
            _ => unresolved("keyof needs an object type"),
        }
    }

    /// `Of[Index]`.
    fn indexed(&self, of: &Thunk<'a>, index: &Thunk<'a>) -> Type<'a> {
        let of = self.head(of);
        let mut found = Vec::new();
        for index in self.members(index) {
            match (&of, index) {
                (Type::Unresolved(why), _) => return unresolved(why.clone()),
                (_, Type::Unresolved(why)) => return unresolved(why),
                (Type::Object(object), Type::Text(_) | Type::Numeral(_))
                    if object.properties.is_empty() =>
                {
                    match &object.index {
                        Some(of) => found.push(of.clone()),
                        None => return unresolved("it has no such property"),
                    }
                }
                (Type::Object(object), index @ (Type::Text(_) | Type::Numeral(_))) => {
                    let name = match index {
                        Type::Text(text) => text,
                        Type::Numeral(number) => number.to_string(),
                        _ => unreachable!("matched above"),
                    };
                    match object.properties.iter().find(|p| p.name == name) {
                        Some(property) => {
                            found.push(property.of.clone());
                            if property.optional {
                                found.push(Thunk::known(Type::Undefined));
                            }
                        }
                        None => return unresolved(format!("it has no property {name}")),
                    }
                }
                (
                    Type::Object(Object {
                        index: Some(of), ..
                    }),
                    Type::String | Type::Number,
                ) => found.push(of.clone()),
                (Type::Array(of), Type::Number | Type::Numeral(_)) => found.push(of.clone()),
                (Type::Tuple(elements), Type::Number) => {
                    found.extend(elements.iter().map(|e| e.of.clone()))
                }
                (Type::Tuple(elements), index @ (Type::Numeral(_) | Type::Text(_))) => {
                    let at = match index {
                        Type::Numeral(number) => number.to_string(),
                        Type::Text(text) => text,
                        _ => unreachable!("matched above"),
                    };
                    match at
                        .parse::<usize>()
                        .ok()
                        .and_then(|at| elements.get(at))
                        .filter(|e| !e.rest)
                    {
                        Some(element) => found.push(element.of.clone()),
                        None => return unresolved(format!("the tuple has no element {at}")),
                    }
                }
                _ => return unresolved("this indexed type is not followed"),
            }
        }
        match found.as_slice() {
            [one] => self.head(one),
            _ => Type::Union(found),
        }
    }

    /// `{ [K in Keys]: Of }`.
    fn mapped(&self, mapped: &'a oxc_ast::ast::TSMappedType<'a>, site: &Site<'a>) -> Type<'a> {
        if mapped.name_type.is_some() {
            return unresolved("mapped types that rename their keys are not followed");
        }
        let Some(of) = &mapped.type_annotation else {
            return unresolved("this mapped type has no type");
        };
        // `keyof T` keeps which properties of T are optional.
        let base = match &mapped.constraint {
            TSType::TSTypeOperatorType(operator)
                if operator.operator == TSTypeOperatorOperator::Keyof =>
            {
                match self.head(&Thunk::Node(&operator.type_annotation, site.clone())) {
                    Type::Object(object) => Some(object),
                    _ => None,
                }
            }
            _ => None,
        };
        let keys = Thunk::Node(&mapped.constraint, site.clone());
        let key = mapped.key.name.as_str();
        let Ok(names) = self.names(&keys) else {
            let of = Thunk::Node(of, self.with(site, key, Thunk::known(Type::String)));
            return match self.members(&keys).iter().find_map(Type::why_unresolved) {
                Some(why) => unresolved(why),
                None => Type::Object(Object {
                    properties: Vec::new(),
                    index: Some(of),
                }),
            };
        };
        let property = |name: String| {
            let before = base
                .as_ref()
                .and_then(|base| base.properties.iter().find(|p| p.name == name));
            let optional = match mapped.optional {
                Some(TSMappedTypeModifierOperator::Minus) => false,
                Some(_) => true,
                None => before.is_some_and(|before| before.optional),
            };
            let of = Thunk::Node(
                of,
                self.with(site, key, Thunk::known(Type::Text(name.clone()))),
            );
            let (file, at) = before.map_or((site.file.clone(), mapped.span.start), |before| {
                (before.file.clone(), before.at)
            });
            Property {
                name,
                optional,
                of,
                file,
                at,
            }
        };
        Type::Object(Object {
            properties: names.into_iter().map(property).collect(),
            index: None,
        })
    }

    // ---- Types of values ----------------------------------------------------------------------------------------

    /// `typeof X`.
    fn query(&self, name: &'a TSTypeQueryExprName<'a>, site: &Site<'a>) -> Type<'a> {
        match name {
            TSTypeQueryExprName::IdentifierReference(id) => self.variable(&id.name, site),
            TSTypeQueryExprName::QualifiedName(qualified) => {
                let left = match &qualified.left {
                    TSTypeName::IdentifierReference(id) => {
                        if let Found::Module(file) =
                            self.files.find(&site.file, &id.name, Meaning::Value)
                        {
                            let found =
                                self.files
                                    .exported(&file, &qualified.right.name, Meaning::Value);
                            return self.found_value(found);
                        }
                        self.variable(&id.name, site)
                    }
                    _ => return unresolved("this typeof is not followed"),
                };
                let index = Thunk::known(Type::Text(qualified.right.name.to_string()));
                self.indexed(&Thunk::known(left), &index)
            }
            _ => unresolved("this typeof is not followed"),
        }
    }

    fn variable(&self, name: &str, site: &Site<'a>) -> Type<'a> {
        self.found_value(self.files.find(&site.file, name, Meaning::Value))
    }

    fn found_value(&self, found: Found<'a>) -> Type<'a> {
        match found {
            Found::Value(file, value) => self.type_of(&file, value),
            Found::Not(why) | Found::Undeclared(why) => unresolved(why),
            Found::Sdk(name) => unresolved(format!("{name} is the SDK's")),
            Found::Module(_) => Type::SomeObject,
            Found::Type(..) => unresolved("it is no value"),
        }
    }

    fn type_of(&self, file: &Rc<File<'a>>, value: Value<'a>) -> Type<'a> {
        let site = Site::of(file);
        match value {
            Value::Variable {
                declarator,
                constant,
                ..
            } => match (&declarator.type_annotation, &declarator.init) {
                (Some(annotation), _) => self.head(&Thunk::Node(&annotation.type_annotation, site)),
                (None, Some(init)) => {
                    // The type of a literal itself; what is inside an object or array is widened.
                    let literal = matches!(
                        init,
                        Expression::StringLiteral(_)
                            | Expression::NumericLiteral(_)
                            | Expression::BooleanLiteral(_)
                    );
                    self.head(&Thunk::Value(init, site, constant && literal))
                }
                (None, None) => Type::Any,
            },
            Value::Expression(expression) => self.head(&Thunk::Value(expression, site, false)),
            Value::Function(_) | Value::Class(_) => Type::Function,
            Value::Enum(declared) => {
                let property = |(name, of): (&str, Type<'a>)| Property {
                    name: name.to_owned(),
                    optional: false,
                    of: Thunk::known(of),
                    file: file.clone(),
                    at: declared.span.start,
                };
                Type::Object(Object {
                    properties: self
                        .enum_members(file, declared)
                        .into_iter()
                        .map(property)
                        .collect(),
                    index: None,
                })
            }
        }
    }

    /// The members of an enum, with what they are.
    fn enum_members(
        &self,
        file: &Rc<File<'a>>,
        declared: &'a TSEnumDeclaration<'a>,
    ) -> Vec<(&'a str, Type<'a>)> {
        let site = Site::of(file);
        let mut next = Some(0.0);
        let mut members = Vec::new();
        for member in &declared.body.members {
            let of = match &member.initializer {
                None => next.map_or(Type::Number, Type::Numeral),
                Some(initializer) => {
                    self.constant(initializer, &site, declared.id.name.as_str(), &members)
                }
            };
            next = match of {
                Type::Numeral(number) => Some(number + 1.0),
                _ => None,
            };
            members.push((member.id.static_name().as_str(), of));
        }
        members
    }

    /// What an enum's member is set to; `before` are the members of the enum `own` that stand above
    /// it.
    fn constant(
        &self,
        expression: &'a Expression<'a>,
        site: &Site<'a>,
        own: &str,
        before: &[(&'a str, Type<'a>)],
    ) -> Type<'a> {
        let of = |expression: &'a Expression<'a>| self.constant(expression, site, own, before);
        let member = |name: &str| {
            before
                .iter()
                .find(|(member, _)| *member == name)
                .map(|(_, of)| of.clone())
        };
        match expression {
            Expression::ParenthesizedExpression(inner) => of(&inner.expression),
            Expression::Identifier(id) if let Some(of) = member(&id.name) => of,
            Expression::StaticMemberExpression(access) if matches!(&access.object, Expression::Identifier(id) if id.name == own) =>
            {
                let name = &access.property.name;
                member(name).unwrap_or_else(|| unresolved(format!("{own} has no {name} above it")))
            }
            Expression::BinaryExpression(binary) if binary.operator == BinaryOperator::Addition => {
                match (of(&binary.left), of(&binary.right)) {
                    (Type::Text(a), Type::Text(b)) => Type::Text(a + &b),
                    (a, b) if a.is_a(&Type::String) || b.is_a(&Type::String) => Type::String,
                    (a, b) if a.is_a(&Type::Number) && b.is_a(&Type::Number) => Type::Number,
                    (why @ Type::Unresolved(_), _) | (_, why @ Type::Unresolved(_)) => why,
                    _ => unresolved("what this enum adds is not known"),
                }
            }
            Expression::UnaryExpression(unary) => match (&unary.operator, &unary.argument) {
                (UnaryOperator::UnaryNegation, Expression::NumericLiteral(n)) => {
                    Type::Numeral(-n.value)
                }
                _ => Type::Number,
            },
            Expression::StringLiteral(_)
            | Expression::TemplateLiteral(_)
            | Expression::NumericLiteral(_)
            | Expression::Identifier(_) => self.value(expression, site, true),
            Expression::StaticMemberExpression(access)
                if matches!(&access.object, Expression::Identifier(_)) =>
            {
                self.value(expression, site, true)
            }
            Expression::ComputedMemberExpression(_) => {
                unresolved("what this enum refers to is not followed")
            }
            // All else (`'abc'.length`, a call) is computed when it runs, which only numbers can
            // be.
            _ => Type::Number,
        }
    }

    /// The type of an expression; `narrow` under `as const`.
    fn value(&self, expression: &'a Expression<'a>, site: &Site<'a>, narrow: bool) -> Type<'a> {
        let of = |expression: &'a Expression<'a>| Thunk::Value(expression, site.clone(), narrow);
        match expression {
            Expression::StringLiteral(text) if narrow => Type::Text(text.value.to_string()),
            Expression::NumericLiteral(number) if narrow => Type::Numeral(number.value),
            Expression::BooleanLiteral(truth) if narrow => Type::Truth(truth.value),
            Expression::TemplateLiteral(template) if template.expressions.is_empty() && narrow => {
                Type::Text(template.quasis.first().map_or_else(String::new, |q| {
                    q.value.cooked.as_ref().unwrap_or(&q.value.raw).to_string()
                }))
            }
            Expression::StringLiteral(_) | Expression::TemplateLiteral(_) => Type::String,
            Expression::NumericLiteral(_) => Type::Number,
            Expression::BooleanLiteral(_) => Type::Boolean,
            Expression::BigIntLiteral(_) => Type::BigInt,
            Expression::NullLiteral(_) => Type::Null,
            Expression::Identifier(id) if id.name == "undefined" => Type::Undefined,
            Expression::UnaryExpression(unary) => match (&unary.operator, &unary.argument) {
                (UnaryOperator::UnaryNegation, Expression::NumericLiteral(n)) if narrow => {
                    Type::Numeral(-n.value)
                }
                (
                    UnaryOperator::UnaryNegation | UnaryOperator::UnaryPlus,
                    Expression::NumericLiteral(_),
                ) => Type::Number,
                (UnaryOperator::LogicalNot, _) => Type::Boolean,
                _ => unresolved("the type of this expression is not known"),
            },
            Expression::ParenthesizedExpression(inner) => self.head(&of(&inner.expression)),
            Expression::TSNonNullExpression(inner) => self.head(&of(&inner.expression)),
            Expression::TSSatisfiesExpression(inner) => self.head(&of(&inner.expression)),
            Expression::TSAsExpression(inner) if is_const(&inner.type_annotation) => {
                self.head(&Thunk::Value(&inner.expression, site.clone(), true))
            }
            Expression::TSAsExpression(inner) => {
                self.head(&Thunk::Node(&inner.type_annotation, site.clone()))
            }
            Expression::TSTypeAssertion(inner) if is_const(&inner.type_annotation) => {
                self.head(&Thunk::Value(&inner.expression, site.clone(), true))
            }
            Expression::TSTypeAssertion(inner) => {
                self.head(&Thunk::Node(&inner.type_annotation, site.clone()))
            }
            Expression::ArrowFunctionExpression(_)
            | Expression::FunctionExpression(_)
            | Expression::ClassExpression(_) => Type::Function,
            Expression::NewExpression(new) => match &new.callee {
                Expression::Identifier(id) if id.name == "Date" => Type::Date,
                _ => Type::SomeObject,
            },
            Expression::Identifier(id) => self.variable(&id.name, site),
            Expression::StaticMemberExpression(member) => {
                if let Expression::Identifier(id) = &member.object
                    && let Found::Module(file) =
                        self.files.find(&site.file, &id.name, Meaning::Value)
                {
                    return self.found_value(self.files.exported(
                        &file,
                        &member.property.name,
                        Meaning::Value,
                    ));
                }
                let index = Thunk::known(Type::Text(member.property.name.to_string()));
                self.indexed(&of(&member.object), &index)
            }
            // Object.freeze keeps what it is given.
            Expression::CallExpression(call) => match (&call.callee, &call.arguments[..]) {
                (Expression::StaticMemberExpression(callee), [only])
                    if callee.property.name == "freeze"
                        && matches!(&callee.object, Expression::Identifier(id) if id.name == "Object") =>
                {
                    Argument::as_expression(only).map_or_else(
                        || unresolved("this call is not followed"),
                        |only| self.head(&of(only)),
                    )
                }
                _ => unresolved("what a call gives is not known"),
            },
            Expression::ArrayExpression(array) => {
                let mut elements = Vec::new();
                for element in &array.elements {
                    match element {
                        ArrayExpressionElement::SpreadElement(spread) => {
                            match self.head(&of(&spread.argument)) {
                                Type::Tuple(more) => elements.extend(more),
                                Type::Array(more) => elements.push(Element {
                                    of: more,
                                    optional: false,
                                    rest: true,
                                }),
                                other => return other.or_unresolved("this spread is not followed"),
                            }
                        }
                        ArrayExpressionElement::Elision(_) => {
                            elements.push(Element {
                                of: Thunk::known(Type::Undefined),
                                optional: false,
                                rest: false,
                            });
                        }
                        other => {
                            let Some(expression) = other.as_expression() else {
                                continue;
                            };
                            elements.push(Element {
                                of: of(expression),
                                optional: false,
                                rest: false,
                            });
                        }
                    }
                }
                if narrow {
                    Type::Tuple(elements)
                } else {
                    Type::Array(Thunk::known(Type::Union(
                        elements.into_iter().map(|e| e.of).collect(),
                    )))
                }
            }
            Expression::ObjectExpression(literal) => {
                let mut object = Object::default();
                for property in &literal.properties {
                    match property {
                        ObjectPropertyKind::ObjectProperty(property) => {
                            let Some(name) = self.key_name(&property.key, site) else {
                                return unresolved("an object has a name that is not known");
                            };
                            object.add(Property {
                                name,
                                optional: false,
                                of: of(&property.value),
                                file: site.file.clone(),
                                at: property.span.start,
                            });
                        }
                        ObjectPropertyKind::SpreadProperty(spread) => {
                            match self.head(&of(&spread.argument)) {
                                Type::Object(more) => object.inherit(more),
                                other => return other.or_unresolved("this spread is not followed"),
                            }
                        }
                    }
                }
                Type::Object(object)
            }
            _ => unresolved("the type of this expression is not known"),
        }
    }
}

/// `as const`.
fn is_const(of: &TSType<'_>) -> bool {
    matches!(of, TSType::TSTypeReference(reference)
        if matches!(&reference.type_name, TSTypeName::IdentifierReference(id) if id.name == "const"))
}

fn element_of<'a>(element: &'a TSTupleElement<'a>, site: &Site<'a>) -> Element<'a> {
    let thunk = |of: &'a TSType<'a>| Thunk::Node(of, site.clone());
    match element {
        TSTupleElement::TSOptionalType(of) => Element {
            of: thunk(&of.type_annotation),
            optional: true,
            rest: false,
        },
        TSTupleElement::TSRestType(of) => {
            // `...T[]` is any number of T.
            let of = match &of.type_annotation {
                TSType::TSArrayType(array) => thunk(&array.element_type),
                _ => Thunk::known(Type::Any),
            };
            Element {
                of,
                optional: false,
                rest: true,
            }
        }
        TSTupleElement::TSNamedTupleMember(member) => {
            let inner = element_of(&member.element_type, site);
            Element {
                optional: member.optional || inner.optional,
                ..inner
            }
        }
        other => match other.as_ts_type() {
            Some(of) => Element {
                of: thunk(of),
                optional: false,
                rest: false,
            },
            None => Element {
                of: Thunk::known(Type::Any),
                optional: false,
                rest: false,
            },
        },
    }
}

impl<'a> Object<'a> {
    fn add(&mut self, property: Property<'a>) {
        match self.properties.iter_mut().find(|p| p.name == property.name) {
            Some(before) => *before = property,
            None => self.properties.push(property),
        }
    }

    /// Takes over the properties of another, which go before those of the same name.
    fn inherit(&mut self, other: Self) {
        other
            .properties
            .into_iter()
            .for_each(|property| self.add(property));
        self.index = other.index.or(self.index.take());
    }

    /// What both say.
    fn intersect(&mut self, other: Self) {
        for property in other.properties {
            match self.properties.iter_mut().find(|p| p.name == property.name) {
                Some(before) => {
                    before.optional &= property.optional;
                    before.of = Thunk::All(Rc::new(vec![before.of.clone(), property.of]));
                }
                None => self.properties.push(property),
            }
        }
        self.index = self.index.take().or(other.index);
    }
}

impl Type<'_> {
    /// Why it is not known, if it is not.
    pub fn why_unresolved(&self) -> Option<String> {
        match self {
            Self::Unresolved(why) => Some(why.clone()),
            _ => None,
        }
    }

    fn or_unresolved(self, why: &str) -> Self {
        match self {
            of @ Self::Unresolved(_) => of,
            _ => Self::Unresolved(why.to_owned()),
        }
    }

    /// Whether every value of it is one of `other`, where both are simple.
    fn is_a(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Any) => true,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Numeral(a), Self::Numeral(b)) => a == b,
            (Self::Truth(a), Self::Truth(b)) => a == b,
            (Self::Text(_) | Self::Template | Self::String, Self::String) => true,
            (Self::Template, Self::Template) | (Self::Text(_), Self::Template) => true,
            (Self::Numeral(_) | Self::Number, Self::Number) => true,
            (Self::Truth(_) | Self::Boolean, Self::Boolean) => true,
            (Self::Null, Self::Null)
            | (Self::Undefined, Self::Undefined)
            | (Self::Date, Self::Date) => true,
            (Self::BigInt, Self::BigInt)
            | (Self::Symbol, Self::Symbol)
            | (Self::User, Self::User) => true,
            (Self::Function, Self::Function) => true,
            _ => false,
        }
    }
}
