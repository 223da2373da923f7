//! What is read of an app's TypeScript: a small app in a folder of its own for each rule.
#![cfg(feature = "typescript")]
#[macro_use]
mod cases;

use remy_db::internals::{
    schema::app::{AppTable, Logical},
    typescript::{MethodInput, Tables, method_input, tables},
};
use serde_json::{Value, json};
use std::{fs, path::Path};

const DB: &str = "import { db } from '@mindstudio-ai/agent';\n";

/// An app of these files; `t.ts` is its one table, exported as `T`.
struct App(tempfile::TempDir);

impl App {
    fn new(files: &[(&str, &str)]) -> Self {
        let app = Self(tempfile::tempdir().unwrap());
        app.file(
            "mindstudio.json",
            r#"{"tables": [{"name": "t", "path": "t.ts", "export": "T"}]}"#,
        );
        files.iter().for_each(|(path, text)| app.file(path, text));
        app
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn tables(&self) -> Tables {
        tables(&self.0.path().join("mindstudio.json"))
    }

    fn input(&self, file: &str, export: &str) -> MethodInput {
        method_input(self.0.path(), file.as_ref(), export)
    }
}

/// The tables of an app whose `t.ts` ends in `define`, with other files beside it.
fn with(define: &str, files: &[(&str, &str)]) -> Tables {
    let app = App::new(files);
    app.file("t.ts", &format!("{DB}{define}"));
    app.tables()
}

fn one(define: &str, files: &[(&str, &str)]) -> AppTable {
    let mut read = with(define, files);
    assert!(read.errors.is_empty(), "{define}: {:?}", read.errors);
    read.tables.remove(0)
}

/// `name: type` of each column, with `?` where there need not be a value.
fn columns(table: &AppTable) -> String {
    let column = |c: &remy_db::internals::schema::app::AppColumn| {
        format!(
            "{}{}: {}",
            c.name,
            if c.required { "" } else { "?" },
            c.logical
        )
    };
    table
        .columns
        .iter()
        .map(column)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The columns of a table whose row type is `row`, after `before`.
fn row(before: &str, row: &str) -> String {
    columns(&one(
        &format!("{before}\nexport const T = db.defineTable<{row}>('t');"),
        &[],
    ))
}

fn fails(define: &str) -> String {
    let read = with(define, &[]);
    assert!(
        !read.errors.is_empty(),
        "{define} was read: {:?}",
        read.tables
    );
    assert!(read.tables.is_empty());
    read.errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_example_of_the_format() {
    let table = one(
        "export const T = db.defineTable<{
  name: string;
  contactEmail: string;
  status: 'pending' | 'approved' | 'rejected';
  paymentTerms?: string;
}>('vendors', { unique: [['contactEmail']], defaults: { status: 'pending' } });",
        &[],
    );
    assert_eq!(
        (
            table.name.as_str(),
            table.export.as_str(),
            table.file.as_str()
        ),
        ("vendors", "T", "t.ts")
    );
    assert_eq!(
        columns(&table),
        "name: text, contactEmail: text, status: text, paymentTerms?: text"
    );
    assert_eq!(table.unique, [["contactEmail"]]);
    assert_eq!(table.columns[2].default, Some(json!("pending")));
}

fn logical_types(of: &str, logical: &str) {
    assert_eq!(row("", &format!("{{ x: {of} }}")), format!("x: {logical}"));
    assert_eq!(
        row("", &format!("{{ x?: {of} }}")),
        format!("x?: {logical}")
    );
    assert_eq!(
        row("", &format!("{{ x: ({of}) | null }}")),
        format!("x?: {logical}")
    );
    assert_eq!(
        row("", &format!("{{ x: undefined | ({of}) }}")),
        format!("x?: {logical}")
    );
}

cases! { logical_types:
    {
        string("string", "text"),
        literal("'a'", "text"),
        template("`a${string}`", "text"),
        template_without_parts("`plain`", "text"),
        number("number", "number"),
        number_literals("1 | -2", "number"),
        boolean("boolean", "boolean"),
        true_alone("true", "boolean"),
        object("{ a: 1 }", "json"),
        array("string[]", "json"),
        array_of_what_is_missing("Array<Missing>", "json"),
        tuple("[number, string?]", "json"),
        record("Record<string, Missing>", "json"),
        date("Date", "json"),
        unknown("unknown", "json"),
        any("any", "json"),
        union_of_two("string | number", "json"),
        object_keyword("object", "json"),
        map("Map<string, number>", "json"),
        branded_string("string & { __brand: 'id' }", "text"),
        branded_number("number & { readonly __brand: unique symbol }", "number"),
        intersection_with_string("('a' | 'b') & string", "text"),
        readonly_array("readonly string[]", "json"),
    }
}

#[test]
fn null_alone_is_json() {
    assert_eq!(row("", "{ x: null }"), "x?: json");
}

fn enums_are_what_their_constants_are(members: &str, logical: &str) {
    let before = format!(
        "const X = 'x', N = 1;\nenum Other {{ A = X + 'y' }}\ndeclare function f(): number;\nenum S {{ {members} }}\n"
    );
    let read = with(
        &format!("{before}export const T = db.defineTable<{{ x: S }}>('t');"),
        &[],
    );
    assert!(
        read.errors.is_empty() && read.warnings.is_empty(),
        "{members}: {read:?}"
    );
    assert_eq!(
        columns(&read.tables[0]),
        format!("x: {logical}"),
        "{members}"
    );
}

cases! { enums_are_what_their_constants_are:
    {
        texts_added("A = 'x' + 'y'", "text"),
        one_of_another("A = 'x', B = A", "text"),
        text_and_number_added("A = 'x', B = S.A + 1", "text"),
        parentheses_and_template("A = ('x'), B = `${A}y`", "text"),
        of_other_constants("A = X, B = Other.A", "text"),
        arithmetic(
            "A = 1 << 2, B = A | 4, C = ~B, D = 'abc'.length, E = f(), F = A + 1, G",
            "number",
        ),
        a_number_and_one_more("A = N, B = N + 1", "number"),
        text_and_number("A = 'x', B = 1", "json"),
    }
}

#[test]
fn enums_that_cannot_be_told_are_said() {
    // What cannot be told is said, and no guess.
    for members in ["A = X", "A = X + 1", "A = S.B, B = 'x'", "A = Cycle.A"] {
        let before = format!(
            "import {{ X }} from 'some-package';\nenum Cycle {{ A = S.A }}\nenum S {{ {members} }}\n"
        );
        let read = with(
            &format!("{before}export const T = db.defineTable<{{ x: S }}>('t');"),
            &[],
        );
        assert_eq!(
            (columns(&read.tables[0]).as_str(), read.warnings.len()),
            ("x: json", 1),
            "{members}: {read:?}"
        );
    }
    let literals = json!({"type": "string", "enum": ["x", "xy"]});
    assert_eq!(schema("enum S { A = 'x', B = A + 'y' }", "S").0, literals);
}

#[test]
fn user_is_the_sdks_alone() {
    let define = "export const T = db.defineTable<{ by: User; other?: User | null }>('t');";
    for import in [
        "import { User } from '@mindstudio-ai/agent';",
        "import type { User } from '@mindstudio-ai/agent';",
        "import { type User } from '@mindstudio-ai/agent';",
    ] {
        assert_eq!(
            columns(&one(&format!("{import}{define}"), &[])),
            "by: user, other?: user"
        );
    }
    let renamed = "import { User as U } from '@mindstudio-ai/agent'; import * as sdk from '@mindstudio-ai/agent';";
    assert_eq!(
        row(
            renamed,
            "{ a: U; b: sdk.User; c: import('@mindstudio-ai/agent').User }"
        ),
        "a: user, b: user, c: user"
    );
    // The app's own.
    assert_eq!(
        columns(&one(
            &format!("interface User {{ name: string }} {define}"),
            &[]
        )),
        "by: json, other?: json"
    );
    // Through a file of the app's that exports it on.
    let files = [(
        "sdk.ts",
        "export type { User } from '@mindstudio-ai/agent';",
    )];
    assert_eq!(
        columns(&one(
            &format!("import {{ User }} from './sdk';{define}"),
            &files
        )),
        "by: user, other?: user"
    );
    // Nobody's.
    let read = with(define, &[]);
    let places: Vec<_> = read
        .errors
        .iter()
        .map(|e| (e.line.unwrap(), e.column.unwrap()))
        .collect();
    assert_eq!(
        (places, read.tables.len()),
        (vec![(2, 39), (2, 53)], 0),
        "{:?}",
        read.errors
    );
}

fn what_no_column_can_hold_is_an_error_that_names_the_property(of: &str, what: &str) {
    let why = fails(&format!(
        "export const T = db.defineTable<{{ a: string;\n  {of} }}>('t');"
    ));
    assert!(
        why.contains(what) && why.contains("t.ts, line 3, column 3"),
        "{of}: {why}"
    );
}

cases! { what_no_column_can_hold_is_an_error_that_names_the_property:
    {
        bigint("x: bigint", "t.x is a bigint"),
        bigint_literal("x: 1n", "t.x is a bigint"),
        optional_bigint("x?: bigint | null", "t.x is a bigint"),
        function("x: () => void", "t.x is a function"),
        method("x(): void", "t.x is a function"),
        constructor("x: new () => Date", "t.x is a function"),
        any_function("x: Function", "t.x is a function"),
        symbol("x: symbol", "t.x is a symbol"),
        unique_symbol("x: unique symbol", "t.x is a symbol"),
    }
}

fn row_types(before: &str, of: &str, expected: &str) {
    assert_eq!(row(before, of), expected);
}

cases! { row_types:
    {
        interface("interface Row { a: string }", "Row", "a: text"),
        type_alias("type Row = { a: string }", "Row", "a: text"),
        parenthesized("type Row = ({ a: string })", "Row", "a: text"),
        interfaces_merge(
            "interface Row { a: string } interface Row { b?: number }",
            "Row",
            "a: text, b?: number",
        ),
        extends_and_narrows(
            "interface Base { a: string; b: number } interface Row extends Base { b: 1; c: boolean }",
            "Row",
            "a: text, b: number, c: boolean",
        ),
        extends_two(
            "interface A { a: string } interface B { b: string } interface Row extends A, B {}",
            "Row",
            "a: text, b: text",
        ),
        intersection(
            "type Row = { a: string } & { b?: number }",
            "Row",
            "a: text, b?: number",
        ),
        intersection_narrows(
            "type Row = { a: string | number } & { a: string }",
            "Row",
            "a: text",
        ),
        intersection_leaves_two(
            "type Row = { a: string | number } & { a: string | boolean | number }",
            "Row",
            "a: json",
        ),
        intersection_requires(
            "type Row = { a?: string } & { a: string }",
            "Row",
            "a: text",
        ),
        partial(
            "",
            "Partial<{ a: string; b: number }>",
            "a?: text, b?: number",
        ),
        required(
            "",
            "Required<{ a?: string; b?: number | undefined }>",
            "a: text, b: number",
        ),
        readonly("", "Readonly<{ a: string }>", "a: text"),
        pick(
            "",
            "Pick<{ a: string; b: number; c: boolean }, 'a' | 'c'>",
            "a: text, c: boolean",
        ),
        omit("", "Omit<{ a: string; b: number }, 'b' | 'zzz'>", "a: text"),
        record("", "Record<'a' | 'b', number>", "a: number, b: number"),
        non_nullable(
            "",
            "{ a: NonNullable<string | null | undefined> }",
            "a: text",
        ),
        indexed_access(
            "interface Foo { bar: { baz: number }; list: string[]; opt?: boolean }",
            "{ a: Foo['bar']['baz']; b: Foo['list'][number]; c: Foo['opt'] }",
            "a: number, b: text, c?: boolean",
        ),
        keyof_typeof(
            "const X = { a: 1, b: 2 };",
            "{ k: keyof typeof X }",
            "k: text",
        ),
        const_array(
            "const X = ['a', 'b'] as const;",
            "{ k: (typeof X)[number] }",
            "k: text",
        ),
        const_array_of_two_types(
            "const X = ['a', 1] as const;",
            "{ k: (typeof X)[number] }",
            "k: json",
        ),
        const_array_that_satisfies(
            "const X = ['a', 1] as const satisfies readonly unknown[];",
            "{ k: (typeof X)[0] }",
            "k: text",
        ),
        array_without_const(
            "const X = ['a', 'b'];",
            "{ k: (typeof X)[number] }",
            "k: text",
        ),
        values_of_an_object(
            "const X = { a: 1, b: 2 } as const;",
            "{ k: (typeof X)[keyof typeof X] }",
            "k: number",
        ),
        typeof_nested(
            "const X = { a: { n: 'x' } } as const;",
            "{ k: (typeof X)['a']['n'] }",
            "k: text",
        ),
        frozen_array(
            "const X = Object.freeze(['a', 'b'] as const);",
            "{ k: (typeof X)[number] }",
            "k: text",
        ),
        value_and_type_of_one_name(
            "export const Status = { A: 'a' } as const; export type Status = (typeof Status)[keyof typeof Status];",
            "{ k: Status }",
            "k: text",
        ),
        string_enum("enum E { A = 'a', B = 'b' }", "{ k: E }", "k: text"),
        number_enum("enum E { A, B = 5, C }", "{ k: E }", "k: number"),
        enum_member("const enum E { A = 'a' }", "{ k: E.A }", "k: text"),
        mixed_enum(
            "enum E { A = 'a', B = 1 }",
            "{ k: E; n: keyof typeof E }",
            "k: json, n: text",
        ),
        branded_generic(
            "type Id<T> = string & { __brand: T };",
            "{ k: Id<'x'> }",
            "k: text",
        ),
        generics_with_defaults(
            "type Maybe<T> = T | null; interface Row<T, U = boolean> { a: Maybe<T>; b: U }",
            "Row<number>",
            "a?: number, b: boolean",
        ),
        generic_base(
            "interface Base<T> { a: T } interface Row extends Base<boolean> {}",
            "Row",
            "a: boolean",
        ),
        mapped_conditional(
            "type Row = { [K in 'a' | 'b']?: K extends never ? 1 : string }",
            "Row",
            "a?: json, b?: json",
        ),
        mapped_of_keyof(
            "type Src = { a: string; b?: number }; type Row = { [K in keyof Src]: Src[K] }",
            "Row",
            "a: text, b?: number",
        ),
        mapped_required(
            "type Src = { a?: string }; type Row = { [K in keyof Src]-?: number }",
            "Row",
            "a: number",
        ),
        odd_names(
            "",
            "{ 'with space': string; 1: number; select: boolean; ünï: string }",
            "with space: text, 1: number, select: boolean, ünï: text",
        ),
        exclude_and_extract(
            "",
            "{ k: Exclude<'a' | 1, number>; l: Extract<'a' | 1, number> }",
            "k: text, l: number",
        ),
        class("class Money { amount = 1 }", "{ k: Money }", "k: json"),
        namespace(
            "namespace N { export interface Row { a: string } }",
            "N.Row",
            "a: text",
        ),
    }
}

fn types_of_other_files(import: &str, files: &[(&str, &str)]) {
    let define = "export const T = db.defineTable<Row>('t');";

    assert_eq!(
        columns(&one(&format!("{import}\n{define}"), files)),
        "a: text"
    );
}

cases! { types_of_other_files:
    {
        named(
            "import { Row } from './types';",
            &[("types.ts", "export interface Row { a: string }")],
        ),
        type_only(
            "import type { Row } from './types.ts';",
            &[("types.ts", "export interface Row { a: string }")],
        ),
        named_type(
            "import { type Row } from './types.js';",
            &[("types.ts", "export type Row = { a: string }")],
        ),
        folder(
            "import { Row } from './types';",
            &[("types/index.ts", "export type Row = { a: string }")],
        ),
        default_interface(
            "import Row from './types';",
            &[("types.ts", "export default interface Row { a: string }")],
        ),
        default_export(
            "import Row from './types';",
            &[(
                "types.ts",
                "interface Mine { a: string } export default Mine;",
            )],
        ),
        exported_as(
            "import { Mine as Row } from './types';",
            &[(
                "types.ts",
                "interface X { a: string } export { X as Mine };",
            )],
        ),
        exported_all(
            "import { Row } from './lib';",
            &[
                (
                    "lib/index.ts",
                    "export * from './a'; export * from './rows'",
                ),
                ("lib/a.ts", "export const a = 1;"),
                (
                    "lib/rows.ts",
                    "import { Base } from '../base.js'; export interface Row extends Base {}",
                ),
                ("base.ts", "export type Base = { a: string }"),
            ],
        ),
        exported_from(
            "import { Row } from './a';",
            &[
                ("a.ts", "export { Inner as Row } from './b';"),
                ("b.ts", "export type Inner = { a: string }"),
            ],
        ),
        namespace_import(
            "import * as all from './types'; type Row = all.Row;",
            &[("types.ts", "export interface Row { a: string }")],
        ),
        exported_namespace(
            "import { all } from './a'; type Row = all.Row;",
            &[
                ("a.ts", "export * as all from './b'"),
                ("b.ts", "export interface Row { a: string }"),
            ],
        ),
        import_type(
            "type Row = import('./types').Row;",
            &[("types.ts", "export interface Row { a: string }")],
        ),
        value(
            "import { N } from './types'; type Row = { a: (typeof N)[number] };",
            &[("types.ts", "export const N = ['x', 'y'] as const;")],
        ),
        enum_of_another(
            "import { S } from './types'; type Row = { a: S };",
            &[("types.ts", "export enum S { A = 'a' }")],
        ),
        // Files may import each other.
        files_import_each_other(
            "import { Row } from './a';",
            &[
                (
                    "a.ts",
                    "import { B } from './b'; export interface Row extends B {}; export interface A { x: string }",
                ),
                (
                    "b.ts",
                    "import { A } from './a'; export interface B { a: A['x'] }",
                ),
            ],
        ),
    }
}

fn a_row_type_that_cannot_be_resolved_is_an_error(before: &str, of: &str, why: &str) {
    let app = App::new(&[
        ("t2.ts", "export const a = 1;"),
        ("broken.ts", "export interface Row { a: "),
    ]);
    app.file(
        "t.ts",
        &format!("{DB}{before}\nexport const T = db.defineTable<{of}>('t');"),
    );
    let read = app.tables();
    let [error] = read.errors.as_slice() else {
        panic!("{before} {of}: {read:?}")
    };
    assert!(
        error.message.contains("the row type cannot be resolved") && error.message.contains(why),
        "{of}: {error}"
    );
    assert_eq!(
        (error.file.as_str(), error.line, error.column),
        ("t.ts", Some(3), Some(33)),
        "{error}"
    );
}

cases! { a_row_type_that_cannot_be_resolved_is_an_error:
    {
        undeclared("", "Missing", "Missing is not declared"),
        package(
            "import { Row } from 'some-package';",
            "Row",
            "only relative imports are read",
        ),
        missing_file(
            "import { Row } from './nowhere';",
            "Row",
            "which is not there",
        ),
        missing_export("import { Row } from './t2';", "Row", "does not export Row"),
        broken_file("import { Row } from './broken';", "Row", "syntax error"),
        no_object("", "string", "no object type"),
        union("", "{ a: string } | { b: string }", "a union"),
        record_of_any_text("", "Record<string, number>", "not named"),
        extends_undeclared(
            "interface Row extends Missing { a: string }",
            "Row",
            "extends what is not known",
        ),
        intersection_with_undeclared("", "{ a: string } & Missing", "Missing is not declared"),
        pick_of_a_missing_key("", "Pick<{ a: string }, 'b'>", "Pick names b"),
        omit_of_undeclared("", "Omit<{ a: string }, Missing>", "what Omit names"),
        conditional(
            "type Row<T> = T extends string ? { a: 1 } : { b: 1 };",
            "Row<string>",
            "conditional types",
        ),
        alias_of_itself("type Row = Row & { a: string };", "Row", "refers to itself"),
        aliases_of_each_other("type A = B; type B = A;", "A", "refers to itself"),
        interface_of_itself("interface Row extends Row {}", "Row", "refers to itself"),
        generic_of_itself("type G<T> = G<T[]>;", "G<string>", "refers to itself"),
    }
}

#[test]
fn a_property_type_that_cannot_be_resolved_is_a_text_column_with_a_warning() {
    let define = "import { Far } from 'some-package';\nexport const T = db.defineTable<{\n  a: number;\n  b: Far;\n  c?: WebSocket | null;\n  d: string extends Far ? 1 : 2;\n}>('t');";
    let read = with(define, &[]);
    assert!(read.errors.is_empty());
    assert_eq!(
        columns(&read.tables[0]),
        "a: number, b: json, c?: json, d: json"
    );
    let places: Vec<_> = read
        .warnings
        .iter()
        .map(|w| (w.line.unwrap(), w.column.unwrap()))
        .collect();
    assert_eq!(places, [(5, 3), (6, 3), (7, 3)]);
    assert!(
        read.warnings[0].message.contains("t.b")
            && read.warnings[0].message.contains("some-package")
    );
    assert_eq!(read.warnings[0].source.as_deref(), Some("  b: Far;"));
}

/// The type names that nobody declares, each with its place, in a table whose column `a` is of the
/// type `of`.
fn undeclared(before: &str, of: &str, files: &[(&str, &str)]) -> String {
    let read = with(
        &format!("{before}\nexport const T = db.defineTable<{{ ok: number; a: {of} }}>('t');"),
        files,
    );
    let place = |error: &remy_db::internals::typescript::Fault| {
        assert!(
            error.message.contains("neither declared nor imported"),
            "{error}"
        );
        let name = error.message.split_whitespace().nth(2).unwrap().to_owned();
        format!(
            "{name} {}:{}:{}",
            error.file,
            error.line.unwrap(),
            error.column.unwrap()
        )
    };
    let errors: Vec<_> = read.errors.iter().map(place).collect();
    assert!(
        errors.is_empty() || read.tables.is_empty(),
        "{of}: it is published all the same"
    );
    // It is an error, and no warning besides.
    assert!(
        errors.is_empty() || read.warnings.is_empty(),
        "{of}: {:?}",
        read.warnings
    );
    errors.join(" ")
}

fn a_type_name_that_nobody_declares_is_an_error_with_its_place(
    before: &str,
    of: &str,
    expected: &str,
) {
    assert_eq!(undeclared(before, of, &[]), expected);
}

cases! { a_type_name_that_nobody_declares_is_an_error_with_its_place:
    {
        alone("", "strng", "strng t.ts:3:50"),
        in_a_union("", "strng | null", "strng t.ts:3:50"),
        in_a_member("", "{ er: strng }['er']", "strng t.ts:3:56"),
        in_partial("", "Partial<strng>", "strng t.ts:3:58"),
        namespace("", "Spce.Name", "Spce t.ts:3:50"),
        in_an_alias("type Alias = strng;", "Alias", "strng t.ts:2:14"),
        a_constant("const status = 'a';", "status", "status t.ts:3:50"),
        beside_an_enum("enum E { A }", "E | Ee", "Ee t.ts:3:54"),
        parameter_of_another("function of<X>(x: X) { return x; }", "X", "X t.ts:3:50"),
        // Said once, however often it is met.
        met_often(
            "type Alias = strng;",
            "Alias; b: Alias[]; c: { d: Alias }",
            "strng t.ts:2:14",
        ),
    }
}

#[test]
fn a_type_name_that_nobody_declares_in_another_file_is_an_error_there() {
    let files = [("far.ts", "export type Far = strng | number;")];
    assert_eq!(
        undeclared("import { Far } from './far';", "Far", &files),
        "strng far.ts:1:19"
    );
}

/// Within a value that is JSON whatever it is, it decides nothing.
#[test]
fn a_type_name_that_nobody_declares_within_json_is_a_warning() {
    let read = with(
        "export const T = db.defineTable<{ a: strng[]; b: Record<string, { c: strng }>; c: strng[] }>('t');",
        &[],
    );
    assert_eq!(columns(&read.tables[0]), "a: json, b: json, c: json");
    let places: Vec<_> = read
        .warnings
        .iter()
        .map(|w| (w.line.unwrap(), w.column.unwrap()))
        .collect();
    assert_eq!(places, [(2, 38), (2, 70), (2, 83)], "{:?}", read.warnings);
}

/// What is declared elsewhere, or in a way that is not followed, may be anything.
fn a_type_name_that_may_be_declared_is_no_error(before: &str, of: &str, files: &[(&str, &str)]) {
    assert_eq!(undeclared(before, of, files), "");
}

const AMBIENT: &[(&str, &str)] = &[
    ("types/all.d.ts", "interface Money { n: number }"),
    ("g.ts", "export {}; declare global { type Coin = 1 }"),
];

cases! { a_type_name_that_may_be_declared_is_no_error:
    {
        global(
            "",
            "Date | Buffer | PushSubscriptionJSON | NodeJS.Timeout | Intl.LocalesArgument",
            &[],
        ),
        package(
            "import { Far } from 'some-package'; import * as far from 'far';",
            "Far | far.Any",
            &[],
        ),
        missing_export(
            "import { Gone } from './far';",
            "Gone",
            &[("far.ts", "export {};")],
        ),
        import_by_require("import Far = require('far');", "Far", &[]),
        namespace(
            "namespace N { type A = 'a'; export type B = A }",
            "N.B",
            &[],
        ),
        declared_global("declare global { interface Here {} }", "Here", &[]),
        mapped(
            "type Of<T> = { [K in keyof T]: T[K] };",
            "Of<{ x: 1 }>",
            &[],
        ),
        inferred(
            "type Inner<T> = T extends (infer U)[] ? U : never;",
            "Inner<string[]>",
            &[],
        ),
        within_a_function(
            "interface Node_ { next?: Node_; call(x: Anything): void }",
            "Node_",
            &[],
        ),
        ambient("", "Money | Coin", AMBIENT),
    }
}

/// A type that holds itself is JSON where it does.
fn cycles_end(before: &str, of: &str, expected: &str) {
    assert_eq!(row(before, of), expected);
}

cases! { cycles_end:
    {
        interface(
            "interface Row { name: string; parent?: Row; all: Row[] }",
            "Row",
            "name: text, parent?: json, all: json",
        ),
        json(
            "type Json = string | number | Json[] | { [k: string]: Json };",
            "{ j: Json }",
            "j: json",
        ),
        generic(
            "type Tree<T> = { of: T; next: Tree<T[]> | null };",
            "Tree<string>",
            "of: text, next?: json",
        ),
    }
}

#[test]
fn a_union_of_itself_is_json() {
    let read = with(
        "type U = U | string; export const T = db.defineTable<{ a: U }>('t');",
        &[],
    );
    assert_eq!(
        (columns(&read.tables[0]).as_str(), read.warnings.len()),
        ("a: json", 1)
    );
}

#[test]
fn files_that_export_from_each_other_in_a_circle_are_a_warning() {
    let files = [
        ("a.ts", "export * from './b'; export { X } from './b';"),
        ("b.ts", "export * from './a'; export { X } from './a';"),
    ];
    let read = with(
        "import { X } from './a'; export const T = db.defineTable<{ a: X }>('t');",
        &files,
    );
    assert_eq!(read.warnings.len(), 1, "{read:?}");
}

#[test]
fn a_union_that_grows_at_every_step_is_json() {
    let read = with(
        "type U<T> = T | U<T[]>; export const T = db.defineTable<{ a: U<string> }>('t');",
        &[],
    );
    assert_eq!(
        (columns(&read.tables[0]).as_str(), read.warnings.len()),
        ("a: json", 1)
    );
}

#[test]
fn what_is_nested_as_deep_as_nobody_writes_is_said() {
    assert_eq!(
        row(
            &format!("type U = {}string{};", "(".repeat(50), ")".repeat(50)),
            "{ a: U }"
        ),
        "a: text"
    );
    let deep = |levels| {
        format!(
            "type U = {}string{};",
            "{ x: ".repeat(levels),
            " }".repeat(levels)
        )
    };
    assert_eq!(row(&deep(1000), "{ a: U }"), "a: json");
    let read = with(
        &format!(
            "{} export const T = db.defineTable<{{ a: U }}>('t');",
            deep(5000)
        ),
        &[],
    );
    assert_eq!(
        read.errors[0].message,
        "what stands here is nested too deep to be read"
    );
}

#[test]
fn a_union_that_doubles_at_every_step_is_json() {
    let doubling = (1..40)
        .map(|i| format!("type U{i} = U{} | U{}[] | [U{}];", i - 1, i - 1, i - 1))
        .collect::<String>();
    assert_eq!(
        row(&format!("type U0 = string;{doubling}"), "{ a: U39 }"),
        "a: json"
    );
    let wide = (1..30)
        .map(|i| format!("type V{i} = V{} | V{};", i - 1, i - 1))
        .collect::<String>();
    let read = with(
        &format!("type V0 = string;{wide} export const T = db.defineTable<{{ a: V29 }}>('t');"),
        &[],
    );
    assert_eq!(
        read.warnings.len(),
        1,
        "too much to follow is said: {read:?}"
    );
}

fn the_pattern(define: &str) {
    let table = one(define, &[]);
    assert_eq!(
        (table.name.as_str(), columns(&table).as_str()),
        ("t", "a: text")
    );
}

cases! { the_pattern:
    {
        options_with_commas(
            "export const T = db.defineTable<{ a: string }>('t', { unique: [['a'],], defaults: { a: 'x', }, database: 'main', },);",
        ),
        template_as_name("export const T = db.defineTable<{ a: string }>(`t`);"),
        as_const(
            "export const T = (db.defineTable<{ a: string }>('t' as const, { unique: [['a']] as const } as const));",
        ),
        satisfies(
            "export const T = db.defineTable<{ a: string }>('t', { unique: [['a']] } satisfies object) as unknown;",
        ),
        exported_later("const T = db.defineTable<{ a: string }>('t'); export { T };"),
        exported_under_another_name(
            "const Mine = db.defineTable<{ a: string }>('t'); export { Mine as T };",
        ),
        name_of_a_const("const name = 't'; export const T = db.defineTable<{ a: string }>(name);"),
        renamed_db(
            "import { db as data } from '@mindstudio-ai/agent'; export const T = data.defineTable<{ a: string }>('t');",
        ),
        namespace_import(
            "import * as sdk from '@mindstudio-ai/agent'; export const T = sdk.db.defineTable<{ a: string }>('t');",
        ),
        asserted_db("export const T = db!.defineTable<{ a: string }>('t');"),
    }
}

#[test]
fn a_default_export_is_no_named_const() {
    let app = App::new(&[(
        "t.ts",
        "import { db } from '@mindstudio-ai/agent';\nexport default db.defineTable<{ a: string }>('t');",
    )]);
    app.file(
        "mindstudio.json",
        r#"{"tables": [{"name": "t", "path": "t.ts", "export": "default"}]}"#,
    );
    assert!(
        !app.tables().errors.is_empty(),
        "a default export is no named const"
    );
}

fn what_breaks_the_pattern_is_said_with_its_place(
    define: &str,
    line: usize,
    column: usize,
    what: &str,
) {
    let read = with(define, &[]);
    let [error] = read.errors.as_slice() else {
        panic!("{define}: {:?}", read.errors)
    };
    assert!(error.message.contains(what), "{define}: {error}");
    assert_eq!(
        (error.file.as_str(), error.line, error.column),
        ("t.ts", Some(line), Some(column)),
        "{define}: {error}"
    );
    let source = format!("{DB}{define}")
        .lines()
        .nth(line - 1)
        .unwrap()
        .to_owned();
    assert_eq!(error.source.as_deref(), Some(source.as_str()), "{define}");
}

cases! { what_breaks_the_pattern_is_said_with_its_place:
    {
        no_const(
            "export let T = db.defineTable<{}>('t');",
            2,
            12,
            "is no const",
        ),
        no_call(
            "export const T = 5;",
            2,
            18,
            "expected a call of db.defineTable",
        ),
        other_method(
            "export const T = db.makeTable<{}>('t');",
            2,
            18,
            "expected defineTable, found makeTable",
        ),
        without_db(
            "export const T = defineTable<{}>('t');",
            2,
            18,
            "expected db.defineTable",
        ),
        db_of_ones_own(
            "const mine = { defineTable: <R>(n: string) => n };\nexport const T = mine.defineTable<{}>('t');",
            3,
            18,
            "mine is not the db of",
        ),
        auth_instead_of_db(
            "import { auth } from '@mindstudio-ai/agent';\nexport const T = auth.defineTable<{}>('t');",
            3,
            18,
            "auth is not the db of",
        ),
        no_row_type(
            "export const T = db.defineTable('t');",
            2,
            32,
            "expected one row type",
        ),
        two_row_types(
            "export const T = db.defineTable<{}, {}>('t');",
            2,
            32,
            "expected one row type",
        ),
        no_name(
            "export const T = db.defineTable<{}>();",
            2,
            37,
            "expected the table's name",
        ),
        computed_name(
            "export const T = db.defineTable<{}>(name());",
            2,
            37,
            "expected the table's name as a literal",
        ),
        template_with_parts(
            "export const T = db.defineTable<{}>(`t${1}`);",
            2,
            37,
            "expected the table's name as a literal",
        ),
        empty_name(
            "export const T = db.defineTable<{}>('');",
            2,
            37,
            "cannot be a table's name",
        ),
        remys_name(
            "export const T = db.defineTable<{}>('_remy_x');",
            2,
            37,
            "cannot be a table's name",
        ),
        sqlites_name(
            "export const T = db.defineTable<{}>('sqlite_x');",
            2,
            37,
            "cannot be a table's name",
        ),
        options_by_name(
            "export const T = db.defineTable<{ a: string }>('t', options);",
            2,
            53,
            "options as an object literal",
        ),
        spread(
            "export const T = db.defineTable<{ a: string }>('t', { ...x });",
            2,
            55,
            "not a spread",
        ),
        unique_of_names(
            "export const T = db.defineTable<{ a: string }>('t', { unique: ['a'] });",
            2,
            63,
            "expected lists of column names",
        ),
        unique_of_nothing(
            "export const T = db.defineTable<{ a: string }>('t', { unique: [[]] });",
            2,
            63,
            "in every group",
        ),
        unique_of_a_missing_column(
            "export const T = db.defineTable<{ a: string }>('t', { unique: [['b']] });",
            2,
            63,
            "b, which is no column",
        ),
        unique_twice_the_same(
            "export const T = db.defineTable<{ a: string }>('t', { unique: [['a', 'a']] });",
            2,
            63,
            "twice",
        ),
        default_of_a_missing_column(
            "export const T = db.defineTable<{ a: string }>('t', { defaults: { b: 1 } });",
            2,
            67,
            "b, which is no column",
        ),
        computed_defaults(
            "export const T = db.defineTable<{ a: string }>('t', { defaults: f() });",
            2,
            65,
            "defaults as an object literal",
        ),
        empty_column_name(
            "export const T = db.defineTable<{ '': string }>('t');",
            2,
            35,
            "cannot be a column's name",
        ),
        columns_in_two_cases(
            "export const T = db.defineTable<{ a: string; A: string }>('t');",
            2,
            46,
            "differ in letter case only",
        ),
        columns_in_two_cases_beyond_ascii(
            "export const T = db.defineTable<{ Ä: string; ä: string }>('t');",
            2,
            46,
            "differ in letter case only",
        ),
        column_like_a_system_one(
            "export const T = db.defineTable<{ ID: string }>('t');",
            2,
            35,
            "differ in letter case only",
        ),
        renamed_without_from(
            "/** @renamed old */\nexport const T = db.defineTable<{ a: string }>('t');",
            3,
            1,
            "expected @renamed from=old",
        ),
        syntax_error(
            "export const T = db.defineTable<{ a: string }>('t';",
            2,
            51,
            "syntax error",
        ),
    }
}

#[test]
fn a_table_that_is_not_exported_or_of_another_db() {
    assert!(fails("export const Other = 1;").contains("t.ts: T is not exported"));
    let app = App::new(&[
        (
            "t.ts",
            "import { db } from './mine';\nexport const T = db.defineTable<{}>('t');",
        ),
        ("mine.ts", "export const db = 1;"),
    ]);
    assert!(
        app.tables().errors[0]
            .message
            .contains("db is not the db of"),
        "{:?}",
        app.tables()
    );
}

#[test]
fn what_has_no_effect_is_a_warning() {
    let read = with(
        "export const T = db.defineTable<{ a: string; [more: string]: unknown }>('t', { color: 'red' });",
        &[],
    );
    let messages: Vec<_> = read.warnings.iter().map(|w| w.message.as_str()).collect();
    assert!(
        messages[0].contains("index signature") && messages[1].contains("color"),
        "{messages:?}"
    );
    assert_eq!(columns(&read.tables[0]), "a: text");
}

#[test]
fn defaults_are_literals_of_the_columns_type() {
    let read = with(
        "const later = { a: 1 } as const;
         export const T = db.defineTable<{ s: string; n: number; b: boolean; j: unknown; o: object; neg: number; x: number; y: string; nothing?: string }>('t', {
           defaults: { s: \"it's\", n: 1.5, b: true, j: [1, 'a'], o: later, neg: -3, x: 'no', y: compute(), nothing: null } });",
        &[],
    );
    assert!(read.errors.is_empty(), "{:?}", read.errors);
    let defaults: Vec<_> = read.tables[0]
        .columns
        .iter()
        .map(|c| c.default.clone().unwrap_or(Value::Null))
        .collect();
    let expected = [
        json!("it's"),
        json!(1.5),
        json!(true),
        json!([1, "a"]),
        json!({"a": 1}),
        json!(-3),
        json!(null),
        json!(null),
        json!(null),
    ];
    assert_eq!(defaults, expected);
    assert_eq!(
        read.warnings.len(),
        1,
        "only the text for a number is odd: {:?}",
        read.warnings
    );
}

#[test]
fn tags_above_a_property_and_above_the_table() {
    let files = [(
        "base.ts",
        "export interface Base {\n  /**\n   * How many.\n   * @cast\n   * @renamed from=count\n   */\n  readonly amount: number;\n}",
    )];
    let table = one(
        "import { Base } from './base';
         /** Those who sell.
          * @renamed from=\"old vendors\" */
         export const T = db.defineTable<Partial<Base> & {
           /** @cast */ a: string;
           /** @castle */ b: string;
           // @cast
           c: string;
           /* @renamed from=x */
           d: string;
           /** @renamed from='e 1' */ e: string;
           /** @renamed from=f */
           f: string;
         }>('t');",
        &files,
    );
    assert_eq!(table.renamed_from.as_deref(), Some("old vendors"));
    let tags: Vec<_> = table
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.cast, c.renamed_from.as_deref()))
        .collect();
    let expected = [
        ("amount", true, Some("count")),
        ("a", true, None),
        ("b", false, None),
        ("c", false, None),
        ("d", false, None),
        ("e", false, Some("e 1")),
        ("f", false, None),
    ];
    assert_eq!(tags, expected);
    // Behind a property it might mean that one or the next.
    let read = with(
        "export const T = db.defineTable<{\n  a: string; /** @cast */\n  b: string }>('t');",
        &[],
    );
    assert!(read.tables[0].columns.iter().all(|column| !column.cast));
    assert_eq!(
        (
            read.warnings.len(),
            read.warnings[0].line,
            read.warnings[0].column
        ),
        (1, Some(3), Some(14))
    );
}

#[test]
fn system_columns_that_an_app_declares_itself() {
    let read = with(
        "export const T = db.defineTable<{ id: string; created_at: number; createdAt: number; updatedAt: Date; lastUpdatedBy?: string; a: string }>('t', { unique: [['id']] });",
        &[],
    );
    assert!(read.errors.is_empty());
    let table = &read.tables[0];
    assert_eq!(
        columns(table),
        "createdAt?: number, updatedAt?: number, lastUpdatedBy?: text, a: text"
    );
    let from: Vec<_> = table
        .columns
        .iter()
        .map(|c| c.computed_from.as_deref())
        .collect();
    assert_eq!(
        from,
        [
            Some("created_at"),
            Some("updated_at"),
            Some("last_updated_by"),
            None
        ]
    );
    assert!(
        read.warnings.len() == 1 && read.warnings[0].message.contains("updatedAt"),
        "{:?}",
        read.warnings
    );
}

#[test]
fn every_wrong_field_of_the_manifest_is_said_at_once() {
    let app = App::new(&[(
        "t.ts",
        &format!(
            "{DB}export const T = db.defineTable<{{ a: string }}>('real'); export const U = db.defineTable<{{}}>('REAL');"
        ),
    )]);
    app.file(
        "mindstudio.json",
        r#"{"name": 5, "methods": "whatever", "tables": [
            {"name": "t", "path": "t.ts", "export": "T"},
            {"name": 5, "path": 5},
            "x",
            {"name": "u", "path": "gone/u.ts", "export": "U"},
            {"name": "u", "path": "../u.ts", "export": "U"},
            {"name": "u", "path": "t.ts", "export": "U"}]}"#,
    );
    let read = app.tables();
    let pointers: Vec<_> = read
        .errors
        .iter()
        .map(|e| (e.file.as_str(), e.pointer.as_deref().unwrap()))
        .collect();
    let expected = [
        "/tables/1/name",
        "/tables/1/path",
        "/tables/1/export",
        "/tables/2",
        "/tables/4/path",
        "/tables/3/path",
        "/tables/5",
    ];
    assert_eq!(
        pointers,
        expected.map(|pointer| ("mindstudio.json", pointer))
    );
    assert!(read.errors[5].message.contains("gone/u.ts"));
    assert!(
        read.errors[6].message.contains("/tables/0"),
        "two tables of one name: {}",
        read.errors[6]
    );
    // The name that counts is the table's own.
    assert_eq!(read.tables[0].name, "real");
    assert_eq!(read.warnings[0].pointer.as_deref(), Some("/tables/0/name"));
    // Each has its place: that of the value, or of what lacks one. The line is not shown, which may
    // hold a secret.
    let places: Vec<_> = read
        .errors
        .iter()
        .map(|e| (e.line.unwrap(), e.column.unwrap(), e.source.as_deref()))
        .collect();
    let expected = [
        (3, 22),
        (3, 33),
        (3, 13),
        (4, 13),
        (6, 35),
        (5, 35),
        (7, 13),
    ];
    assert_eq!(places, expected.map(|(line, column)| (line, column, None)));
    assert_eq!(
        (read.warnings[0].line, read.warnings[0].column),
        (Some(2), Some(22))
    );
    assert!(
        read.errors[0]
            .to_string()
            .starts_with("mindstudio.json /tables/1/name, line 3, column 22: has to be")
    );
}

#[test]
fn a_manifest_that_is_no_object_with_tables_is_said_with_its_place() {
    let app = App::new(&[]);
    app.file("mindstudio.json", "{\n  \"tables\": [,]\n}");
    let read = app.tables();
    assert_eq!(
        (read.errors[0].line, read.errors[0].column),
        (Some(2), Some(14)),
        "{:?}",
        read.errors
    );
    app.file("mindstudio.json", "[]");
    assert_eq!(app.tables().errors[0].pointer.as_deref(), Some(""));
    app.file("mindstudio.json", r#"{"tables": {}}"#);
    assert_eq!(app.tables().errors[0].pointer.as_deref(), Some("/tables"));
    app.file("mindstudio.json", r#"{"name": "no tables"}"#);
    assert!(app.tables().errors.is_empty() && app.tables().tables.is_empty());
    assert!(
        tables(Path::new("/nowhere/mindstudio.json")).errors[0]
            .message
            .contains("cannot be read")
    );
}

#[test]
fn a_table_entry_needs_no_name_since_its_file_says_it() {
    let app = App::new(&[(
        "t.ts",
        &format!("{DB}export const T = db.defineTable<{{ a: string }}>('real');"),
    )]);
    for entry in [
        json!({"path": "t.ts", "export": "T"}),
        json!({"name": null, "path": "t.ts", "export": "T"}),
    ] {
        app.file("mindstudio.json", &json!({"tables": [entry]}).to_string());
        let read = app.tables();
        assert!(
            read.errors.is_empty() && read.warnings.is_empty(),
            "{read:?}"
        );
        assert_eq!(read.tables[0].name, "real");
    }
}

#[test]
fn a_secret_in_what_is_not_json_is_not_shown() {
    let app = App::new(&[]);
    for (text, shown) in [
        (
            r#"{"é": "ü\"}", "secret": "whsec_TOP" "b": 1}"#,
            r#"{"é": "****", "secret": "*********" "b": *}"#,
        ),
        (
            r#"{"secret": whsec_TOP, "b": 1}"#,
            r#"{"secret": *********, "b": *}"#,
        ),
        (
            r#"{"secret": "whsec_TOP": "b"}"#,
            r#"{"secret": "*********": "*"}"#,
        ),
        (
            r#"{"secret": "whsec_TOP, "b": 1}"#,
            r#"{"secret": "***********"*"****"#,
        ),
    ] {
        app.file("mindstudio.json", text);
        let fault = app.tables().errors.remove(0);
        assert!(!fault.to_string().contains("whsec"), "{fault}");
        assert!(fault.column.is_some(), "{fault}");
        assert_eq!(fault.source.as_deref(), Some(shown));
    }
}

#[test]
fn a_table_path_may_turn_back_within_the_app() {
    let app = App::new(&[(
        "t.ts",
        &format!("{DB}export const T = db.defineTable<{{ a: string }}>('t');"),
    )]);
    let read = |path: &str| {
        app.file(
            "mindstudio.json",
            &format!(r#"{{"tables": [{{"name": "t", "path": "{path}", "export": "T"}}]}}"#),
        );
        app.tables()
    };
    for path in ["q/../t.ts", "./q/./r/../../t.ts"] {
        assert!(
            read(path).errors.is_empty(),
            "{path}: {:?}",
            read(path).errors
        );
    }
    for path in ["../t.ts", "q/../../t.ts", "q/../../q/t.ts", "/t.ts"] {
        assert_eq!(
            read(path).errors[0].message,
            "leads out of the app's folder",
            "{path}"
        );
    }
}

#[test]
fn every_fault_of_every_table_is_said_at_once() {
    let app = App::new(&[
        (
            "a.ts",
            &format!(
                "{DB}export let A = db.defineTable<{{\n  one: bigint;\n  /** @renamed old */\n  two: symbol;\n  three: string;\n  Three: string;\n}}>(\
                 name(), {{\n  unique: [['one'], ['four']],\n  defaults: {{ two: 1, five: 1 }} }});\n\
                 export const B = db.defineTable<Missing>('_remy_b', {{ unique: 'x', defaults: {{ any: 1 }}, ...more }});"
            ),
        ),
        ("c.ts", "export const C = ;"),
        (
            "d.ts",
            &format!("{DB}export const D = db.defineTable<{{ a: bigint }}>('d');"),
        ),
    ]);
    let table = |path: &str, export: &str| json!({"name": export, "path": path, "export": export});
    let nameless = json!({"name": 5, "path": "d.ts", "export": "D"});
    let tables = [
        table("a.ts", "A"),
        table("a.ts", "B"),
        table("c.ts", "C"),
        table("c.ts", "C2"),
        nameless,
        table("no.ts", "E"),
    ];
    app.file("mindstudio.json", &json!({"tables": tables}).to_string());
    let read = app.tables();
    let told: Vec<_> = read
        .errors
        .iter()
        .map(|e| (e.file.as_str(), e.line, e.message.as_str()))
        .collect();
    let expected = [
        ("mindstudio.json", Some(1), "has to be a text"),
        ("a.ts", Some(2), "A is no const"),
        ("a.ts", Some(8), "expected the table's name as a literal"),
        ("a.ts", Some(3), "A.one is a bigint"),
        ("a.ts", Some(5), "expected @renamed from=old"),
        ("a.ts", Some(5), "A.two is a symbol"),
        ("a.ts", Some(7), "three and Three of A differ"),
        ("a.ts", Some(9), "unique names four"),
        ("a.ts", Some(10), "defaults names five"),
        ("a.ts", Some(11), "\"_remy_b\" cannot be a table's name"),
        ("a.ts", Some(11), "the row type cannot be resolved"),
        ("a.ts", Some(11), "expected lists of column names"),
        ("a.ts", Some(11), "not a spread"),
        ("c.ts", Some(1), "syntax error"),
        ("d.ts", Some(2), "d.a is a bigint"),
        ("mindstudio.json", Some(1), "there is no file"),
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert_eq!(
            (told.0, told.1),
            (expected.0, expected.1),
            "{told:?}, not {expected:?}"
        );
        assert!(told.2.contains(expected.2), "{told:?}, not {expected:?}");
    }
    assert!(
        read.tables.is_empty() && read.warnings.is_empty(),
        "{read:?}"
    );
}

// ---- Inputs of methods --------------------------------------------------------------------------------------------

/// The schema of `async function f(input: …)`, without its `$schema`, and the messages of its
/// warnings.
fn schema(before: &str, of: &str) -> (Value, Vec<String>) {
    let app = App::new(&[(
        "m.ts",
        &format!("{before}\nexport async function f(input: {of}) {{ return 1; }}"),
    )]);
    let mut input = app.input("m.ts", "f");
    assert!(input.errors.is_empty() && input.exported, "{input:?}");
    assert_eq!((input.function, input.is_async), (Some(true), Some(true)));
    let draft = input
        .schema
        .as_object_mut()
        .unwrap()
        .shift_remove("$schema");
    assert_eq!(
        draft,
        Some(json!("https://json-schema.org/draft/2020-12/schema"))
    );
    (
        input.schema,
        input.warnings.iter().map(ToString::to_string).collect(),
    )
}

fn schemas_of_types(of: &str, expected: Value) {
    let (schema, warnings) = schema("", of);
    assert_eq!(schema, expected);
    assert!(warnings.is_empty(), "{warnings:?}");
}

cases! { schemas_of_types:
    {
        string("string", json!({"type": "string"})),
        nullable(
            "number | null",
            json!({"anyOf": [{"type": "number"}, {"type": "null"}]}),
        ),
        literals(
            "'a' | 'b' | 1",
            json!({"anyOf": [{"type": "string", "enum": ["a", "b"]}, {"type": "number", "const": 1}]}),
        ),
        boolean_or_nothing("boolean | undefined", json!({"type": "boolean"})),
        true_or_false("true | false", json!({"type": "boolean"})),
        date("Date", json!({"type": "string", "format": "date-time"})),
        array(
            "string[]",
            json!({"type": "array", "items": {"type": "string"}}),
        ),
        tuple(
            "[string, number?, ...boolean[]]",
            json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}], "items": {"type": "boolean"}, "minItems": 1}),
        ),
        unknown("unknown", json!({})),
        record(
            "Record<string, number>",
            json!({"type": "object", "additionalProperties": {"type": "number"}}),
        ),
        object(
            "{ a: string; b?: number; c: boolean | undefined }",
            json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "number"}, "c": {"type": "boolean"}}, "required": ["a"]}),
        ),
        pick(
            "Pick<{ a: string; b: 1 }, 'a'>",
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}),
        ),
        branded("string & { __brand: 'x' }", json!({"type": "string"})),
        union(
            "{ kind: 'a' } | { kind: 'b' }",
            json!({"anyOf": [
                {"type": "object", "properties": {"kind": {"type": "string", "const": "a"}}, "required": ["kind"]},
                {"type": "object", "properties": {"kind": {"type": "string", "const": "b"}}, "required": ["kind"]}]}),
        ),
    }
}

