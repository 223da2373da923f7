//! What one arrow means.

use oxc_ast::ast::{
    Argument, ArrayExpressionElement, ArrowFunctionBody, ArrowFunctionExpression, BinaryExpression,
    BinaryOperator, BindingPattern, CallExpression, ChainElement, Expression, LogicalOperator,
    PropertyKey, Statement, UnaryOperator,
};
use oxc_span::GetSpan;
use serde_json::{Value, json};

/// An arrow that means something of a row.
pub(super) struct Predicate {
    /// Which rows. Places of values are `{"at": index}` of `values`, or `{"bound": path}`.
    pub tree: Value,
    /// Expressions of what it closes over, as they stand in the arrow. Reading them does nothing.
    pub values: Vec<String>,
}

impl Predicate {
    /// `None` where it is not sure what the arrow means, or it may do something besides.
    pub fn of(arrow: &ArrowFunctionExpression<'_>, text: &str) -> Option<Self> {
        if arrow.r#async || arrow.params.rest.is_some() {
            return None;
        }
        let mut reading = Reading {
            text,
            row: None,
            columns: Vec::new(),
            bindings: None,
            values: Vec::new(),
        };
        reading.parameters(arrow)?;
        let body = match &arrow.body {
            ArrowFunctionBody::FunctionBody(body) => match body.statements.as_slice() {
                [Statement::ReturnStatement(only)] if body.directives.is_empty() => {
                    only.argument.as_ref()?
                }
                _ => return None,
            },
            body => body.as_expression()?,
        };
        let tree = reading.condition(body)?;
        Some(Self {
            tree,
            values: reading.values,
        })
    }
}

struct Reading<'t> {
    text: &'t str,
    /// What the arrow calls the row.
    row: Option<String>,
    /// Names that the arrow takes out of the row, with the column of each.
    columns: Vec<(String, String)>,
    /// What it calls the bindings.
    bindings: Option<String>,
    values: Vec<String>,
}

