//! What a method takes, as a JSON Schema (draft 2020-12) of its input's type.

use crate::typescript::{
    self, Fault,
    files::{File, Files, Meaning, Resolution},
    scope::Value,
    types::{Object, Property, Site, Thunk, Type, Types},
};
use oxc_allocator::Allocator;
use oxc_ast::ast::{Expression, FormalParameters};
use oxc_span::GetSpan;
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    rc::Rc,
};

/// What a file says of a method that it exports.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MethodInput {
    /// The file exports this name, as a value.
    pub exported: bool,
    /// It is a function; `null` where that cannot be told without running it.
    pub function: Option<bool>,
    /// It is an async function; `null` as above.
    pub is_async: Option<bool>,
    /// What its JSDoc says of it.
    pub description: Option<String>,
    /// The JSON Schema of its first parameter. `{}`, which takes anything, where its type is not
    /// known.
    pub schema: Json,
    /// The file cannot be read, or not be parsed; or what it exports is no function.
    pub errors: Vec<Fault>,
    /// What the schema leaves open.
    pub warnings: Vec<Fault>,
}

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// What the platform puts into the input of an API call, the request itself: no caller gives it.
const REQUEST: &str = "_request";

/// Deeper than this no input is described.
const DEPTH: usize = 48;

/// Reads what the function that `path`, a file of the app in the folder `root`, exports as `export`
/// takes.
pub fn method_input(root: &Path, path: &Path, export: &str) -> MethodInput {
    typescript::with_room(|| {
        let arena = Allocator::default();
        let files = Files::new(&arena, root);
        let mut found = read(&files, &root.join(path), export);
        found.errors.extend(files.outside());
        found
    })
}

fn read<'a>(files: &Files<'a>, path: &Path, export: &str) -> MethodInput {
    let mut found = MethodInput {
        schema: json!({}),
        ..MethodInput::default()
    };
    let file = match files.open(path) {
        Ok(file) => file,
        Err(fault) => {
            found.errors.push(*fault);
            return found;
        }
    };
    let (file, value) = match files.exported(&file, export, Meaning::Value) {
        Resolution::Value(file, value) => (file, value),
        Resolution::Sdk(_) | Resolution::Module(_) => {
            found.exported = true;
            return found;
        }
        Resolution::Type(..) | Resolution::Undeclared(_) | Resolution::Unresolved(_) => {
            return found;
        }
    };
    found.exported = true;
    let (parameters, is_async, at) = match function(value) {
        Nature::Function(parameters, is_async, at) => (parameters, is_async, at),
        Nature::Other(what, at) => {
            (found.function, found.is_async) = (Some(false), Some(false));
            let message = format!(
                "{export} is {what}, no function: a method is an async function that its file exports by this name"
            );
            found.errors.push(file.fault(at, message));
            return found;
        }
        Nature::Unknown => return found,
    };
    (found.function, found.is_async) = (Some(true), Some(is_async));
    found.description = file.description(at);
    let mut writer = Writer {
        types: Types::new(files),
        within: Vec::new(),
        definitions: BTreeMap::new(),
        names: BTreeMap::new(),
        warnings: Vec::new(),
        said: BTreeSet::new(),
        values: 0,
    };
    let mut schema = match parameters.items.first() {
        None => json!({"type": "object", "properties": {}}),
        Some(parameter) => match &parameter.type_annotation {
            Some(annotation) => {
                let of = Thunk::Node(&annotation.type_annotation, Site::of(&file));
                writer.schema(&of, &file, parameter.span.start)
            }
            None => {
                let message = format!("the input of {export} has no type: anything is taken");
                writer
                    .warnings
                    .push(file.fault(parameter.span.start, message));
                json!({})
            }
        },
    };
    if let Some(object) = schema.as_object_mut() {
        let mut root = Map::new();
        root.insert("$schema".into(), DRAFT.into());
        root.append(object);
        let definitions: Map<String, Json> = std::mem::take(&mut writer.definitions)
            .into_iter()
            .collect();
        if !definitions.is_empty() {
            root.insert("$defs".into(), Json::Object(definitions));
        }
        found.schema = Json::Object(root);
    }
    found.warnings = writer.warnings;
    found
}

/// What an exported value is.
enum Nature<'a> {
    /// Its parameters, whether it is async, and where its JSDoc stands.
    Function(&'a FormalParameters<'a>, bool, u32),
    /// What it is instead, and where that stands.
    Other(&'static str, u32),
    /// Only running it tells: what a call gives, say.
    Unknown,
}