#[test]
fn the_schema_of_an_enum() {
    assert_eq!(
        schema("enum E { A = 'a', B = 'b' }", "E").0,
        json!({"type": "string", "enum": ["a", "b"]})
    );
}

#[test]
fn partial_and_required_are_of_each_member_of_a_union() {
    let before = "type A = { kind: 'a' }; type B = { kind?: 'b' | undefined } | null;";
    let object = |kind: &str| json!({"type": "object", "properties": {"kind": {"type": "string", "const": kind}}});
    let required = |kind: &str| {
        let mut object = object(kind);
        object["required"] = json!(["kind"]);
        object
    };
    let nothing = json!({"type": "null"});
    assert_eq!(
        schema(before, "Partial<A | B>").0,
        json!({"anyOf": [object("a"), object("b"), nothing]})
    );
    assert_eq!(
        schema(before, "Required<A | B>").0,
        json!({"anyOf": [required("a"), required("b"), nothing]})
    );
}

#[test]
fn each_instantiation_of_a_generic_type_has_its_own_definition() {
    let before =
        "type Tree<T> = { value: T; children: Tree<T>[] };\ntype Holder<T> = { tree: Tree<T[]> };";
    let (schema, _) = schema(before, "{ a: Holder<string>; b: Holder<number> }");
    let value = |holder: &str| {
        let tree = schema["properties"][holder]["properties"]["tree"]["$ref"]
            .as_str()
            .unwrap();
        schema
            .pointer(&format!("{}/properties/value", &tree[1..]))
            .unwrap()
    };
    assert_eq!(
        value("a"),
        &json!({"type": "array", "items": {"type": "string"}})
    );
    assert_eq!(
        value("b"),
        &json!({"type": "array", "items": {"type": "number"}})
    );
}

