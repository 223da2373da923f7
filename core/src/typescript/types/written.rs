//! Types as they are written: keywords, literals, objects, unions, `keyof T`, `T[K]`.

use crate::typescript::{
    files::Resolution,
    types::{
        Types,
        model::{Element, Object, Property, Site, Thunk, Type, unresolved},
        names::arguments_of,
    },
};
use oxc_ast::ast::{
    Expression, PropertyKey, TSImportType, TSImportTypeQualifier, TSLiteral, TSMappedType,
    TSMappedTypeModifierOperator, TSSignature, TSTupleElement, TSType, TSTypeOperatorOperator,
    UnaryOperator,
};
use std::rc::Rc;

impl<'a> Types<'_, 'a> {
    /// A type as it is written.
    pub(super) fn node(&self, node: &'a TSType<'a>, site: &Site<'a>) -> Type<'a> {
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
            TSType::TSLiteralType(literal) => literal_type(&literal.literal),
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
                let arguments = arguments_of(reference.type_arguments.as_deref());
                self.named(&reference.type_name, arguments, site)
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
            TSType::TSImportType(import) => self.import_type(import, site),
            TSType::TSConditionalType(_) | TSType::TSInferType(_) => {
                unresolved("conditional types are not followed")
            }
            _ => unresolved("this kind of type is not followed"),
        }
    }

    /// `import('./x').Name`.
    fn import_type(&self, import: &'a TSImportType<'a>, site: &Site<'a>) -> Type<'a> {
        let mut found = self.files.imported(&site.file, &import.source.value);
        let Some(mut qualifier) = import.qualifier.as_ref() else {
            return Type::SomeObject;
        };
        let mut path = Vec::new();
        loop {
            match qualifier {
                TSImportTypeQualifier::Identifier(id) => {
                    path.push(id.name.as_str());
                    break;
                }
                TSImportTypeQualifier::QualifiedName(name) => {
                    path.push(name.right.name.as_str());
                    qualifier = &name.left;
                }
            }
        }
        for name in path.into_iter().rev() {
            found = self.member(found, name);
        }
        match found {
            Resolution::Type(file, declaration) => {
                let arguments = arguments_of(import.type_arguments.as_deref());
                self.applied(file, declaration, arguments, site)
            }
            Resolution::Sdk(name) if name == "User" => Type::User,
            Resolution::Unresolved(why) | Resolution::Undeclared(why) => unresolved(why),
            _ => unresolved("this import is no type"),
        }
    }

    /// The members of an interface or an object type.
    pub(super) fn signatures(&self, members: &'a [TSSignature<'a>], site: &Site<'a>) -> Object<'a> {
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

    /// The name of a property, if it is known before the code runs.
    pub(super) fn key_name(&self, key: &'a PropertyKey<'a>, site: &Site<'a>) -> Option<String> {
        if let Some(name) = key.static_name() {
            return Some(name.into_owned());
        }
        match self.value(key.as_expression()?, site, true) {
            Type::Text(text) => Some(text),
            Type::Numeral(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// `A & B`.
    pub(super) fn intersection(&self, parts: &[Thunk<'a>]) -> Type<'a> {
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
    pub(super) fn indexed(&self, of: &Thunk<'a>, index: &Thunk<'a>) -> Type<'a> {
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
    fn mapped(&self, mapped: &'a TSMappedType<'a>, site: &Site<'a>) -> Type<'a> {
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
}

fn literal_type<'a>(literal: &TSLiteral<'_>) -> Type<'a> {
    match literal {
        TSLiteral::BooleanLiteral(of) => Type::Truth(of.value),
        TSLiteral::NumericLiteral(of) => Type::Numeral(of.value),
        TSLiteral::BigIntLiteral(_) => Type::BigInt,
        TSLiteral::StringLiteral(of) => Type::Text(of.value.to_string()),
        TSLiteral::TemplateLiteral(_) => Type::Template,
        TSLiteral::UnaryExpression(of) => match (&of.operator, &of.argument) {
            (UnaryOperator::UnaryNegation, Expression::NumericLiteral(n)) => {
                Type::Numeral(-n.value)
            }
            (UnaryOperator::UnaryPlus, Expression::NumericLiteral(n)) => Type::Numeral(n.value),
            (_, Expression::BigIntLiteral(_)) => Type::BigInt,
            _ => unresolved("this literal is not understood"),
        },
    }
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
