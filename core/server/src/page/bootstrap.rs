//! What a page is told: `window.__MINDSTUDIO__`, in a script before the end of its head.

use remy_db_runtime::users::User;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a page is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bootstrap<'a> {
    pub token: &'a str,
    pub release_id: String,
    /// The ids of methods, by the names of their exports.
    pub methods: BTreeMap<&'a str, &'a str>,
    /// Who has signed in.
    pub user: Option<&'a User>,
    pub visitor_id: &'a str,
    pub app_id: &'a str,
    /// What its pages are below.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub base_path: &'a str,
}

/// A page, in two parts: what it is told stands between them.
#[derive(Debug, PartialEq)]
pub(super) struct Parts<'a>(pub &'a [u8], pub &'a [u8]);

const HEAD: &[u8] = b"</head>";
const DOCTYPE: &[u8] = b"<!doctype";

impl<'a> Parts<'a> {
    /// Before `</head>`, else before the document; a doctype stays where it is, as pages without one
    /// are shown otherwise.
    pub fn of(page: &'a [u8]) -> Self {
        let at = find(page, HEAD).unwrap_or_else(|| {
            let start = page
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count();
            let rest = &page[start..];
            let has_doctype =
                rest.len() >= DOCTYPE.len() && rest[..DOCTYPE.len()].eq_ignore_ascii_case(DOCTYPE);
            let end = rest
                .iter()
                .position(|byte| *byte == b'>')
                .filter(|_| has_doctype);
            end.map_or(0, |end| start + end + 1)
        });
        let (before, after) = page.split_at(at);
        Self(before, after)
    }
}

/// A page with something more, where it is told what it is told.
pub(crate) fn with(page: &[u8], more: &[u8]) -> Vec<u8> {
    let Parts(before, after) = Parts::of(page);
    [before, more, after].concat()
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .position(|part| part.eq_ignore_ascii_case(wanted))
}

impl Bootstrap<'_> {
    /// A page that is told this.
    pub fn tell(&self, Parts(before, after): &Parts<'_>) -> Vec<u8> {
        let json = serde_json::to_string(self).expect("it is made of what JSON can hold");
        // A text could end the script.
        let json = json.replace('<', "\\u003c");
        let script = format!("<script>window.__MINDSTUDIO__={json}</script>");
        [before, script.as_bytes(), after].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(page: &str) -> usize {
        Parts::of(page.as_bytes()).0.len()
    }

    #[test]
    fn it_stands_before_the_end_of_the_head_or_before_the_document() {
        assert_eq!(at("<html><head><title>x</title></HEAD><body>"), 28);
        assert_eq!(at("<!DOCTYPE html>\n<p>x"), 15);
        assert_eq!(at("\n<!doctype html><p>x"), 16);
        assert_eq!(at("<p>x > y"), 0);
        assert_eq!((at(""), at("<!doctype")), (0, 0));
    }

    #[test]
    fn no_value_ends_the_script() {
        let told = Bootstrap {
            token: "t",
            release_id: "7".to_owned(),
            methods: BTreeMap::from([("addNote", "add-note")]),
            user: Some(&User {
                id: "u1".to_owned(),
                email: Some("</script><script>alert(1)//<!--".to_owned()),
                phone: None,
                roles: Vec::new(),
                api_key: None,
                created_at: None,
            }),
            visitor_id: "v",
            app_id: "a",
            base_path: "",
        };
        let page = told.tell(&Parts::of(b"<head></head>"));
        let page = String::from_utf8(page).unwrap();
        assert!(page.starts_with(
            "<head><script>window.__MINDSTUDIO__={\"token\":\"t\",\"releaseId\":\"7\""
        ));
        assert_eq!(page.matches("</script>").count(), 1);
        assert!(page.contains(r#""methods":{"addNote":"add-note"}"#));
    }
}
