//! Plans of predicates: which rows an arrow means, as data beside it.
//!
//! A method asks a table for rows by an arrow, `Orders.filter((o) => o.vendor === input.vendor)`. The
//! arrow closes over values, so that its text alone does not say which rows it means. In a finished
//! bundle each arrow that such a verb is given becomes
//!
//! ```js
//! Orders.filter(__remyPlan((o) => o.vendor === input.vendor, [1,{"equal":["vendor",{"at":0}]}], () => [input.vendor]))
//! ```
//!
//! which returns the arrow itself. Arrays, Sets and iterators have a `filter`, too, and see no
//! difference. A runtime that runs the method takes the plan, asks for the values at the moment it reads,
//! and compares what types they have: the plan says what the arrow does, not that it can be taken.
//! `core/runtime/js/sdk/predicate.mjs` has the other half.

mod predicate;

use crate::typescript::{depth, with_room};
use oxc_allocator::Allocator;
use oxc_ast::ast::{Argument, CallExpression, Expression};
use oxc_ast_visit::{Visit, walk};
use oxc_parser::Parser;
use oxc_span::{GetSpan, SourceType};
use predicate::Predicate;

/// The format of the plans that are made.
pub const FORMAT: u32 = 1;

/// The name of the function that takes a plan.
const TAKES: &str = "__remyPlan";

/// The verbs of tables that take a predicate, and `sortBy` is none: an accessor closes over nothing.
const VERBS: &[&str] = &["filter", "findOne", "count", "some", "every", "removeAll"];

/// The bundle of a method, with a plan beside each predicate that has one. `None` where there is none:
/// the bundle may stay as it is. Lines stay where they are, for its source map.
pub fn with_plans(bundle: &str) -> Option<String> {
    // Its own name for something else; a text that no parser of ours may read.
    if bundle.contains(TAKES) || depth::fault("", bundle).is_some() {
        return None;
    }
    with_room(|| {
        let arena = Allocator::default();
        let parsed = Parser::new(&arena, bundle, SourceType::mjs()).parse();
        if parsed.panicked || !parsed.diagnostics.is_empty() {
            return None;
        }
        let mut found = Found {
            text: bundle,
            inserts: Vec::new(),
        };
        found.visit_program(&parsed.program);
        (!found.inserts.is_empty()).then(|| written(bundle, found.inserts))
    })
}

/// What is written into the bundle, and before which byte.
type Insert = (usize, String);

struct Found<'t> {
    text: &'t str,
    inserts: Vec<Insert>,
}

impl<'a> Visit<'a> for Found<'_> {
    fn visit_call_expression(&mut self, call: &CallExpression<'a>) {
        if let Expression::StaticMemberExpression(callee) = &call.callee
            && VERBS.contains(&callee.property.name.as_str())
            && let Some(Argument::ArrowFunctionExpression(arrow)) = call.arguments.first()
            && let Some(predicate) = Predicate::of(arrow, self.text)
        {
            let span = arrow.span();
            let values = predicate.values.join(", ");
            let plan = format!(", [{FORMAT},{}], () => [{values}])", predicate.tree);
            self.inserts
                .push((span.start as usize, format!("{TAKES}(")));
            self.inserts.push((span.end as usize, plan));
        }
        walk::walk_call_expression(self, call);
    }
}

/// The function is declared last, where a declaration is seen from everywhere and moves no line.
fn written(bundle: &str, mut inserts: Vec<Insert>) -> String {
    inserts.sort_by_key(|(at, _)| *at);
    let mut all = String::with_capacity(bundle.len() + inserts.len() * 64);
    let mut from = 0;
    for (at, text) in inserts {
        all.push_str(&bundle[from..at]);
        all.push_str(&text);
        from = at;
    }
    let rest = &bundle[from..];
    let end = rest.rfind("//# sourceMappingURL=").unwrap_or(rest.len());
    all.push_str(&rest[..end]);
    if !all.ends_with('\n') {
        all.push('\n');
    }
    all.push_str(&format!(
        "function {TAKES}(arrow, plan, values) {{ return globalThis[Symbol.for(\"remy.host\")]?.planned?.(arrow, plan, values) ?? arrow; }}\n"
    ));
    all.push_str(&rest[end..]);
    all
}

#[cfg(test)]
mod tests {
    use super::with_plans;

    /// The plan and the values of the only predicate of an expression.
    fn plan(arrow: &str) -> Option<(String, String)> {
        let all = with_plans(&format!("T.filter({arrow});"))?;
        let (_, rest) = all.split_once(&format!("__remyPlan({arrow}, [1,"))?;
        let (tree, rest) = rest.split_once("], () => [")?;
        let (values, _) = rest.split_once("]))")?;
        Some((tree.to_owned(), values.to_owned()))
    }

