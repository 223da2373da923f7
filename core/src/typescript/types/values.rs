//! The types of values: `typeof x`, and what stands behind a `const`.

use crate::typescript::{
    files::{File, Meaning, Resolution},
    scope::Value,
    types::{
        Types,
        model::{Element, Object, Property, Site, Thunk, Type, unresolved},
    },
};
use oxc_ast::ast::{
    Argument, ArrayExpression, ArrayExpressionElement, Expression, ObjectExpression,
    ObjectPropertyKind, TSType, TSTypeName, TSTypeQueryExprName, UnaryOperator,
};
use std::rc::Rc;

impl<'a> Types<'_, 'a> {
    /// `typeof X`.
    pub(super) fn query(&self, name: &'a TSTypeQueryExprName<'a>, site: &Site<'a>) -> Type<'a> {
        match name {
            TSTypeQueryExprName::IdentifierReference(id) => self.variable(&id.name, site),
            TSTypeQueryExprName::QualifiedName(qualified) => {
                let left = match &qualified.left {
                    TSTypeName::IdentifierReference(id) => {
                        if let Some(of) = self.exported_value(&id.name, &qualified.right.name, site)
                        {
                            return of;
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

    /// What `module` exports as `name`, if `module` is one: `import * as module`.
    fn exported_value(&self, module: &str, name: &str, site: &Site<'a>) -> Option<Type<'a>> {
        let found = self.files.find(&site.file, module, Meaning::Value);
        let Resolution::Module(file) = found else {
            return None;
        };
        let found = self.files.exported(&file, name, Meaning::Value);
        Some(self.found_value(found))
    }

    fn found_value(&self, found: Resolution<'a>) -> Type<'a> {
        match found {
            Resolution::Value(file, value) => self.type_of(&file, value),
            Resolution::Unresolved(why) | Resolution::Undeclared(why) => unresolved(why),
            Resolution::Sdk(name) => unresolved(format!("{name} is the SDK's")),
            Resolution::Module(_) => Type::SomeObject,
            Resolution::Type(..) => unresolved("it is no value"),
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

    /// The type of an expression; `narrow` under `as const`.
    pub(super) fn value(
        &self,
        expression: &'a Expression<'a>,
        site: &Site<'a>,
        narrow: bool,
    ) -> Type<'a> {
        let of = |expression: &'a Expression<'a>| Thunk::Value(expression, site.clone(), narrow);
        match expression {
            Expression::ParenthesizedExpression(inner) => self.head(&of(&inner.expression)),
            Expression::TSNonNullExpression(inner) => self.head(&of(&inner.expression)),
            Expression::TSSatisfiesExpression(inner) => self.head(&of(&inner.expression)),
            Expression::TSAsExpression(inner) => {
                self.asserted(&inner.expression, &inner.type_annotation, site)
            }
            Expression::TSTypeAssertion(inner) => {
                self.asserted(&inner.expression, &inner.type_annotation, site)
            }
            Expression::ArrowFunctionExpression(_)
            | Expression::FunctionExpression(_)
            | Expression::ClassExpression(_) => Type::Function,
            Expression::NewExpression(new) => match &new.callee {
                Expression::Identifier(id) if id.name == "Date" => Type::Date,
                _ => Type::SomeObject,
            },
            Expression::Identifier(id) if id.name == "undefined" => Type::Undefined,
            Expression::Identifier(id) => self.variable(&id.name, site),
            Expression::StaticMemberExpression(member) => {
                if let Expression::Identifier(id) = &member.object
                    && let Some(of) = self.exported_value(&id.name, &member.property.name, site)
                {
                    return of;
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
            Expression::ArrayExpression(array) => self.array(array, site, narrow),
            Expression::ObjectExpression(object) => self.object(object, site, narrow),
            other => literal(other, narrow)
                .unwrap_or_else(|| unresolved("the type of this expression is not known")),
        }
    }

    /// `expression as annotation`.
    fn asserted(
        &self,
        expression: &'a Expression<'a>,
        annotation: &'a TSType<'a>,
        site: &Site<'a>,
    ) -> Type<'a> {
        self.head(&if is_const(annotation) {
            Thunk::Value(expression, site.clone(), true)
        } else {
            Thunk::Node(annotation, site.clone())
        })
    }

    fn array(&self, array: &'a ArrayExpression<'a>, site: &Site<'a>, narrow: bool) -> Type<'a> {
        let one = |of: Thunk<'a>| Element {
            of,
            optional: false,
            rest: false,
        };
        let of = |expression: &'a Expression<'a>| Thunk::Value(expression, site.clone(), narrow);
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
                    elements.push(one(Thunk::known(Type::Undefined)));
                }
                other => elements.extend(other.as_expression().map(of).map(one)),
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

    fn object(&self, literal: &'a ObjectExpression<'a>, site: &Site<'a>, narrow: bool) -> Type<'a> {
        let of = |expression: &'a Expression<'a>| Thunk::Value(expression, site.clone(), narrow);
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
}

/// The type of a literal, or of an operator that is applied to one.
fn literal<'a>(expression: &Expression<'_>, narrow: bool) -> Option<Type<'a>> {
    Some(match expression {
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
        Expression::UnaryExpression(unary) => match (&unary.operator, &unary.argument) {
            (UnaryOperator::UnaryNegation, Expression::NumericLiteral(n)) if narrow => {
                Type::Numeral(-n.value)
            }
            (
                UnaryOperator::UnaryNegation | UnaryOperator::UnaryPlus,
                Expression::NumericLiteral(_),
            ) => Type::Number,
            (UnaryOperator::LogicalNot, _) => Type::Boolean,
            _ => return None,
        },
        _ => return None,
    })
}

/// `as const`.
fn is_const(of: &TSType<'_>) -> bool {
    matches!(of, TSType::TSTypeReference(reference)
        if matches!(&reference.type_name, TSTypeName::IdentifierReference(id) if id.name == "const"))
}
