//! What a declaration may refer to: the app's methods and roles, and files.

use crate::{
    check::{At, filled},
    locate::{locate, read_text},
};

/// A method that the manifest declares.
pub(crate) fn method(at: &At<'_>) -> bool {
    if !filled(at) {
        return false;
    }
    let (Some(methods), named) = (&at.scope.named.methods, at.text()) else {
        return true;
    };
    if methods.iter().any(|(id, _)| id == named) {
        return true;
    }
    let by_export = methods.iter().find(|(_, export)| export == named);
    at.fault(match by_export {
        Some((id, _)) => format!(
            "there is no method \"{named}\": that is the export of \"{id}\", and methods are named by their ids"
        ),
        None => {
            let ids = known(methods.iter().map(|(id, _)| id));
            format!("there is no method \"{named}\"; {ids}")
        }
    })
}

/// A role that the manifest declares.
pub(crate) fn role(at: &At<'_>) -> bool {
    let Some(roles) = &at.scope.named.roles else {
        return filled(at);
    };
    let (named, is_known) = (at.text(), |named: &str| {
        roles.iter().any(|role| role == named)
    });
    filled(at)
        && (is_known(named) || at.fault(format!("there is no role \"{named}\"; {}", known(roles))))
}

/// What there is, for whoever named something else.
pub(crate) fn known(ids: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let ids: Vec<String> = ids.into_iter().map(|id| id.as_ref().to_owned()).collect();
    let ids: Vec<&str> = ids
        .iter()
        .map(String::as_str)
        .filter(|id| !id.is_empty())
        .collect();
    let all = if ids.is_empty() {
        "none".to_owned()
    } else {
        ids.join(", ")
    };
    format!("the manifest has {all}")
}

/// A file beside the config, whose text is kept in the scope.
pub(crate) fn text_file(at: &At<'_>) -> bool {
    if !filled(at) {
        return false;
    }
    let (root, named) = (at.scope.root, at.text());
    let file = match locate(root, &at.scope.dir, named) {
        Ok(file) => file,
        Err(why) => return at.fault(why),
    };
    match read_text(root, &file) {
        Ok(text) => {
            at.scope.files.borrow_mut().insert(at.pointer.clone(), text);
            true
        }
        Err(why) => at.fault(format!("\"{file}\" {why}")),
    }
}

/// A text, or a file beside the config that holds it. What looks like a path has to be one.
pub(crate) fn text_or_file(at: &At<'_>) -> bool {
    filled(at) && (!looks_like_path(at.text()) || text_file(at))
}

fn looks_like_path(text: &str) -> bool {
    let is_of_extension = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let has_extension = text.rsplit_once('.').is_some_and(|(_, extension)| {
        !extension.is_empty() && extension.chars().all(is_of_extension)
    });
    !text.contains(char::is_whitespace) && (text.contains('/') || has_extension)
}

/// A JSON Schema of an object.
pub(crate) fn object_schema(at: &At<'_>) -> bool {
    let kind = at.at("type");
    at.is("a JSON Schema, which is an object", at.object().is_some())
        && (kind.value.is_none()
            || kind.text() == "object"
            || kind.fault("has to be \"object\": what a method takes has names"))
}

/// A path of a file, relative to the app's folder.
pub(crate) fn file(at: &At<'_>) -> bool {
    filled(at)
        && match locate(at.scope.root, ".", at.text()) {
            Ok(_) => true,
            Err(why) => at.fault(why),
        }
}