    /// An arrow, its plan, and what it closes over.
    const CASES: &[(&str, &str, &str)] = &[
        (
            "(o) => o.a === input.b",
            r#"{"equal":["a",{"at":0}]}"#,
            "input.b",
        ),
        (
            "o => 'x' !== o.a",
            r#"{"not":{"equal":["a",{"at":0}]}}"#,
            "'x'",
        ),
        ("(o) => o.a == null", r#"{"missing":"a"}"#, ""),
        ("(o) => o.a != undefined", r#"{"not":{"missing":"a"}}"#, ""),
        (
            "(o) => o.a > now - 60 * 1e3",
            r#"{"compare":["a",">",{"at":0}]}"#,
            "now - 60 * 1e3",
        ),
        ("(o) => -5 < o.a", r#"{"compare":["a",">",{"at":0}]}"#, "-5"),
        ("(o) => !o.done", r#"{"not":{"truthy":"done"}}"#, ""),
        (
            "(o) => !!o.done",
            r#"{"not":{"not":{"truthy":"done"}}}"#,
            "",
        ),
        (
            "(o) => ids.includes(o.id)",
            r#"{"in":["id",{"at":0}]}"#,
            "ids",
        ),
        (
            "(o) => ['a', x.y].includes(o.id)",
            r#"{"in":["id",{"at":0}]}"#,
            "['a', x.y]",
        ),
        ("(o) => set.has(o.id)", r#"{"in":["id",{"at":0}]}"#, "set"),
        (
            "(o) => o.name.includes(q)",
            r#"{"text":["name","anywhere",{"at":0}]}"#,
            "q",
        ),
        (
            "(o) => o.name?.startsWith(q)",
            r#"{"text":["name","start",{"at":0}]}"#,
            "q",
        ),
        ("(o) => o.a === o.b", r#"{"same":["a","b"]}"#, ""),
        (
            "(o, $) => o.a === $.b.c",
            r#"{"equal":["a",{"bound":["b","c"]}]}"#,
            "",
        ),
        (
            "({ a, b: c }) => a === x && c",
            r#"{"and":[{"equal":["a",{"at":0}]},{"truthy":"b"}]}"#,
            "x",
        ),
        (
            "(o) => !status || o.status === status",
            r#"{"or":[{"not":{"constant":{"at":0}}},{"equal":["status",{"at":1}]}]}"#,
            "status, status",
        ),
        (
            "(o) => all ? true : o.mine",
            r#"{"if":[{"at":0},{"constant":{"at":1}},{"truthy":"mine"}]}"#,
            "all, true",
        ),
        (
            "(o) => { return o.a === 1; }",
            r#"{"equal":["a",{"at":0}]}"#,
            "1",
        ),
        (
            "(o) => o[\"a\"] === `x`",
            r#"{"equal":["a",{"at":0}]}"#,
            "`x`",
        ),
    ];

    #[test]
    fn what_a_predicate_means_is_written_beside_it() {
        for &(arrow, tree, values) in CASES {
            let found = plan(arrow).unwrap_or_else(|| panic!("{arrow} has no plan"));
            assert_eq!(found, (tree.to_owned(), values.to_owned()), "{arrow}");
        }
    }

    #[test]
    fn what_may_do_something_or_is_not_known_has_no_plan() {
        for arrow in [
            "(o) => o.a === next()",
            "(o) => o.a === i++",
            "(o) => o.a === (i = 1)",
            "(o) => o.a.b === 1",
            "(o) => o.a.toLowerCase().includes(q)",
            "(o) => o.a === undefined",
            "(o) => o.a == x",
            "(o) => o.a + 1 === 2",
            "(o) => o[a] === 1",
            "(o) => o === x",
            "(o) => f(o)",
            "(o) => x.includes(o.a, 1)",
            "(o) => o.list.some((e) => e === o.a)",
            "(o, i) => i < 5",
            "(o = {}) => o.a === 1",
            "({ a = 1 }) => a === 1",
            "async (o) => o.a === 1",
            "(o) => { log(o); return o.a === 1; }",
            "(o) => o.a === class {}",
            "(o) => o.a === await p",
            "(o) => o.a === (() => o.b)()",
        ] {
            assert_eq!(plan(arrow), None, "{arrow}");
        }
    }

    #[test]
    fn a_bundle_keeps_its_lines_and_its_map_is_last() {
        let bundle =
            "var a = 1;\nvar b = T.filter(\n  (o) => o.a === a\n);\n//# sourceMappingURL=m.map\n";
        let all = with_plans(bundle).unwrap();
        assert!(all.ends_with("//# sourceMappingURL=m.map\n"), "{all}");
        assert_eq!(
            all.lines().nth(2).unwrap().trim_start().split('(').next(),
            Some("__remyPlan")
        );
        assert_eq!(with_plans("var a = [1].filter((x) => x > f());"), None);
        assert_eq!(with_plans("this is no program"), None);
    }
}
