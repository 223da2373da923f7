//! Values that are known before the code runs: literals, and constants that are set to one.

use crate::typescript::{
    files::{File, Files, Meaning, Resolution},
    scope::Value,
};
use oxc_ast::ast::{Expression, ObjectPropertyKind, PropertyKey, UnaryOperator};
use std::rc::Rc;

/// An expression without what is for the compiler only.
pub(super) fn plain<'e, 'a>(expression: &'e Expression<'a>) -> &'e Expression<'a> {
    match expression {
        Expression::ParenthesizedExpression(inner) => plain(&inner.expression),
        Expression::TSAsExpression(inner) => plain(&inner.expression),
        Expression::TSSatisfiesExpression(inner) => plain(&inner.expression),
        Expression::TSTypeAssertion(inner) => plain(&inner.expression),
        Expression::TSNonNullExpression(inner) => plain(&inner.expression),
        other => other,
    }
}

/// The value of an expression, where it is a literal or a const that is one.
pub(super) fn constant<'a>(
    files: &Files<'a>,
    file: &Rc<File<'a>>,
    expression: &Expression<'a>,
) -> Option<serde_json::Value> {
    follow_constant(files, file, expression, 20)
}

fn follow_constant<'a>(
    files: &Files<'a>,
    file: &Rc<File<'a>>,
    expression: &Expression<'a>,
    depth: u32,
) -> Option<serde_json::Value> {
    use serde_json::Value as Json;
    let depth = depth.checked_sub(1)?;
    Some(match plain(expression) {
        Expression::StringLiteral(text) => Json::String(text.value.to_string()),
        Expression::TemplateLiteral(template) if template.expressions.is_empty() => {
            Json::String(template.quasis.first()?.value.cooked.as_ref()?.to_string())
        }
        Expression::NumericLiteral(number) => number_json(number.value)?,
        Expression::BooleanLiteral(truth) => Json::Bool(truth.value),
        Expression::NullLiteral(_) => Json::Null,
        Expression::UnaryExpression(unary) => {
            let value = follow_constant(files, file, &unary.argument, depth)?;
            match (unary.operator, value) {
                (UnaryOperator::UnaryNegation, Json::Number(n)) => number_json(-n.as_f64()?)?,
                (UnaryOperator::UnaryPlus, value @ Json::Number(_)) => value,
                _ => return None,
            }
        }
        Expression::ArrayExpression(array) => Json::Array(
            array
                .elements
                .iter()
                .map(|element| follow_constant(files, file, element.as_expression()?, depth))
                .collect::<Option<_>>()?,
        ),
        Expression::ObjectExpression(object) => {
            let mut map = serde_json::Map::new();
            for property in &object.properties {
                let ObjectPropertyKind::ObjectProperty(property) = property else {
                    return None;
                };
                let name = PropertyKey::static_name(&property.key)?.into_owned();
                map.insert(name, follow_constant(files, file, &property.value, depth)?);
            }
            Json::Object(map)
        }
        Expression::Identifier(id) => match files.find(file, &id.name, Meaning::Value) {
            Resolution::Value(
                file,
                Value::Variable {
                    declarator,
                    constant: true,
                    ..
                },
            ) => follow_constant(files, &file, declarator.init.as_ref()?, depth)?,
            _ => return None,
        },
        _ => return None,
    })
}

fn number_json(number: f64) -> Option<serde_json::Value> {
    // As JavaScript writes it: whole numbers without a fraction.
    if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and small enough")]
        return Some(serde_json::Value::from(number as i64));
    }
    serde_json::Number::from_f64(number).map(serde_json::Value::Number)
}
