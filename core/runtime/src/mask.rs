//! What a record and an output show in the place of a secret.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// Shorter values are no secrets: they would be found everywhere.
const SHORTEST: usize = 8;

/// What is shown.
const SHOWN: &str = "[secret]";

/// Values that are not to be shown, in every form that they are looked for in: as they are, as a JSON
/// text has them, and in base64.
#[derive(Clone, Default)]
pub struct Mask {
    /// The longest first: one may be a part of another.
    forms: Vec<String>,
}

impl Mask {
    /// Of these values.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms: Vec<String> = values
            .into_iter()
            .filter(|value| value.chars().count() >= SHORTEST)
            .flat_map(|value| {
                let json = serde_json::Value::from(value).to_string();
                [
                    value.to_owned(),
                    json[1..json.len() - 1].to_owned(),
                    STANDARD_NO_PAD.encode(value),
                    URL_SAFE_NO_PAD.encode(value),
                ]
            })
            .collect();
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        Self { forms }
    }

    /// The text, without any of them.
    pub fn hide(&self, text: &str) -> String {
        let mut hidden = text.to_owned();
        for form in &self.forms {
            if hidden.contains(form.as_str()) {
                hidden = hidden.replace(form.as_str(), SHOWN);
            }
        }
        hidden
    }
}

#[cfg(test)]
mod tests {
    use super::Mask;

    #[test]
    fn a_secret_is_hidden_in_each_of_its_forms() {
        let mask = Mask::of(["pass\"word>1", "pass\"word>123", "short"]);
        for (text, shown) in [
            ("a pass\"word>1 b", "a [secret] b"),
            ("pass\"word>123", "[secret]"),
            (r#"{"p":"pass\"word>1"}"#, r#"{"p":"[secret]"}"#),
            ("Basic cGFzcyJ3b3JkPjE=", "Basic [secret]="),
            ("short", "short"),
        ] {
            assert_eq!(mask.hide(text), shown);
        }
    }
}
