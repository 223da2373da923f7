//! The routes of an app's API, as its release has them.

use crate::{answer::Refusal, inbound::decoded, interface};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{collections::BTreeSet, path::Path};

/// What is kept with a release of its API.
#[derive(Debug, Deserialize)]
pub(super) struct Api {
    #[serde(default)]
    pub routes: Vec<Route>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Route {
    /// GET, POST, PUT, PATCH, DELETE.
    pub method: String,
    /// `/orders/:id`.
    pub path: String,
    /// The method that is called.
    pub handler: String,
    #[serde(default)]
    params: Params,
    #[serde(default)]
    input_schema: Value,
}

#[derive(Debug, Default, Deserialize)]
struct Params {
    #[serde(default)]
    path: Map<String, Value>,
    #[serde(default)]
    query: Map<String, Value>,
}

/// A route that a request is for, and what stands in its path.
#[derive(Debug)]
pub(super) struct Matched<'a> {
    pub route: &'a Route,
    pub params: Vec<(String, String)>,
}

impl Api {
    /// Of the folder that is kept with a release; none, where the app has none.
    pub fn read(kept: &Path) -> Result<Option<Self>, Refusal> {
        interface::read(kept, "api")
    }

    /// The route of a request. Of two that a path fits, it is the one that names more of it, from the
    /// left.
    ///
    /// Fails with `not_found`, and with `method_not_allowed` where the path is one of other verbs.
    pub fn find(&self, verb: &str, path: &str) -> Result<Matched<'_>, NoRoute> {
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let segments = segments.map(decoded).collect::<Result<Vec<_>, _>>();
        let segments = segments.map_err(NoRoute::Refused)?;
        let mut fitting: Vec<(Vec<bool>, Matched<'_>)> = self
            .routes
            .iter()
            .filter_map(|route| route.fits(&segments))
            .collect();
        if fitting.is_empty() {
            return Err(NoRoute::Nowhere);
        }
        let verbs = || fitting.iter().map(|(_, it)| it.route.method.clone());
        let other = NoRoute::Other(verbs().collect());
        fitting.retain(|(_, matched)| matched.route.method == verb);
        let nearest = fitting.into_iter().min_by(|(a, _), (b, _)| a.cmp(b));
        nearest.map(|(_, matched)| matched).ok_or(other)
    }
}

/// Why a request has no route.
#[derive(Debug)]
pub(super) enum NoRoute {
    Nowhere,
    /// There are routes of this path, for these verbs.
    Other(BTreeSet<String>),
    Refused(Refusal),
}

impl Route {
    /// What stands in the path, and for each segment whether it is a parameter.
    fn fits(&self, segments: &[String]) -> Option<(Vec<bool>, Matched<'_>)> {
        let own: Vec<&str> = self.path.split('/').filter(|own| !own.is_empty()).collect();
        if own.len() != segments.len() {
            return None;
        }
        let (mut kinds, mut params) = (Vec::new(), Vec::new());
        for (own, segment) in own.iter().zip(segments) {
            match own.strip_prefix(':').filter(|name| !name.is_empty()) {
                Some(name) => params.push((name.to_owned(), segment.clone())),
                None if own == segment => {}
                None => return None,
            }
            kinds.push(own.len() > 1 && own.starts_with(':'));
        }
        let route = self;
        Some((kinds, Matched { route, params }))
    }

    /// A parameter of the path or the query as a value of the type that it has: what is declared, or
    /// what its method takes. What is none of that type stays a text, for the method to refuse.
    pub fn value(&self, name: &str, text: &str) -> Value {
        let declared = self
            .params
            .path
            .get(name)
            .or_else(|| self.params.query.get(name));
        let known = || self.input_schema.get("properties")?.get(name);
        let kind = declared
            .and_then(|param| param.get("type"))
            .or_else(|| known()?.get("type"))
            .and_then(Value::as_str);
        let read = || serde_json::from_str::<Value>(text).ok();
        let is_so = |value: &Value| match kind {
            Some("boolean") => value.is_boolean(),
            Some("number") => value.is_number(),
            Some("integer") => value.is_i64() || value.is_u64(),
            _ => false,
        };
        read().filter(is_so).unwrap_or_else(|| text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn api() -> Api {
        serde_json::from_value(json!({
            "routes": [
                { "method": "GET", "path": "/orders/:id", "handler": "get-order",
                  "params": { "path": { "id": { "type": "integer" } }, "query": { "all": { "type": "boolean" } } } },
                { "method": "DELETE", "path": "/orders/:order", "handler": "remove-order" },
                { "method": "GET", "path": "/orders/new", "handler": "new-order" },
                { "method": "GET", "path": "/:what/new", "handler": "new-thing" },
                { "method": "POST", "path": "/", "handler": "root",
                  "inputSchema": { "properties": { "n": { "type": "number" } } } },
            ],
        }))
        .unwrap()
    }

    #[test]
    fn a_request_is_for_the_route_that_names_most_of_its_path() {
        let api = api();
        for (verb, path, handler, params) in [
            ("GET", "/orders/7", "get-order", vec![("id", "7")]),
            ("GET", "//orders/7/", "get-order", vec![("id", "7")]),
            ("GET", "/orders/new", "new-order", vec![]),
            ("GET", "/users/new", "new-thing", vec![("what", "users")]),
            (
                "DELETE",
                "/orders/new",
                "remove-order",
                vec![("order", "new")],
            ),
            (
                "GET",
                "/orders/a%2Fb%20c",
                "get-order",
                vec![("id", "a/b c")],
            ),
            ("GET", "/orders/..", "get-order", vec![("id", "..")]),
            ("POST", "/", "root", vec![]),
        ] {
            let found = api.find(verb, path).unwrap();
            let params: Vec<_> = params
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect();
            assert_eq!(
                (&*found.route.handler, found.params),
                (handler, params),
                "{verb} {path}"
            );
        }
    }

    #[test]
    fn what_is_no_route_is_told_from_another_verb() {
        let api = api();
        for path in ["/order", "/orders", "/orders/7/x", "/orders/%ff"] {
            assert!(api.find("GET", path).is_err(), "{path}");
        }
        assert!(matches!(
            api.find("GET", "/nothing/here"),
            Err(NoRoute::Nowhere)
        ));
        let Err(NoRoute::Other(verbs)) = api.find("PUT", "/orders/7") else {
            panic!("it is one of others")
        };
        assert_eq!(Vec::from_iter(verbs), ["DELETE", "GET"]);
    }

    #[test]
    fn a_parameter_is_of_the_type_that_is_declared_or_a_text() {
        let api = api();
        let route = &api.routes[0];
        assert_eq!(route.value("id", "7"), 7);
        assert_eq!(route.value("id", "07"), "07");
        assert_eq!(route.value("id", "7.5"), "7.5");
        assert_eq!(route.value("all", "true"), true);
        assert_eq!(route.value("all", "yes"), "yes");
        assert_eq!(route.value("other", "7"), "7");
        assert_eq!(api.routes[4].value("n", "-1.5e3"), -1500.0);
        assert_eq!(api.routes[4].value("n", "NaN"), "NaN");
    }
}