impl Reading<'_> {
    fn parameters(&mut self, arrow: &ArrowFunctionExpression<'_>) -> Option<()> {
        let plain = |i: usize| match arrow.params.items.get(i) {
            Some(item) if item.initializer.is_none() => Some(&item.pattern),
            _ => None,
        };
        match plain(0)? {
            BindingPattern::BindingIdentifier(id) => self.row = Some(id.name.to_string()),
            BindingPattern::ObjectPattern(pattern) if pattern.rest.is_none() => {
                for property in &pattern.properties {
                    let PropertyKey::StaticIdentifier(key) = &property.key else {
                        return None;
                    };
                    // One with a value of its own where there is none is another pattern.
                    let BindingPattern::BindingIdentifier(name) = &property.value else {
                        return None;
                    };
                    self.columns
                        .push((name.name.to_string(), key.name.to_string()));
                }
            }
            _ => return None,
        }
        match arrow.params.items.len() {
            1 => {}
            2 => match plain(1)? {
                BindingPattern::BindingIdentifier(id) => self.bindings = Some(id.name.to_string()),
                _ => return None,
            },
            _ => return None,
        }
        Some(())
    }

    /// What decides, by being true to JavaScript or not.
    fn condition(&mut self, of: &Expression<'_>) -> Option<Value> {
        if let Some(column) = self.column(of) {
            return Some(json!({ "truthy": column }));
        }
        match of {
            Expression::ParenthesizedExpression(inner) => self.condition(&inner.expression),
            Expression::UnaryExpression(unary) if unary.operator == UnaryOperator::LogicalNot => {
                Some(json!({ "not": self.condition(&unary.argument)? }))
            }
            Expression::LogicalExpression(logical) => {
                let kind = match logical.operator {
                    LogicalOperator::And => "and",
                    LogicalOperator::Or => "or",
                    LogicalOperator::Coalesce => return None,
                };
                let parts = [&logical.left, &logical.right];
                let [left, right] = parts.map(|part| self.condition(part));
                Some(json!({ kind: [left?, right?] }))
            }
            Expression::ConditionalExpression(conditional) => {
                let test = self.value(&conditional.test)?;
                let then = self.condition(&conditional.consequent)?;
                Some(json!({ "if": [test, then, self.condition(&conditional.alternate)?] }))
            }
            Expression::BinaryExpression(binary) => self.comparison(binary),
            Expression::CallExpression(call) => self.call(call),
            Expression::ChainExpression(chain) => match &chain.expression {
                ChainElement::CallExpression(call) => self.call(call),
                _ => None,
            },
            other => Some(json!({ "constant": self.value(other)? })),
        }
    }

    fn comparison(&mut self, binary: &BinaryExpression<'_>) -> Option<Value> {
        let (left, right) = (self.column(&binary.left), self.column(&binary.right));
        let (column, value, swapped) = match (left, right) {
            (Some(a), Some(b)) => {
                let same = json!({ "same": [a, b] });
                return match binary.operator {
                    BinaryOperator::StrictEquality => Some(same),
                    BinaryOperator::StrictInequality => Some(json!({ "not": same })),
                    _ => None,
                };
            }
            (Some(column), None) => (column, &binary.right, false),
            (None, Some(column)) => (column, &binary.left, true),
            (None, None) => return None,
        };
        let not = |of: Value| json!({ "not": of });
        let (less, more) = (["<", "<="], [">", ">="]);
        let sign = |at: usize, greater: bool| {
            if greater == swapped {
                less[at]
            } else {
                more[at]
            }
        };
        let sign = match binary.operator {
            BinaryOperator::StrictEquality => return self.equal(&column, value),
            BinaryOperator::StrictInequality => return self.equal(&column, value).map(not),
            BinaryOperator::Equality if is_nothing(value) => {
                return Some(json!({ "missing": column }));
            }
            BinaryOperator::Inequality if is_nothing(value) => {
                return Some(not(json!({ "missing": column })));
            }
            BinaryOperator::LessThan => sign(0, false),
            BinaryOperator::LessEqualThan => sign(1, false),
            BinaryOperator::GreaterThan => sign(0, true),
            BinaryOperator::GreaterEqualThan => sign(1, true),
            _ => return None,
        };
        Some(json!({ "compare": [column, sign, self.value(value)?] }))
    }

    /// `===`. No column is `undefined`, so that such a comparison is a mistake, and left as it is.
    fn equal(&mut self, column: &str, value: &Expression<'_>) -> Option<Value> {
        if is_undefined(value) {
            return None;
        }
        Some(json!({ "equal": [column, self.value(value)?] }))
    }

    /// `list.includes(row.column)`, `set.has(row.column)`, `row.column.includes(text)`.
    fn call(&mut self, call: &CallExpression<'_>) -> Option<Value> {
        let Expression::StaticMemberExpression(callee) = &call.callee else {
            return None;
        };
        let [argument] = call.arguments.as_slice() else {
            return None;
        };
        let argument = Argument::as_expression(argument)?;
        let verb = callee.property.name.as_str();
        if let Some(column) = self.column(&callee.object) {
            let place = match verb {
                "includes" => "anywhere",
                "startsWith" => "start",
                "endsWith" => "end",
                _ => return None,
            };
            return Some(json!({ "text": [column, place, self.value(argument)?] }));
        }
        let column = self.column(argument)?;
        if !matches!(verb, "includes" | "has") {
            return None;
        }
        Some(json!({ "in": [column, self.value(&callee.object)?] }))
    }

    /// The column that an expression reads, and nothing else.
    fn column(&self, of: &Expression<'_>) -> Option<String> {
        match of {
            Expression::Identifier(id) => {
                let found = self
                    .columns
                    .iter()
                    .find(|(name, _)| name == id.name.as_str());
                found.map(|(_, column)| column.clone())
            }
            Expression::StaticMemberExpression(member) => self
                .is_row(&member.object)
                .then(|| member.property.name.to_string()),
            Expression::ComputedMemberExpression(member) => match &member.expression {
                Expression::StringLiteral(name) => {
                    self.is_row(&member.object).then(|| name.value.to_string())
                }
                _ => None,
            },
            Expression::ChainExpression(chain) => match &chain.expression {
                ChainElement::StaticMemberExpression(member) => self
                    .is_row(&member.object)
                    .then(|| member.property.name.to_string()),
                _ => None,
            },
            Expression::ParenthesizedExpression(inner) => self.column(&inner.expression),
            _ => None,
        }
    }

    fn is_row(&self, of: &Expression<'_>) -> bool {
        matches!(of, Expression::Identifier(id) if self.row.as_deref() == Some(id.name.as_str()))
    }

    /// The place of a value that has nothing to do with the row.
    fn value(&mut self, of: &Expression<'_>) -> Option<Value> {
        if let Some(path) = self.bound(of) {
            return (!path.is_empty()).then(|| json!({ "bound": path }));
        }
        if !self.is_plain(of) {
            return None;
        }
        let span = of.span();
        self.values
            .push(self.text[span.start as usize..span.end as usize].to_owned());
        Some(json!({ "at": self.values.len() - 1 }))
    }

    /// The path of `$.a.b`.
    fn bound(&self, of: &Expression<'_>) -> Option<Vec<String>> {
        match of {
            Expression::Identifier(id) => {
                (self.bindings.as_deref() == Some(id.name.as_str())).then(Vec::new)
            }
            Expression::StaticMemberExpression(member) if !member.optional => {
                let mut path = self.bound(&member.object)?;
                path.push(member.property.name.to_string());
                Some(path)
            }
            _ => None,
        }
    }

    /// Whether reading it does nothing, and it is the same for every row: names, paths of names,
    /// literals, lists of these and sums over them.
    fn is_plain(&self, of: &Expression<'_>) -> bool {
        match of {
            Expression::Identifier(id) => {
                let is = |name: &Option<String>| name.as_deref() == Some(id.name.as_str());
                let taken = self
                    .columns
                    .iter()
                    .any(|(name, _)| name == id.name.as_str());
                !is(&self.row) && !is(&self.bindings) && !taken && id.name != "arguments"
            }
            Expression::BooleanLiteral(_)
            | Expression::NullLiteral(_)
            | Expression::NumericLiteral(_)
            | Expression::StringLiteral(_) => true,
            Expression::TemplateLiteral(template) => {
                template.expressions.iter().all(|part| self.is_plain(part))
            }
            Expression::StaticMemberExpression(member) => self.is_plain(&member.object),
            Expression::ChainExpression(chain) => match &chain.expression {
                ChainElement::StaticMemberExpression(member) => self.is_plain(&member.object),
                _ => false,
            },
            Expression::ParenthesizedExpression(inner) => self.is_plain(&inner.expression),
            Expression::UnaryExpression(unary) => {
                matches!(
                    unary.operator,
                    UnaryOperator::UnaryNegation | UnaryOperator::LogicalNot
                ) && self.is_plain(&unary.argument)
            }
            Expression::BinaryExpression(binary) => {
                matches!(
                    binary.operator,
                    BinaryOperator::Addition
                        | BinaryOperator::Subtraction
                        | BinaryOperator::Multiplication
                        | BinaryOperator::Division
                ) && self.is_plain(&binary.left)
                    && self.is_plain(&binary.right)
            }
            Expression::ArrayExpression(array) => array.elements.iter().all(|element| {
                ArrayExpressionElement::as_expression(element)
                    .is_some_and(|part| self.is_plain(part))
            }),
            _ => false,
        }
    }
}

fn is_undefined(of: &Expression<'_>) -> bool {
    matches!(of, Expression::Identifier(id) if id.name == "undefined")
}

/// `null` or `undefined`, which `==` takes for the same.
fn is_nothing(of: &Expression<'_>) -> bool {
    matches!(of, Expression::NullLiteral(_)) || is_undefined(of)
}
