//! How a web project is run and shown. Building it is another matter.

use crate::{
    check::{At, anything, filled, list, matching, one_of, shape, whole},
    interfaces::kind::Kind,
};

pub(super) const KIND: Kind = Kind {
    fields: &[
        ("devPort?", &|at| whole(at, 1.0, 65535.0)),
        ("devCommand?", &filled),
        ("defaultPreviewMode?", &|at| {
            one_of(at, &["desktop", "mobile"])
        }),
        ("basePath?", &|at| {
            matching(at, "is no path such as \"/shop\"", is_base)
        }),
        ("prerender?", &|at| {
            shape(at, &[("paths", &|at| list(at, &path))])
        }),
    ],
    also: anything,
    compile: |it, _| vec![("interfaces/web.json", it.config.clone())],
    effects: None,
};

/// Whether pages can be below it: whole names between slashes, and none at the end.
fn is_base(path: &str) -> bool {
    let mut names = path.split('/');
    names.next() == Some("") && names.all(|name| !name.is_empty() && name != "." && name != "..")
}

fn path(at: &At<'_>) -> bool {
    matching(at, "does not begin with \"/\"", |path| {
        path.starts_with('/')
    })
}
