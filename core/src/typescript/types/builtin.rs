//! The types of the language that have a name: `Array`, `Partial`, `Record`.

use crate::typescript::types::{
    Types,
    model::{Object, Property, Site, Thunk, Type, unresolved},
};
use oxc_ast::ast::TSType;
use oxc_span::GetSpan;

impl<'a> Types<'_, 'a> {
    /// A type of the language's.
    pub(super) fn builtin(
        &self,
        name: &str,
        args: &'a [TSType<'a>],
        site: &Site<'a>,
    ) -> Option<Type<'a>> {
        let argument = |i: usize| args.get(i).map(|arg| self.argument(arg, site));
        let missing = || unresolved(format!("{name} lacks a type argument"));
        let of_one = |evaluate: &dyn Fn(&Thunk<'a>) -> Type<'a>| {
            argument(0).map_or_else(missing, |of| evaluate(&of))
        };
        let of_two = |evaluate: &dyn Fn(&Thunk<'a>, &Thunk<'a>) -> Type<'a>| {
            argument(0)
                .zip(argument(1))
                .map_or_else(missing, |(of, by)| evaluate(&of, &by))
        };
        Some(match name {
            "Date" => Type::Date,
            "String" | "Uppercase" | "Lowercase" | "Capitalize" | "Uncapitalize" => Type::String,
            "Number" => Type::Number,
            "Boolean" => Type::Boolean,
            "BigInt" => Type::BigInt,
            "Symbol" => Type::Symbol,
            "Function" => Type::Function,
            "Object" | "Map" | "Set" | "ReadonlyMap" | "ReadonlySet" | "Error" | "RegExp"
            | "URL" => Type::SomeObject,
            "Array" | "ReadonlyArray" => of_one(&|of| Type::Array(of.clone())),
            "Readonly" | "Awaited" => of_one(&|of| self.head(of)),
            "Partial" | "Required" => of_one(&|of| self.all_optional(of, name == "Partial")),
            "NonNullable" => of_one(&|of| {
                self.head(&self.without(of, |of| matches!(of, Type::Null | Type::Undefined)))
            }),
            "Pick" | "Omit" => of_two(&|of, names| self.pick(name, of, names)),
            "Record" => of_two(&|keys, of| self.record(keys, of, site, args[0].span().start)),
            "Exclude" | "Extract" => of_two(&|of, which| self.filter(of, which, name == "Extract")),
            _ => return None,
        })
    }

    /// `Pick` or `Omit`, whichever `builtin` is.
    fn pick(&self, builtin: &str, of: &Thunk<'a>, names: &Thunk<'a>) -> Type<'a> {
        let picks = builtin == "Pick";
        let names = match self.names(names) {
            Ok(names) => names,
            Err(why) => {
                return unresolved(format!("what {builtin} names is not known: {why}"));
            }
        };
        let mut object = match self.head(of) {
            Type::Object(object) => object,
            other => return other.or_unresolved(&format!("{builtin} needs an object type")),
        };
        let lacks = |name: &&String| !object.properties.iter().any(|p| p.name == **name);
        if picks && let Some(missing) = names.iter().find(lacks) {
            return unresolved(format!("Pick names {missing}, which is not there"));
        }
        object
            .properties
            .retain(|p| names.contains(&p.name) == picks);
        Type::Object(object)
    }

    /// `Record`, which stands at the byte `at`.
    fn record(&self, keys: &Thunk<'a>, of: &Thunk<'a>, site: &Site<'a>, at: u32) -> Type<'a> {
        let property = |name: String| Property {
            name,
            optional: false,
            of: of.clone(),
            file: site.file.clone(),
            at,
        };
        Type::Object(match self.names(keys) {
            Ok(names) => Object {
                properties: names.into_iter().map(property).collect(),
                index: None,
            },
            // Keys that are not listed: any.
            Err(_) => Object {
                properties: Vec::new(),
                index: Some(of.clone()),
            },
        })
    }

    /// `Extract`, or, where the fitting members are not kept, `Exclude`.
    fn filter(&self, of: &Thunk<'a>, which: &Thunk<'a>, keeps_fitting: bool) -> Type<'a> {
        let which = self.members(which);
        let all = self.members(of);
        if let Some(why) = all.iter().chain(&which).find_map(Type::why_unresolved) {
            return unresolved(why);
        }
        let fits = |of: &Type<'a>| which.iter().any(|which| of.is_a(which));
        let kept = all.into_iter().filter(|of| fits(of) == keeps_fitting);
        Type::Union(kept.map(Thunk::known).collect())
    }

    /// `Partial` or, where they are not to be optional, `Required`: of a union, that of each
    /// member.
    fn all_optional(&self, of: &Thunk<'a>, optional: bool) -> Type<'a> {
        let mut members = self.members(of);
        for member in &mut members {
            let Type::Object(object) = member else {
                continue;
            };
            for property in &mut object.properties {
                property.optional = optional;
                if !optional {
                    property.of = self.without(&property.of, |of| matches!(of, Type::Undefined));
                }
            }
        }
        match members.len() {
            1 => members.remove(0),
            _ => Type::Union(members.into_iter().map(Thunk::known).collect()),
        }
    }

    /// A union without some of its members.
    fn without(&self, of: &Thunk<'a>, goes: impl Fn(&Type<'a>) -> bool) -> Thunk<'a> {
        let members = self.members(of);
        if !members.iter().any(&goes) {
            return of.clone();
        }
        Thunk::known(Type::Union(
            members
                .into_iter()
                .filter(|of| !goes(of))
                .map(Thunk::known)
                .collect(),
        ))
    }

    /// The names that a union of literals lists.
    pub(super) fn names(&self, of: &Thunk<'a>) -> Result<Vec<String>, String> {
        let name = |of: Type<'a>| match of {
            Type::Text(text) => Ok(text),
            Type::Numeral(number) => Ok(number.to_string()),
            Type::Unresolved(why) => Err(why),
            _ => Err("it is no list of names".to_owned()),
        };
        self.members(of)
            .into_iter()
            .filter(|of| !matches!(of, Type::Never))
            .map(name)
            .collect()
    }
}
