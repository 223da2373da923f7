//! One table: `export const Vendors = db.defineTable<Row>('vendors', { unique, defaults, database
//! })`.

use crate::{
    schema::{
        app::{self, AppColumn, AppTable, system},
        logical::Logical,
    },
    typescript::{
        Fault,
        constants::{constant, plain},
        files::{File, Files, Meaning, Resolution, SDK},
        scope::Value,
        types::{Property, Site, Thunk, Type, Types, Undeclared},
    },
};
use oxc_ast::ast::{
    CallExpression, Expression, ObjectExpression, ObjectPropertyKind, VariableDeclarator,
};
use oxc_span::GetSpan;
use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    rc::Rc,
};

/// What one table's file says.
pub(super) struct TableFile {
    pub table: Option<AppTable>,
    pub errors: Vec<Fault>,
    pub warnings: Vec<Fault>,
}

const PATTERN: &str =
    "export const X = db.defineTable<Row>('name', { … }), with db from '@mindstudio-ai/agent'";

/// Reads the table that `path` exports as `export`.
pub(super) fn read(files: &Files<'_>, path: &Path, export: &str) -> TableFile {
    let mut reader = Reader {
        types: Types::new(files),
        errors: Vec::new(),
        warnings: Vec::new(),
    };
    let table = match files.open(path) {
        Ok(file) => reader.table(&file, export),
        Err(fault) => {
            reader.errors.push(*fault);
            None
        }
    };
    let table = table.filter(|_| reader.errors.is_empty());
    TableFile {
        table,
        errors: reader.errors,
        warnings: reader.warnings,
    }
}

struct Reader<'f, 'a> {
    types: Types<'f, 'a>,
    errors: Vec<Fault>,
    warnings: Vec<Fault>,
}

