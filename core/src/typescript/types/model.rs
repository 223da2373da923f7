//! What a type is made of, and what is known of one without looking at others.

use crate::typescript::{files::File, scope::TypeDeclaration};
use oxc_ast::ast::{Expression, TSType};
use std::{collections::HashMap, rc::Rc};

/// What type parameters mean, by their names.
pub(super) type TypeParameters<'a> = HashMap<&'a str, Thunk<'a>>;

/// Where a type stands: its file, and what its type parameters mean.
#[derive(Clone)]
pub(in crate::typescript) struct Site<'a> {
    pub file: Rc<File<'a>>,
    pub(super) parameters: Option<Rc<TypeParameters<'a>>>,
}

/// A type that has not been looked at yet.
#[derive(Clone)]
pub(in crate::typescript) enum Thunk<'a> {
    Node(&'a TSType<'a>, Site<'a>),
    /// The type of a value; `true` where `as const` narrows it.
    Value(&'a Expression<'a>, Site<'a>, bool),
    Named(NamedType<'a>),
    Known(Box<Type<'a>>),
    All(Rc<Vec<Thunk<'a>>>),
}

/// A declaration that a reference was followed to.
#[derive(Clone)]
pub(in crate::typescript) struct NamedType<'a> {
    pub name: &'a str,
    pub(super) declaration: TypeDeclaration<'a>,
    pub(super) site: Site<'a>,
    /// Which one it is, with its type arguments.
    pub key: String,
    /// Where its JSDoc stands, unless it is exported.
    pub at: u32,
}

/// A type, one level deep.
#[derive(Clone)]
pub(in crate::typescript) enum Type<'a> {
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
pub(in crate::typescript) struct Object<'a> {
    pub properties: Vec<Property<'a>>,
    /// What other properties may be.
    pub index: Option<Thunk<'a>>,
}

/// A property of an object type.
#[derive(Clone)]
pub(in crate::typescript) struct Property<'a> {
    pub name: String,
    pub optional: bool,
    pub of: Thunk<'a>,
    /// Where it stands.
    pub file: Rc<File<'a>>,
    pub at: u32,
}

/// An element of a tuple.
#[derive(Clone)]
pub(in crate::typescript) struct Element<'a> {
    pub of: Thunk<'a>,
    pub optional: bool,
    pub rest: bool,
}

pub(super) fn unresolved<'a>(why: impl Into<String>) -> Type<'a> {
    Type::Unresolved(why.into())
}

impl<'a> Thunk<'a> {
    pub(super) fn known(of: Type<'a>) -> Self {
        Self::Known(Box::new(of))
    }

    /// Equal for types that are one and the same.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Node(node, site) => format!("{:p}{}", *node, site.key()),
            Self::Value(node, site, narrow) => format!("{:p}{}{narrow}", *node, site.key()),
            Self::Named(named) => named.key.clone(),
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

    pub(super) fn key(&self) -> String {
        self.parameters
            .as_ref()
            .map_or_else(String::new, |parameters| {
                format!("@{:p}", Rc::as_ptr(parameters))
            })
    }

    pub(super) fn parameter(&self, name: &str) -> Option<Thunk<'a>> {
        self.parameters.as_ref()?.get(name).cloned()
    }
}

impl<'a> NamedType<'a> {
    /// The file that declares it.
    pub fn site_file(&self) -> &File<'a> {
        &self.site.file
    }
}

impl<'a> Object<'a> {
    pub(super) fn add(&mut self, property: Property<'a>) {
        match self.properties.iter_mut().find(|p| p.name == property.name) {
            Some(before) => *before = property,
            None => self.properties.push(property),
        }
    }

    /// Takes over the properties of another, which go before those of the same name.
    pub(super) fn inherit(&mut self, other: Self) {
        other
            .properties
            .into_iter()
            .for_each(|property| self.add(property));
        self.index = other.index.or(self.index.take());
    }

    /// What both say.
    pub(super) fn intersect(&mut self, other: Self) {
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

    pub(super) fn or_unresolved(self, why: &str) -> Self {
        match self {
            of @ Self::Unresolved(_) => of,
            _ => Self::Unresolved(why.to_owned()),
        }
    }

    /// Whether every value of it is one of `other`, where both are simple.
    pub(super) fn is_a(&self, other: &Self) -> bool {
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
