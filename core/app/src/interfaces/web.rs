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
        ("prerender?", &|at| {
            shape(at, &[("paths", &|at| list(at, &path))])
        }),
    ],
    also: anything,
    compile: |it, _| vec![("interfaces/web.json", it.config.clone())],
    effects: None,
};

fn path(at: &At<'_>) -> bool {
    matching(at, "does not begin with \"/\"", |path| {
        path.starts_with('/')
    })
}
