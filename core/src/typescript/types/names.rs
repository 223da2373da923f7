//! Types that are known by a name: the name is followed to its declaration, and type arguments are
//! put in.

use crate::typescript::{
    files::{File, Meaning, Resolution},
    globals,
    scope::TypeDeclaration,
    types::{
        Types, Undeclared,
        model::{NamedType, Object, Site, Thunk, Type, unresolved},
    },
};
use oxc_ast::ast::{TSType, TSTypeName, TSTypeParameterDeclaration, TSTypeParameterInstantiation};
use std::rc::Rc;

impl<'a> Types<'_, 'a> {
    /// The declaration that a type is a reference to, if it is one.
    pub fn reference(&self, thunk: &Thunk<'a>) -> Option<NamedType<'a>> {
        match thunk {
            Thunk::Named(named) => Some(named.clone()),
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
                    Resolution::Type(file, declaration) => {
                        let arguments = arguments_of(reference.type_arguments.as_deref());
                        self.apply(file, declaration, arguments, site).ok()
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// What a name in a type stands for.
    pub(super) fn follow(&self, name: &TSTypeName<'a>, site: &Site<'a>) -> Resolution<'a> {
        match name {
            TSTypeName::IdentifierReference(id) => {
                self.files.find(&site.file, &id.name, Meaning::Type)
            }
            TSTypeName::QualifiedName(name) => {
                self.member(self.follow(&name.left, site), &name.right.name)
            }
            TSTypeName::ThisExpression(_) => {
                Resolution::Unresolved("this is not a type of its own".into())
            }
        }
    }

    /// `of.name`.
    pub(super) fn member(&self, of: Resolution<'a>, name: &str) -> Resolution<'a> {
        match of {
            Resolution::Module(file) => self.files.exported(&file, name, Meaning::Type),
            Resolution::Sdk(all) if all == "*" => Resolution::Sdk(name.to_owned()),
            Resolution::Type(file, TypeDeclaration::Namespace(space)) => {
                match space.exported_type(name) {
                    Some(declaration) => Resolution::Type(file, declaration),
                    None => Resolution::Unresolved(format!("the namespace does not export {name}")),
                }
            }
            not @ (Resolution::Unresolved(_) | Resolution::Undeclared(_)) => not,
            _ => Resolution::Unresolved(format!("{name} is not to be found there")),
        }
    }

    /// A declaration with its type arguments.
    pub(super) fn apply(
        &self,
        file: Rc<File<'a>>,
        declaration: TypeDeclaration<'a>,
        args: &'a [TSType<'a>],
        from: &Site<'a>,
    ) -> Result<NamedType<'a>, String> {
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
        Ok(NamedType {
            name,
            declaration,
            site,
            key,
            at,
        })
    }

    /// What a declaration is with its type arguments.
    pub(super) fn applied(
        &self,
        file: Rc<File<'a>>,
        declaration: TypeDeclaration<'a>,
        args: &'a [TSType<'a>],
        from: &Site<'a>,
    ) -> Type<'a> {
        match self.apply(file, declaration, args, from) {
            Ok(named) => self.head(&Thunk::Named(named)),
            Err(why) => unresolved(why),
        }
    }

    /// The site with one more type parameter.
    pub(super) fn with(&self, site: &Site<'a>, name: &'a str, of: Thunk<'a>) -> Site<'a> {
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
    pub(super) fn argument(&self, arg: &'a TSType<'a>, from: &Site<'a>) -> Thunk<'a> {
        if let TSType::TSTypeReference(reference) = arg
            && let TSTypeName::IdentifierReference(id) = &reference.type_name
            && let Some(of) = from.parameter(&id.name)
        {
            return of;
        }
        Thunk::Node(arg, from.clone())
    }

    /// What a name that was followed stands for.
    pub(super) fn named_type(&self, named: &NamedType<'a>) -> Type<'a> {
        let site = &named.site;
        match &named.declaration {
            TypeDeclaration::Alias(alias) => {
                self.head(&Thunk::Node(&alias.type_annotation, site.clone()))
            }
            TypeDeclaration::Interface(all) => {
                let mut object = Object::default();
                for base in all.iter().flat_map(|interface| &interface.extends) {
                    let arguments = arguments_of(base.type_arguments.as_deref());
                    match self.named(&base.type_name, arguments, site) {
                        Type::Object(base) => object.inherit(base),
                        Type::SomeObject => {}
                        Type::Unresolved(why) => {
                            return unresolved(format!(
                                "{} extends what is not known: {why}",
                                named.name
                            ));
                        }
                        _ => {
                            return unresolved(format!(
                                "{} extends what is no object type",
                                named.name
                            ));
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
    pub(super) fn named(
        &self,
        name: &TSTypeName<'a>,
        args: &'a [TSType<'a>],
        site: &Site<'a>,
    ) -> Type<'a> {
        if let TSTypeName::IdentifierReference(id) = name
            && let Some(of) = site.parameter(&id.name)
        {
            return self.head(&of);
        }
        // `Status.Active`
        if let TSTypeName::QualifiedName(qualified) = name
            && let Resolution::Type(file, TypeDeclaration::Enum(declared)) =
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
            Resolution::Type(file, declaration) => self.applied(file, declaration, args, site),
            Resolution::Sdk(name) if name == "User" => Type::User,
            Resolution::Sdk(name) => {
                unresolved(format!("{name} of the SDK is not a type of a column"))
            }
            Resolution::Value(..) | Resolution::Module(_) => unresolved("it is no type"),
            Resolution::Undeclared(why) => {
                let builtin = match name {
                    TSTypeName::IdentifierReference(id) => self.builtin(&id.name, args, site),
                    _ => None,
                };
                builtin.unwrap_or_else(|| self.undeclared(name, site, why))
            }
            Resolution::Unresolved(why) => unresolved(why),
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
}

/// The type arguments that a reference gives.
pub(super) fn arguments_of<'a>(
    given: Option<&'a TSTypeParameterInstantiation<'a>>,
) -> &'a [TSType<'a>] {
    given.map_or(&[], |given| &given.params)
}
