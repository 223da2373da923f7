//! A model behind an endpoint as OpenAI has it: `POST {base}/chat/completions`, streamed.

use crate::answer::Refusal;
use remy_db_runtime::remote::{Ask, Client, is_safe};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// How long an answer of a model may take.
const TAKES: Duration = Duration::from_secs(600);

/// The most bytes of an answer.
const BYTES: usize = 8 << 20;

/// Where a model is.
pub(super) struct Model {
    pub base: String,
    pub key: Option<String>,
}

/// What a model says, as it comes.
pub(super) enum Says<'a> {
    Text(&'a str),
    Thinking(&'a str),
    /// More of the arguments of a call.
    ToolInput {
        id: &'a str,
        delta: &'a str,
    },
}

/// What a model has said.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub text: String,
    pub thinking: String,
    /// Their ids, names, and arguments as they came.
    pub calls: Vec<(String, String, String)>,
    /// Why it has ended.
    pub stop: String,
    pub tokens: (u64, u64),
}

impl Model {
    /// Asks, and tells of the answer as it comes, as long as somebody wants it.
    pub fn ask(
        &self,
        client: &Client,
        body: &Value,
        says: &mut dyn FnMut(Says<'_>) -> bool,
    ) -> Result<Answer, Refusal> {
        let failed = |why: String| {
            let message = format!("The agent's model cannot be asked: {why}");
            Refusal::new(502, "model_failed", message)
        };
        let url = format!(
            "{}/chat/completions",
            self.base.trim().trim_end_matches('/')
        );
        if !is_safe(&url) {
            return Err(failed("its URL is none with https".to_owned()));
        }
        let mut reading = Reading::default();
        let mut take = |part: &[u8]| reading.take(part, says);
        let ask = Ask {
            url: &url,
            bearer: self.key.as_deref().map(str::trim),
            body: Some(body),
            within: TAKES,
        };
        let answered = client.ask_in_parts(ask, &mut take);
        let answered = answered.map_err(|e| failed(e.message))?;
        if !(200..300).contains(&answered.status) {
            return Err(failed(format!("it has answered {}", answered.status)));
        }
        reading
            .ended()
            .ok_or_else(|| failed("its answer was cut off".to_owned()))
    }
}

/// An answer that is read.
#[derive(Default)]
struct Reading {
    line: Vec<u8>,
    bytes: usize,
    answer: Answer,
    calls: BTreeMap<u64, (String, String, String)>,
}

impl Reading {
    /// Takes a part of the answer. Whether more is wanted.
    fn take(&mut self, part: &[u8], says: &mut dyn FnMut(Says<'_>) -> bool) -> bool {
        self.bytes += part.len();
        if self.bytes > BYTES {
            return false;
        }
        let mut goes_on = true;
        for byte in part {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            goes_on &= self.read(&line, says);
        }
        goes_on
    }

    fn read(&mut self, line: &[u8], says: &mut dyn FnMut(Says<'_>) -> bool) -> bool {
        let Some(data) = line.strip_prefix(b"data:") else {
            return true;
        };
        // The last one, `[DONE]`, is none.
        let Ok(event) = serde_json::from_slice::<Value>(data) else {
            return true;
        };
        let usage = &event["usage"];
        if usage.is_object() {
            let count = |name: &str| usage[name].as_u64().unwrap_or_default();
            self.answer.tokens = (count("prompt_tokens"), count("completion_tokens"));
        }
        let choice = &event["choices"][0];
        if let Some(stop) = choice["finish_reason"].as_str() {
            stop.clone_into(&mut self.answer.stop);
        }
        let delta = &choice["delta"];
        let mut goes_on = true;
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let known = self.calls.entry(call["index"].as_u64().unwrap_or_default());
            let (id, name, arguments) = known.or_default();
            let function = &call["function"];
            let [more_id, more_name, delta] =
                [&call["id"], &function["name"], &function["arguments"]]
                    .map(|value| value.as_str().unwrap_or_default());
            id.push_str(more_id);
            name.push_str(more_name);
            arguments.push_str(delta);
            if !delta.is_empty() {
                goes_on &= says(Says::ToolInput { id, delta });
            }
        }
        if let Some(text) = delta["reasoning_content"]
            .as_str()
            .filter(|it| !it.is_empty())
        {
            self.answer.thinking.push_str(text);
            goes_on &= says(Says::Thinking(text));
        }
        if let Some(text) = delta["content"].as_str().filter(|it| !it.is_empty()) {
            self.answer.text.push_str(text);
            goes_on &= says(Says::Text(text));
        }
        goes_on
    }

    /// The answer; nothing, where it has not come to its end.
    fn ended(self) -> Option<Answer> {
        let calls = self.calls.into_values().collect();
        let answer = Answer {
            calls,
            ..self.answer
        };
        (!answer.stop.is_empty()).then_some(answer)
    }
}

/// What was said, as such an endpoint takes it.
pub(super) fn message(said: &Value) -> Value {
    let content = said["content"].as_str().unwrap_or_default();
    match said["role"].as_str() {
        Some("assistant") => {
            let mut told = json!({ "role": "assistant", "content": content });
            let calls: Vec<Value> = said["toolCalls"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|call| {
                    let function =
                        json!({ "name": call["name"], "arguments": call["input"].to_string() });
                    json!({ "id": call["id"], "type": "function", "function": function })
                })
                .collect();
            if !calls.is_empty() {
                told["tool_calls"] = calls.into();
            }
            told
        }
        Some("tool") => {
            json!({ "role": "tool", "tool_call_id": said["toolCallId"], "content": content })
        }
        _ => json!({ "role": "user", "content": with_attachments(content, &said["attachments"]) }),
    }
}

/// What is attached is named by its URL: a model has tools, or none, to look at it.
fn with_attachments(content: &str, attachments: &Value) -> String {
    let mut text = content.to_owned();
    for attachment in attachments.as_array().into_iter().flatten() {
        let url = attachment.as_str().or_else(|| attachment["url"].as_str());
        if let Some(url) = url {
            text.push_str("\n\nAttachment: ");
            text.push_str(url);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_put_together_of_its_parts_wherever_they_are_cut() {
        let events = [
            json!({ "choices": [{ "delta": { "role": "assistant", "content": "" } }] }),
            json!({ "choices": [{ "delta": { "reasoning_content": "hm" } }] }),
            json!({ "choices": [{ "delta": { "content": "Grü" } }] }),
            json!({ "choices": [{ "delta": { "content": "ße" } }] }),
            json!({ "choices": [{ "delta": { "tool_calls": [{ "index": 0, "id": "a", "function": { "name": "x", "arguments": "{\"n\"" } }] } }] }),
            json!({ "choices": [{ "delta": { "tool_calls": [{ "index": 1, "id": "b", "function": { "name": "y", "arguments": "{}" } }] } }] }),
            json!({ "choices": [{ "delta": { "tool_calls": [{ "index": 0, "function": { "arguments": ":1}" } }] }, "finish_reason": "tool_calls" }] }),
            json!({ "choices": [], "usage": { "prompt_tokens": 3, "completion_tokens": 4 } }),
        ];
        let mut text: String = events
            .iter()
            .map(|it| format!("data: {it}\r\n\r\n"))
            .collect();
        text.push_str(": beat\n\ndata: [DONE]\n\n");
        for size in [1, 7, 100_000] {
            let (mut reading, mut heard) = (Reading::default(), String::new());
            let mut inputs = Vec::new();
            for part in text.as_bytes().chunks(size) {
                assert!(reading.take(part, &mut |says| {
                    match says {
                        Says::Text(text) => heard.push_str(text),
                        Says::Thinking(_) => {}
                        Says::ToolInput { id, delta } => inputs.push(format!("{id} {delta}")),
                    }
                    true
                }));
            }
            assert_eq!(inputs, ["a {\"n\"", "b {}", "a :1}"]);
            let answer = reading.ended().unwrap();
            assert_eq!((heard.as_str(), answer.thinking.as_str()), ("Grüße", "hm"));
            let call = |id: &str, name: &str, arguments: &str| {
                (id.to_owned(), name.to_owned(), arguments.to_owned())
            };
            assert_eq!(
                answer.calls,
                [call("a", "x", "{\"n\":1}"), call("b", "y", "{}")]
            );
            assert_eq!(answer.tokens, (3, 4));
        }
        let mut cut = Reading::default();
        cut.take(&text.as_bytes()[..200], &mut |_| true);
        assert_eq!(cut.ended(), None);
    }
}
