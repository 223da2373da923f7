//! What a record and an output show in the place of a secret.

use crate::failure::Failure;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use serde_json::Value;

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
                let json = Value::from(value).to_string();
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

    /// A value, without any of them: in texts, in names of properties, and in numbers, which become
    /// texts by that.
    pub fn hide_in(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.hide(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.hide_in(item)).collect(),
            Value::Object(properties) => properties
                .into_iter()
                .map(|(name, value)| (self.hide(&name), self.hide_in(value)))
                .collect(),
            Value::Number(number) => {
                let text = number.to_string();
                let hidden = self.hide(&text);
                if hidden == text {
                    Value::Number(number)
                } else {
                    Value::String(hidden)
                }
            }
            other => other,
        }
    }

    /// A failure, without any of them: all but its status is the method's own.
    pub fn hide_of(&self, failure: Failure) -> Failure {
        Failure {
            message: self.hide(&failure.message),
            code: self.hide(&failure.code),
            details: failure
                .details
                .map(|details| Box::new(self.hide_in(*details))),
            stack: failure.stack.map(|stack| self.hide(&stack)),
            ..failure
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Mask;
    use crate::failure::Failure;
    use serde_json::json;

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

    #[test]
    fn a_secret_is_hidden_wherever_a_failure_has_it() {
        let mask = Mask::of(["pass\"word", "1234567890"]);
        let failure = Failure {
            details: Some(Box::new(json!({
                "asked": ["pass\"word", { "pass\"word": 1, "n": 1_234_567_890, "is": true }, null, 12],
            }))),
            stack: Some("Error: pass\"word\n    at m".to_owned()),
            ..Failure::new("1234567890", 418, "no pass\"word")
        };
        let hidden = mask.hide_of(failure);
        assert_eq!(
            serde_json::to_value(&hidden).unwrap(),
            json!({
                "message": "no [secret]", "code": "[secret]", "status": 418,
                "details": { "asked": ["[secret]", { "[secret]": 1, "n": "[secret]", "is": true }, null, 12] },
                "stack": "Error: [secret]\n    at m",
            })
        );
    }
}