fn function(value: Value<'_>) -> Nature<'_> {
    let (expression, at, constant) = match value {
        Value::Function(function) => {
            return Nature::Function(&function.params, function.r#async, function.span.start);
        }
        Value::Class(class) => return Nature::Other("a class", class.span.start),
        Value::Enum(of) => return Nature::Other("an enum", of.span.start),
        Value::Expression(expression) => (expression, expression.span().start, true),
        Value::Variable {
            declarator,
            statement,
            constant,
        } => match &declarator.init {
            Some(init) => (init, statement, constant),
            None => return Nature::Unknown,
        },
    };
    // What is no constant may be given a function later.
    let other = |what, of: &Expression<'_>| match constant {
        true => Nature::Other(what, of.span().start),
        false => Nature::Unknown,
    };
    let mut inner = expression;
    loop {
        inner = match inner {
            Expression::ParenthesizedExpression(of) => &of.expression,
            Expression::TSAsExpression(of) => &of.expression,
            Expression::TSSatisfiesExpression(of) => &of.expression,
            Expression::ArrowFunctionExpression(arrow) => {
                return Nature::Function(&arrow.params, arrow.r#async, at);
            }
            Expression::FunctionExpression(of) => {
                return Nature::Function(&of.params, of.r#async, at);
            }
            Expression::StringLiteral(_) | Expression::TemplateLiteral(_) => {
                return other("a text", inner);
            }
            Expression::NumericLiteral(_) => return other("a number", inner),
            Expression::BooleanLiteral(_) => return other("true or false", inner),
            Expression::NullLiteral(_) => return other("null", inner),
            Expression::ObjectExpression(_) => return other("an object", inner),
            Expression::ArrayExpression(_) => return other("a list", inner),
            Expression::ClassExpression(_) => return other("a class", inner),
            _ => return Nature::Unknown,
        };
    }
}

struct Writer<'f, 'a> {
    types: Types<'f, 'a>,
    /// The declarations that are being written, and whether one of them is referred to from within.
    within: Vec<(String, String, bool)>,
    definitions: BTreeMap<String, Json>,
    /// The name of each declaration that has a definition, by its key.
    names: BTreeMap<String, String>,
    warnings: Vec<Fault>,
    said: BTreeSet<String>,
    /// How many values the one that is written is within: none for the input itself.
    values: usize,
}

impl<'a> Writer<'_, 'a> {
    /// The schema of a type that stands at `at`.
    fn schema(&mut self, of: &Thunk<'a>, file: &Rc<File<'a>>, at: u32) -> Json {
        let Some(declared) = self.types.reference(of) else {
            return self.plain(of, file, at);
        };
        if let Some(name) = self
            .names
            .get(&declared.key)
            .filter(|name| self.definitions.contains_key(*name))
        {
            return reference(name);
        }
        if let Some(open) = self
            .within
            .iter_mut()
            .find(|(key, ..)| *key == declared.key)
        {
            open.2 = true;
            return reference(&open.1);
        }
        let name = self.free_name(declared.name, &declared.key);
        self.within
            .push((declared.key.clone(), name.clone(), false));
        let mut schema = self.plain(&Thunk::Named(declared.clone()), file, at);
        let recursive = self.within.pop().is_some_and(|(.., recursive)| recursive);
        let described = declared.site_file().description(declared.at);
        if let (Some(object), Some(text)) = (schema.as_object_mut(), described)
            && !object.contains_key("description")
        {
            object.insert("description".into(), text.into());
        }
        if !recursive {
            return schema;
        }
        self.definitions.insert(name.clone(), schema);
        reference(&name)
    }

    fn free_name(&mut self, name: &str, key: &str) -> String {
        if let Some(name) = self.names.get(key) {
            return name.clone();
        }
        let taken = |name: &String| self.names.values().any(|taken| taken == name);
        let mut free = name.to_owned();
        for n in 2.. {
            if !taken(&free) {
                break;
            }
            free = format!("{name}{n}");
        }
        self.names.insert(key.to_owned(), free.clone());
        free
    }

    fn open(&mut self, file: &File<'a>, at: u32, why: impl std::fmt::Display) -> Json {
        let warning = file.fault(at, format!("anything is taken here: {why}"));
        // A type may be written out in many places.
        if self.said.insert(warning.to_string()) {
            self.warnings.push(warning);
        }
        json!({})
    }

    fn plain(&mut self, of: &Thunk<'a>, file: &Rc<File<'a>>, at: u32) -> Json {
        if self.within.len() > DEPTH {
            return self.open(file, at, "the type goes on without end");
        }
        match self.types.head(of) {
            Type::Any => json!({}),
            Type::String | Type::Template | Type::User => json!({"type": "string"}),
            Type::Number => json!({"type": "number"}),
            Type::Boolean => json!({"type": "boolean"}),
            Type::Null => json!({"type": "null"}),
            Type::Text(text) => json!({"type": "string", "const": text}),
            Type::Numeral(number) => json!({"type": "number", "const": plain_number(number)}),
            Type::Truth(truth) => json!({"type": "boolean", "const": truth}),
            Type::Date => json!({"type": "string", "format": "date-time"}),
            Type::SomeObject => json!({"type": "object"}),
            Type::Never | Type::Undefined => json!({"not": {}}),
            Type::BigInt => self.open(file, at, "JSON has no bigint"),
            Type::Symbol => self.open(file, at, "JSON has no symbols"),
            Type::Function => self.open(file, at, "JSON has no functions"),
            Type::Unresolved(why) => self.open(file, at, why),
            Type::Array(element) => {
                json!({"type": "array", "items": self.value(&element, file, at)})
            }
            Type::Tuple(elements) => {
                let least = elements
                    .iter()
                    .take_while(|e| !e.optional && !e.rest)
                    .count();
                let (mut listed, mut rest) = (Vec::new(), Json::Bool(false));
                for element in &elements {
                    let schema = self.value(&element.of, file, at);
                    if element.rest {
                        rest = schema;
                    } else {
                        listed.push(schema);
                    }
                }
                json!({"type": "array", "prefixItems": listed, "items": rest, "minItems": least})
            }
            Type::Union(members) => {
                let mut schemas = Vec::new();
                self.union(&members, file, at, &mut schemas);
                either(schemas)
            }
            Type::Object(object) => self.object(object, file, at),
        }
    }

    fn union(
        &mut self,
        members: &[Thunk<'a>],
        file: &Rc<File<'a>>,
        at: u32,
        schemas: &mut Vec<Json>,
    ) {
        for member in members {
            match self.types.head(member) {
                // JSON has no undefined: the property may be left out.
                Type::Undefined | Type::Never => {}
                Type::Union(more) if self.types.reference(member).is_none() => {
                    self.union(&more, file, at, schemas)
                }
                _ => {
                    let schema = self.schema(member, file, at);
                    match schema
                        .get("anyOf")
                        .and_then(Json::as_array)
                        .filter(|_| schema.as_object().is_some_and(|s| s.len() == 1))
                    {
                        Some(inner) => schemas.extend(inner.iter().cloned()),
                        None => schemas.push(schema),
                    }
                }
            }
        }
    }

    /// The schema of a value within the one that is written.
    fn value(&mut self, of: &Thunk<'a>, file: &Rc<File<'a>>, at: u32) -> Json {
        self.values += 1;
        let schema = self.schema(of, file, at);
        self.values -= 1;
        schema
    }

    fn object(&mut self, object: Object<'a>, file: &Rc<File<'a>>, at: u32) -> Json {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        // The input itself, not a value in it.
        let own = |property: &Property<'a>| self.values > 0 || property.name != REQUEST;
        for property in object
            .properties
            .into_iter()
            .filter(own)
            .collect::<Vec<_>>()
        {
            let may_lack = property.optional
                || self
                    .types
                    .members(&property.of)
                    .iter()
                    .any(|of| matches!(of, Type::Undefined));
            let mut schema = self.value(&property.of, &property.file, property.at);
            if let (Some(fields), Some(text)) = (
                schema.as_object_mut(),
                property.file.description(property.at),
            ) {
                fields.insert("description".into(), text.into());
            }
            if !may_lack {
                required.push(Json::from(property.name.clone()));
            }
            properties.insert(property.name, schema);
        }
        let mut schema = Map::new();
        schema.insert("type".into(), "object".into());
        if !properties.is_empty() || object.index.is_none() {
            schema.insert("properties".into(), properties.into());
        }
        if !required.is_empty() {
            schema.insert("required".into(), required.into());
        }
        if let Some(index) = object.index {
            schema.insert("additionalProperties".into(), self.value(&index, file, at));
        }
        schema.into()
    }
}

fn reference(name: &str) -> Json {
    // As RFC 6901 writes a name in a pointer.
    json!({"$ref": format!("#/$defs/{}", name.replace('~', "~0").replace('/', "~1"))})
}

/// Whole numbers without a fraction.
fn plain_number(number: f64) -> Json {
    if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and small enough")]
        return Json::from(number as i64);
    }
    Json::from(number)
}

/// One of several schemas: literals of one type as `enum`, all else as `anyOf`.
fn either(schemas: Vec<Json>) -> Json {
    let mut merged: Vec<Json> = Vec::new();
    for schema in schemas {
        let literals = |schema: &Json| {
            let of = schema.get("type")?.as_str()?.to_owned();
            let values = match (schema.get("const"), schema.get("enum")) {
                (Some(one), _) => vec![one.clone()],
                (None, Some(Json::Array(all))) => all.clone(),
                _ => return None,
            };
            schema.get("description").is_none().then_some((of, values))
        };
        if let Some((of, values)) = literals(&schema)
            && let Some((before, (_, mut all))) = merged.iter_mut().find_map(|m| {
                literals(m)
                    .filter(|(other, _)| *other == of)
                    .map(|found| (m, found))
            })
        {
            for value in values {
                if !all.contains(&value) {
                    all.push(value);
                }
            }
            *before = json!({"type": of, "enum": all});
        } else if !merged.contains(&schema) {
            merged.push(schema);
        }
    }
    for schema in &mut merged {
        let both = schema
            .get("enum")
            .and_then(Json::as_array)
            .is_some_and(|all| all.len() == 2);
        if both && schema.get("type") == Some(&json!("boolean")) {
            *schema = json!({"type": "boolean"});
        }
    }
    match merged.len() {
        0 => json!({"not": {}}),
        1 => merged.remove(0),
        _ => json!({"anyOf": merged}),
    }
}