impl<'a> Reader<'_, 'a> {
    fn wrong(&mut self, file: &File<'a>, at: u32, message: impl Into<String>) {
        self.errors.push(file.fault(at, message));
    }

    fn table(&mut self, file: &Rc<File<'a>>, export: &str) -> Option<AppTable> {
        let (file, declarator, statement) = self.constant(file, export)?;
        for at in &file.stray {
            let message =
                "this tag belongs to no property: it has no effect, unless it stands above one";
            self.warnings.push(file.fault(*at, message));
        }
        let call = match self.definition(&file, declarator, export) {
            Ok(call) => call,
            Err((at, why)) => {
                self.wrong(&file, at, format!("{why}: a table is {PATTERN}"));
                return None;
            }
        };
        // From here on a fault does not end the reading: all of them are reported at once.
        let name = self.name(&file, call).unwrap_or_else(|| export.to_owned());
        let mut table = AppTable {
            name,
            export: export.to_owned(),
            file: file.shown.clone(),
            ..AppTable::default()
        };
        let tags = self.tags(&file, statement);
        table.renamed_from = tags.renamed_from;
        if tags.cast {
            self.wrong(&file, statement, "@cast belongs above a property");
        }
        let rows = self.row(&file, call);
        let kinds = rows.map(|rows| {
            let of: Vec<_> = rows.iter().map(|property| property.of.clone()).collect();
            let kinds = self.columns(&mut table, rows);
            // What is within a column's type makes no other column: a warning. Last, since it uses
            // up what may be followed.
            let mut seen = HashSet::new();
            of.iter()
                .for_each(|of| self.types.look_through(of, &mut seen));
            for fault in self.undeclared() {
                if !self.errors.contains(&fault) && !self.warnings.contains(&fault) {
                    self.warnings.push(fault);
                }
            }
            kinds
        });
        self.options(&file, call, &mut table, kinds.as_ref());
        Some(table)
    }

    /// The variable that is exported as `export`: its file, its declarator, and where its statement
    /// starts. One that is no `const` is an error, and is returned.
    fn constant(
        &mut self,
        file: &Rc<File<'a>>,
        export: &str,
    ) -> Option<(Rc<File<'a>>, &'a VariableDeclarator<'a>, u32)> {
        let message = match self.types.files.exported(file, export, Meaning::Value) {
            Resolution::Value(
                file,
                Value::Variable {
                    declarator,
                    constant,
                    statement,
                },
            ) => {
                if !constant {
                    let message = format!("{export} is no const: a table is {PATTERN}");
                    self.wrong(&file, declarator.span.start, message);
                }
                return Some((file, declarator, statement));
            }
            Resolution::Unresolved(why) => {
                // The file stands before the message already.
                why.strip_prefix(&format!("{} does not export ", file.shown))
                    .map_or_else(|| why.clone(), |name| format!("{name} is not exported"))
            }
            _ => format!("{export} is no table"),
        };
        let message = format!("{message}: a table is {PATTERN}");
        self.errors.push(Fault::of_file(&file.shown, message));
        None
    }

    /// The call of `db.defineTable` that a variable is set to; else where it is not, and why.
    fn definition(
        &self,
        file: &Rc<File<'a>>,
        declarator: &'a VariableDeclarator<'a>,
        export: &str,
    ) -> Result<&'a CallExpression<'a>, (u32, String)> {
        let Some(init) = &declarator.init else {
            return Err((declarator.span.start, format!("{export} has no value")));
        };
        let Expression::CallExpression(call) = plain(init) else {
            let why = "expected a call of db.defineTable".to_owned();
            return Err((init.span().start, why));
        };
        self.is_define_table(file, &call.callee)
            .map_err(|why| (call.callee.span().start, why))?;
        Ok(call)
    }

    fn is_define_table(&self, file: &Rc<File<'a>>, callee: &Expression<'a>) -> Result<(), String> {
        let expected = || "expected db.defineTable".to_owned();
        let Expression::StaticMemberExpression(callee) = plain(callee) else {
            return Err(expected());
        };
        if callee.property.name != "defineTable" {
            return Err(format!(
                "expected defineTable, found {}",
                callee.property.name
            ));
        }
        let sdk = |name: &str| match self.types.files.find(file, name, Meaning::Value) {
            Resolution::Sdk(name) => Some(name),
            _ => None,
        };
        let (what, found) = match plain(&callee.object) {
            Expression::Identifier(id) => (id.name.to_string(), sdk(&id.name)),
            // `import * as sdk`: sdk.db.
            Expression::StaticMemberExpression(inner) => match plain(&inner.object) {
                Expression::Identifier(id) if sdk(&id.name).as_deref() == Some("*") => (
                    inner.property.name.to_string(),
                    Some(inner.property.name.to_string()),
                ),
                _ => return Err(expected()),
            },
            _ => return Err(expected()),
        };
        match found.as_deref() {
            Some("db") => Ok(()),
            _ => Err(format!("{what} is not the db of {SDK:?}")),
        }
    }

    fn name(&mut self, file: &Rc<File<'a>>, call: &'a CallExpression<'a>) -> Option<String> {
        let Some(first) = call.arguments.first() else {
            self.wrong(
                file,
                call.span.end.saturating_sub(1),
                "expected the table's name, such as 'vendors'",
            );
            return None;
        };
        let at = first.span().start;
        let Some(serde_json::Value::String(name)) = first
            .as_expression()
            .and_then(|e| constant(self.types.files, file, e))
        else {
            self.wrong(
                file,
                at,
                "expected the table's name as a literal, such as 'vendors'",
            );
            return None;
        };
        if let Some(why) = app::unfit_table_name(&name) {
            self.wrong(
                file,
                at,
                format!("{name:?} cannot be a table's name: {why}"),
            );
            return None;
        }
        Some(name)
    }

    /// The properties of the row type.
    fn row(
        &mut self,
        file: &Rc<File<'a>>,
        call: &'a CallExpression<'a>,
    ) -> Option<Vec<Property<'a>>> {
        let params = call
            .type_arguments
            .as_ref()
            .map_or(&[][..], |args| &args.params[..]);
        let [row] = params else {
            let at = call
                .type_arguments
                .as_ref()
                .map_or(call.callee.span().end, |args| args.span.start);
            self.wrong(
                file,
                at,
                format!(
                    "expected one row type, as in db.defineTable<{{ … }}>: a table is {PATTERN}"
                ),
            );
            return None;
        };
        let why = match self.types.head(&Thunk::Node(row, Site::of(file))) {
            Type::Object(object) if object.index.is_none() => return Some(object.properties),
            Type::Object(object) if !object.properties.is_empty() => {
                let message =
                    "the index signature makes no column; only the properties that are named do";
                self.warnings.push(file.fault(row.span().start, message));
                return Some(object.properties);
            }
            Type::Object(_) => "its columns are not named".to_owned(),
            Type::Union(_) => "it is a union; a row has to be one object type".to_owned(),
            Type::Unresolved(why) => why,
            _ => "it is no object type".to_owned(),
        };
        self.wrong(
            file,
            row.span().start,
            format!("the row type cannot be resolved: {why}"),
        );
        // Among the reasons, if it is one.
        self.types.take_undeclared();
        None
    }

    /// What is to be said of the names that nobody declares.
    fn undeclared(&self) -> Vec<Fault> {
        let told = |of: Undeclared<'a>| {
            let message = format!(
                "the type {} is neither declared nor imported, and no global one: correct its name, declare it or import it",
                of.name
            );
            of.file.fault(of.at, message)
        };
        self.types.take_undeclared().into_iter().map(told).collect()
    }

    /// Makes columns of the properties. Returns the logical type of each by its name, those of
    /// system columns too.
    fn columns(
        &mut self,
        table: &mut AppTable,
        properties: Vec<Property<'a>>,
    ) -> BTreeMap<String, Logical> {
        let mut kinds = BTreeMap::new();
        let mut lower: BTreeMap<String, String> = BTreeMap::new();
        for system in system::SYSTEM {
            kinds.insert(system.name.to_owned(), system.logical);
            lower.insert(system.name.to_owned(), system.name.to_owned());
        }
        for property in properties {
            let (name, file, at) = (&property.name, property.file.clone(), property.at);
            let key = name.to_lowercase();
            if let Some(other) = lower.get(&key).filter(|other| *other != name) {
                let message = format!(
                    "{} and {name} of {} differ in letter case only",
                    other, table.name
                );
                self.wrong(&file, at, message);
                continue;
            }
            if let Some(why) = app::unfit_column_name(name) {
                self.wrong(
                    &file,
                    at,
                    format!(
                        "{name:?} of {} cannot be a column's name: {why}",
                        table.name
                    ),
                );
                continue;
            }
            lower.insert(key, name.clone());
            let tags = self.tags(&file, at);
            // One that no column can hold is a column to those that name it.
            let (logical, required) = self
                .logical(table, &property)
                .unwrap_or((Logical::Json, false));
            if let Some(system) = system::SYSTEM.iter().find(|system| system.name == name) {
                if logical != system.logical {
                    let message = format!(
                        "{name} is a column of every table, {}; that {} declares it as {logical} has no effect",
                        system.logical, table.name
                    );
                    self.warnings.push(file.fault(at, message));
                }
                continue;
            }
            let twin = system::SYSTEM
                .iter()
                .find(|system| system.twin == Some(name.as_str()));
            if let Some(system) = twin {
                if logical != system.logical {
                    let message = format!(
                        "{name} is computed from {}, {}; declared as {logical}",
                        system.name, system.logical
                    );
                    self.warnings.push(file.fault(at, message));
                }
                kinds.insert(name.clone(), system.logical);
            } else {
                kinds.insert(name.clone(), logical);
            }
            table.columns.push(AppColumn {
                name: name.clone(),
                logical: twin.map_or(logical, |system| system.logical),
                required: required && twin.is_none(),
                default: None,
                cast: tags.cast,
                renamed_from: tags.renamed_from.filter(|from| from != name),
                computed_from: twin.map(|system| system.name.to_owned()),
            });
        }
        kinds
    }

    /// The logical type of a property, and whether there has to be a value.
    fn logical(&mut self, table: &AppTable, property: &Property<'a>) -> Option<(Logical, bool)> {
        let (mut found, mut required, mut unknown) = (Vec::new(), !property.optional, None);
        for of in self.types.members(&property.of) {
            let logical = match of {
                Type::Null | Type::Undefined => {
                    required = false;
                    continue;
                }
                Type::Never => continue,
                Type::String | Type::Template | Type::Text(_) => Logical::Text,
                Type::Number | Type::Numeral(_) => Logical::Number,
                Type::Boolean | Type::Truth(_) => Logical::Boolean,
                Type::User => Logical::User,
                Type::BigInt | Type::Symbol | Type::Function => {
                    let what = match of {
                        Type::BigInt => "a bigint, which no column can hold; use number or string",
                        Type::Symbol => "a symbol, which no column can hold",
                        _ => "a function, which no column can hold",
                    };
                    let message = format!("{}.{} is {what}", table.name, property.name);
                    self.wrong(&property.file, property.at, message);
                    return None;
                }
                Type::Unresolved(why) => {
                    unknown = Some(why);
                    continue;
                }
                Type::Any
                | Type::Date
                | Type::Object(_)
                | Type::SomeObject
                | Type::Array(_)
                | Type::Tuple(_)
                | Type::Union(_) => Logical::Json,
            };
            found.push(logical);
        }
        let undeclared = self.undeclared();
        if !undeclared.is_empty() {
            // A column of it would be a guess. A type may be written out in many places.
            for fault in undeclared {
                if !self.errors.contains(&fault) {
                    self.errors.push(fault);
                }
            }
            return Some((Logical::Json, required));
        }
        if let Some(why) = unknown {
            let message = format!(
                "the type of {}.{} cannot be resolved ({why}): it becomes a TEXT column for any value",
                table.name, property.name
            );
            self.warnings
                .push(property.file.fault(property.at, message));
            return Some((Logical::Json, required));
        }
        let one = found.first().copied().unwrap_or(Logical::Json);
        Some((
            if found.iter().all(|of| *of == one) {
                one
            } else {
                Logical::Json
            },
            required,
        ))
    }

    /// `kinds` are those of [`Reader::columns`], where they are known.
    fn options(
        &mut self,
        file: &Rc<File<'a>>,
        call: &'a CallExpression<'a>,
        table: &mut AppTable,
        kinds: Option<&BTreeMap<String, Logical>>,
    ) {
        let Some(argument) = call.arguments.get(1) else {
            return;
        };
        let literal = argument.as_expression().map(plain);
        let Some(Expression::ObjectExpression(options)) = literal else {
            return self.wrong(
                file,
                argument.span().start,
                "expected the table's options as an object literal",
            );
        };
        if let Some(more) = call.arguments.get(2) {
            self.wrong(file, more.span().start, "expected no third argument");
        }
        for option in &options.properties {
            let ObjectPropertyKind::ObjectProperty(option) = option else {
                self.wrong(
                    file,
                    option.span().start,
                    "expected the table's options one by one, not a spread",
                );
                continue;
            };
            let at = option.value.span().start;
            match option.key.static_name().as_deref() {
                Some("unique") => self.unique(file, &option.value, table, kinds),
                Some("defaults") => match plain(&option.value) {
                    Expression::ObjectExpression(_) if kinds.is_none() => {}
                    Expression::ObjectExpression(defaults) => self.defaults(file, defaults, table),
                    _ => self.wrong(file, at, "expected the defaults as an object literal"),
                },
                // There is one database.
                Some("database") => {}
                Some(other) => {
                    let message = format!(
                        "the option {other} is not known here, and has no effect on the table"
                    );
                    self.warnings.push(file.fault(option.span.start, message));
                }
                None => self.wrong(file, option.span.start, "expected an option's name"),
            }
        }
    }

    fn unique(
        &mut self,
        file: &Rc<File<'a>>,
        value: &'a Expression<'a>,
        table: &mut AppTable,
        kinds: Option<&BTreeMap<String, Logical>>,
    ) {
        let at = value.span().start;
        let groups = constant(self.types.files, file, value);
        let Some(groups) =
            groups.and_then(|groups| serde_json::from_value::<Vec<Vec<String>>>(groups).ok())
        else {
            return self.wrong(
                file,
                at,
                "expected lists of column names, such as [['email'], ['org', 'number']]",
            );
        };
        for group in groups {
            if group.is_empty() {
                self.wrong(
                    file,
                    at,
                    "expected a column's name in every group of unique",
                );
                continue;
            }
            if let Some(kinds) = kinds
                && let Some(name) = group.iter().find(|name| !kinds.contains_key(*name))
            {
                let known = kinds.keys().cloned().collect::<Vec<_>>().join(", ");
                let message = format!(
                    "unique names {name}, which is no column of {}; {known} are",
                    table.name
                );
                self.wrong(file, at, message);
                continue;
            }
            if (1..group.len()).any(|i| group[..i].contains(&group[i])) {
                self.wrong(file, at, "a group of unique names a column twice");
                continue;
            }
            if !table.unique.contains(&group) {
                table.unique.push(group);
            }
        }
    }

    fn defaults(
        &mut self,
        file: &Rc<File<'a>>,
        defaults: &'a ObjectExpression<'a>,
        table: &mut AppTable,
    ) {
        for default in &defaults.properties {
            // What is not a literal is left to those who write: `push` and `upsert` apply it.
            let ObjectPropertyKind::ObjectProperty(default) = default else {
                continue;
            };
            let Some(name) = default.key.static_name() else {
                continue;
            };
            if system::SYSTEM.iter().any(|system| system.name == name) {
                continue;
            }
            let Some(column) = table.columns.iter_mut().find(|column| column.name == name) else {
                let message = format!(
                    "defaults names {name}, which is no column of {}",
                    table.name
                );
                self.wrong(file, default.span.start, message);
                continue;
            };
            let Some(value) = constant(self.types.files, file, &default.value) else {
                continue;
            };
            if value.is_null() {
                continue;
            }
            if app::stored(column.logical, &value).is_none() {
                let message = format!(
                    "the default of {name} is no {}: rows that are there do not read it",
                    column.logical
                );
                self.warnings
                    .push(file.fault(default.value.span().start, message));
                continue;
            }
            column.default = Some(value);
        }
    }

    fn tags(&mut self, file: &Rc<File<'a>>, at: u32) -> Tags {
        let mut tags = Tags::default();
        for line in file.docs(at).iter().flat_map(|text| text.lines()) {
            let Some(tag) = line.find('@').map(|start| &line[start..]) else {
                continue;
            };
            if let Some(rest) = tag.strip_prefix("@cast") {
                tags.cast |= !rest.starts_with(|c: char| c.is_alphanumeric());
            } else if let Some(rest) = tag.strip_prefix("@renamed") {
                match renamed_from(rest) {
                    Some(from) => tags.renamed_from = Some(from),
                    None => self
                        .errors
                        .push(file.fault(at, "expected @renamed from=old, with the old name")),
                }
            }
        }
        tags
    }
}

#[derive(Default)]
struct Tags {
    cast: bool,
    renamed_from: Option<String>,
}

/// `old` of ` from=old`, in quotes where it has spaces.
fn renamed_from(rest: &str) -> Option<String> {
    let name = rest
        .trim_start()
        .strip_prefix("from")?
        .trim_start()
        .strip_prefix('=')?
        .trim_start();
    let name = match name.chars().next()? {
        quote @ ('"' | '\'') => name[1..].split(quote).next()?,
        _ => name.split_whitespace().next()?,
    };
    Some(name.to_owned()).filter(|name| !name.is_empty())
}