#[test]
fn descriptions_come_from_jsdoc() {
    let before = "/** What to order.\n * @example x */\nexport interface Order {\n  /** How many. */\n  count: number;\n  address: Address;\n}\n/** Where to. */ interface Address { street: string }";
    let expected = json!({"type": "object", "description": "What to order.", "properties": {
        "count": {"type": "number", "description": "How many."},
        "address": {"type": "object", "description": "Where to.", "properties": {"street": {"type": "string"}}, "required": ["street"]}},
        "required": ["count", "address"]});
    assert_eq!(schema(before, "Order").0, expected);
    let app = App::new(&[(
        "m.ts",
        "/** Does it.\n * @param input x */\nexport async function f(input: {}) {}",
    )]);
    assert_eq!(
        app.input("m.ts", "f").description.as_deref(),
        Some("Does it.")
    );
}

#[test]
fn recursive_types_are_definitions() {
    let (schema, warnings) = schema(
        "interface Node { value: number; children: Node[] }",
        "{ root: Node; other: Node }",
    );
    assert_eq!(
        schema,
        json!({"type": "object", "properties": {"root": {"$ref": "#/$defs/Node"}, "other": {"$ref": "#/$defs/Node"}}, "required": ["root", "other"],
            "$defs": {"Node": {"type": "object", "properties": {"value": {"type": "number"}, "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
                "required": ["value", "children"]}}})
    );
    assert!(warnings.is_empty());
    let (schema, _) = self::schema(
        "type Json = string | Json[] | { [k: string]: Json };",
        "Json",
    );
    assert_eq!(schema["$ref"], json!("#/$defs/Json"));
    assert_eq!(
        schema["$defs"]["Json"]["anyOf"][1],
        json!({"type": "array", "items": {"$ref": "#/$defs/Json"}})
    );
    // Each use of a generic type is a type of its own.
    let (schema, _) = self::schema(
        "interface List<T> { of: T; next?: List<T> }",
        "{ a: List<string>; b: List<number> }",
    );
    assert_eq!(
        schema["$defs"]["List"]["properties"]["of"],
        json!({"type": "string"})
    );
    assert_eq!(
        schema["$defs"]["List2"]["properties"]["of"],
        json!({"type": "number"})
    );
    // One that grows without end stops, and says so.
    let (_, warnings) = self::schema(
        "interface Grow<T> { of: T; next: Grow<T[]> }",
        "Grow<string>",
    );
    assert!(
        warnings.iter().any(|w| w.contains("without end")),
        "{warnings:?}"
    );
}

#[test]
fn what_is_not_known_takes_anything_and_is_said() {
    let (schema, warnings) = schema(
        "import { Far } from 'far';",
        "{\n  a: Far;\n  b: bigint; c: string }",
    );
    assert_eq!(
        schema["properties"],
        json!({"a": {}, "b": {}, "c": {"type": "string"}})
    );
    assert_eq!(warnings.len(), 2);
    assert!(
        warnings[0].contains("m.ts, line 3, column 3") && warnings[0].contains("far"),
        "{warnings:?}"
    );
    let app = App::new(&[(
        "m.ts",
        "export async function f(input) {}\nexport const g = async () => 1;",
    )]);
    let input = app.input("m.ts", "f");
    assert_eq!(
        (
            input.schema.as_object().unwrap().len(),
            input.warnings.len()
        ),
        (1, 1),
        "only $schema: {input:?}"
    );
    assert_eq!(app.input("m.ts", "g").schema["properties"], json!({}));
}

/// The platform puts it in, and no caller gives it: it is no parameter of an API's documentation,
/// nor of a tool.
#[test]
fn the_request_that_the_platform_puts_in_is_no_parameter() {
    let plain =
        json!({"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]});
    let before =
        "interface ApiRequest { method: string; headers: Record<string, string>; rawBody: Unknown }
                  interface Base { _request: ApiRequest } type Input = { id: string } & Base;
                  interface Own extends Base { id: string }";
    for of in [
        "{ id: string; _request: ApiRequest }",
        "{ id: string; _request?: { method: string } }",
        "Input",
        "Own",
        "Readonly<Own>",
        "Own | undefined",
    ] {
        assert_eq!(schema(before, of), (plain.clone(), vec![]), "{of}");
    }
    let (either, _) = schema(before, "Own | { _request: ApiRequest; n: 1 }");
    assert!(
        either["anyOf"].as_array().is_some_and(|all| all.len() == 2),
        "{either}"
    );
    assert!(!either.to_string().contains("_request"), "{either}");
    let (recursive, _) = schema("interface Tree { _request: string; of: Tree[] }", "Tree");
    assert!(!recursive.to_string().contains("_request"), "{recursive}");
    assert_eq!(
        schema(before, "Base").0,
        json!({"type": "object", "properties": {}})
    );
    // Within a value it is the caller's own.
    let (inner, _) = schema(
        "",
        "{ body: { _request: string }; all: { _request: number }[] }",
    );
    assert_eq!(inner["properties"]["body"]["required"], json!(["_request"]));
    assert_eq!(
        inner["properties"]["all"]["items"]["required"],
        json!(["_request"])
    );
}

#[test]
fn whether_a_method_is_there() {
    let app = App::new(&[
        (
            "m.ts",
            "export async function a(input: {}) {}
             export const b = async (input: { x: string }) => {};
             export function c() {}
             export const d = 5;
             export const e = wrap(async () => {});
             export interface F {}
             const g = async ({ x }: { x: number }) => x; export { g, g as h };
             export { i } from './n';
             export default async function (input: { y: boolean }) {}
             export class J {}
             export let k = null; k = async () => {};
             export const l = { run: async () => {} } as const;",
        ),
        ("n.ts", "export async function i(input: string) {}"),
        ("broken.ts", "export async function f( {"),
    ]);
    let of = |name: &str| {
        let input = app.input("m.ts", name);
        (input.exported, input.function, input.is_async)
    };
    assert_eq!(of("a"), (true, Some(true), Some(true)));
    assert_eq!(of("b"), (true, Some(true), Some(true)));
    assert_eq!(of("c"), (true, Some(true), Some(false)));
    assert_eq!(of("d"), (true, Some(false), Some(false)));
    assert_eq!(of("e"), (true, None, None));
    assert_eq!(
        of("F"),
        (false, None, None),
        "a type is no export at run time"
    );
    assert_eq!(of("h"), (true, Some(true), Some(true)));
    assert_eq!(app.input("m.ts", "h").schema["required"], json!(["x"]));
    assert_eq!(app.input("m.ts", "i").schema["type"], json!("string"));
    assert_eq!(
        app.input("m.ts", "default").schema["required"],
        json!(["y"])
    );
    assert_eq!(of("J"), (true, Some(false), Some(false)));
    assert_eq!(
        of("k"),
        (true, None, None),
        "it may be given a function later"
    );
    assert_eq!(of("l"), (true, Some(false), Some(false)));
    assert_eq!(of("m"), (false, None, None));
    let [fault] = &app.input("m.ts", "d").errors[..] else {
        panic!("one fault")
    };
    assert_eq!(
        (
            fault.line,
            fault.column,
            fault.message.starts_with("d is a number, no function")
        ),
        (Some(4), Some(31), true)
    );
    assert_eq!(app.input("m.ts", "J").errors[0].line, Some(10));
    assert!(app.input("m.ts", "e").errors.is_empty());
    let broken = app.input("broken.ts", "f");
    assert!(
        !broken.exported && broken.errors[0].line == Some(1),
        "{broken:?}"
    );
    assert_eq!(app.input("gone.ts", "f").errors.len(), 1);
}

#[test]
fn logical_types_have_names() {
    for of in [
        Logical::Text,
        Logical::Number,
        Logical::Boolean,
        Logical::Json,
        Logical::User,
    ] {
        assert_eq!(serde_json::to_value(of).unwrap(), json!(of.name()));
        assert_eq!(Logical::named(of.name()), Some(of));
    }
}
