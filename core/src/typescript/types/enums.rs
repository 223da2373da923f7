//! The members of enums.

use crate::typescript::{
    files::File,
    types::{
        Types,
        model::{Site, Type, unresolved},
    },
};
use oxc_ast::ast::{BinaryOperator, Expression, TSEnumDeclaration, UnaryOperator};
use std::rc::Rc;

impl<'a> Types<'_, 'a> {
    /// The members of an enum, with what they are.
    pub(super) fn enum_members(
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
}
