//! A turn of a thread: what somebody says, what the model says to it, and the tools that it calls in
//! between: methods of the app, run as whoever talks, and what the client does by itself.

use super::{
    declared::{Agent, Talking, Tool},
    model::{Answer, Says, message},
    waiting::Awaited,
};
use crate::{answer::Refusal, context::Context, methods::stream::Parts, state::now};
use remy_db_runtime::{
    child::{Listener, Silent},
    pool::Cancel,
    runtime::Invoke,
    who::Who,
};
use serde_json::{Map, Value, json};
use std::{sync::Arc, time::Duration};

/// How often a model may call tools in one turn.
const ROUNDS: usize = 20;

/// How long a client may take for a tool of its own.
const CLIENT: Duration = Duration::from_secs(15 * 60);

/// The most characters of a tool's output that a model is told.
const OUTPUT: usize = 100_000;

/// A turn under way.
pub(super) struct Turn<'a> {
    pub at: &'a Context,
    pub agent: &'a Agent,
    pub talking: &'a Talking,
    pub thread: &'a str,
    pub parts: &'a Parts,
    pub cancel: &'a Cancel,
}

/// What a tool has returned, and whether it has failed.
struct ToolResult {
    output: Value,
    is_error: bool,
}

impl Turn<'_> {
    /// Answers what was said.
    pub fn run(&self, said: Value) -> Result<(), Refusal> {
        self.at
            .threads
            .add(self.thread, std::slice::from_ref(&said))?;
        let mut tokens = (0, 0);
        for _ in 0..ROUNDS {
            let answer = self.ask()?;
            tokens = (tokens.0 + answer.tokens.0, tokens.1 + answer.tokens.1);
            let stop = match answer.stop.as_str() {
                "stop" => "end_turn",
                "length" => "max_tokens",
                "tool_calls" | "function_call" => "tool_use",
                other => other,
            };
            let stop = stop.to_owned();
            if !self.round(answer)? {
                let usage = json!({ "inputTokens": tokens.0, "outputTokens": tokens.1 });
                self.tell(json!({ "type": "done", "stopReason": stop, "usage": usage }));
                return Ok(());
            }
        }
        let message = format!("The model has called tools {ROUNDS} times and said nothing");
        Err(Refusal::new(502, "too_many_rounds", message))
    }

    fn tell(&self, mut event: Value) {
        event["ts"] = now().into();
        self.parts.event(&event);
    }

    /// What the model says to all that was said so far.
    fn ask(&self) -> Result<Answer, Refusal> {
        let said = self.at.threads.messages(self.thread)?;
        let mut messages = vec![json!({ "role": "system", "content": self.agent.system_prompt })];
        messages.extend(said.iter().map(message));
        let mut body = json!({
            "model": self.talking.model_name, "messages": messages,
            "stream": true, "stream_options": { "include_usage": true },
        });
        let tools: Vec<Value> = self.agent.tools.iter().map(Tool::told).collect();
        if !tools.is_empty() {
            body["tools"] = tools.into();
        }
        if let Some(temperature) = self.agent.temperature {
            body["temperature"] = temperature.into();
        }
        if let Some(most) = self.agent.max_tokens {
            body["max_tokens"] = most.into();
        }
        let mut says = |says: Says<'_>| {
            self.tell(match says {
                Says::Text(text) => json!({ "type": "text", "text": text }),
                Says::Thinking(text) => json!({ "type": "thinking", "text": text }),
                Says::ToolInput { id, delta } => {
                    json!({ "type": "tool_input_delta", "id": id, "delta": delta })
                }
            });
            !self.cancel.is_set()
        };
        let answer = self
            .talking
            .model
            .ask(self.at.runtime.client(), &body, &mut says);
        if self.cancel.is_set() {
            return Err(Refusal::new(499, "cancelled", "The turn was called off"));
        }
        let answer = answer?;
        if !answer.thinking.is_empty() {
            let thinking = &answer.thinking;
            self.tell(
                json!({ "type": "thinking_complete", "thinking": thinking, "signature": "" }),
            );
        }
        Ok(answer)
    }

    /// Does what the model has called, and keeps all of that. Whether it called something.
    fn round(&self, answer: Answer) -> Result<bool, Refusal> {
        let mut said = json!({ "role": "assistant", "content": answer.text });
        if answer.calls.is_empty() {
            self.at.threads.add(self.thread, &[said])?;
            return Ok(false);
        }
        let (mut calls, mut results) = (Vec::new(), Vec::new());
        for (id, name, arguments) in answer.calls {
            let input = match arguments.trim() {
                "" => Ok(json!({})),
                text => serde_json::from_str::<Value>(text),
            };
            let told = input.as_ref().ok().cloned().unwrap_or_else(|| json!({}));
            let call = json!({ "id": id, "name": name, "input": told });
            self.tell(json!({ "type": "tool_use", "id": id, "name": name, "input": told }));
            calls.push(call);
            let result = match input {
                Ok(Value::Object(input)) => self.call(&id, &name, input)?,
                _ => ToolResult::error("The arguments are no object of JSON"),
            };
            let mut text = match &result.output {
                Value::String(text) => text.clone(),
                output => output.to_string(),
            };
            if let Some((cut, _)) = text.char_indices().nth(OUTPUT) {
                text.truncate(cut);
            }
            let mut message = json!({ "role": "tool", "toolCallId": id, "content": text });
            if result.is_error {
                message["isToolError"] = true.into();
            }
            results.push(message);
            self.tell(json!({ "type": "tool_call_result", "id": id, "output": result.output }));
        }
        said["toolCalls"] = calls.into();
        // All of it or nothing: no model takes a call without its result.
        let all: Vec<Value> = std::iter::once(said).chain(results).collect();
        self.at.threads.add(self.thread, &all)?;
        Ok(true)
    }

    fn call(&self, id: &str, name: &str, input: Map<String, Value>) -> Result<ToolResult, Refusal> {
        let Some(tool) = self.agent.tools.iter().find(|tool| tool.name == name) else {
            return Ok(ToolResult::error(&format!("There is no tool {name}")));
        };
        let Some(method) = &tool.method else {
            return self.call_client(id, name, &input);
        };
        self.tell(json!({ "type": "tool_call_start", "id": id, "name": name }));
        let invoke = Invoke {
            target: self.talking.target.clone(),
            who: Who {
                user: self.talking.session.user.clone(),
                roles: None,
            },
            session: json!({
                "channel": "agent", "visitorId": self.talking.session.visitor, "threadId": self.thread,
            }),
            may_be_gone: true,
            ..Invoke::new(method, Value::Object(input))
        };
        let silent: Arc<dyn Listener> = Arc::new(Silent);
        let called = self.at.runtime.call(invoke, &silent, self.cancel);
        // The model is told, and may do better.
        Ok(match called.map_err(Refusal::from) {
            Ok(returned) => ToolResult {
                output: returned.output,
                is_error: false,
            },
            Err(refusal) => ToolResult::error(&refusal.message),
        })
    }

    /// Waits for what the client does.
    fn call_client(
        &self,
        id: &str,
        name: &str,
        input: &Map<String, Value>,
    ) -> Result<ToolResult, Refusal> {
        let waiting = self.at.awaited.begin(self.thread, id);
        self.tell(json!({
            "type": "client_tool_call", "id": id, "name": name, "input": input,
            "timeoutMs": CLIENT.as_secs() * 1000,
        }));
        let is_wanted = || !self.cancel.is_set() && !self.parts.is_left();
        match waiting.wait(CLIENT, &is_wanted) {
            Awaited::Said { output, is_error } => Ok(ToolResult { output, is_error }),
            Awaited::TooLate => Ok(ToolResult::error("client_timeout")),
            Awaited::Unwanted => {
                let message = "The client that was to do something is gone";
                Err(Refusal::new(499, "client_disconnected", message))
            }
        }
    }
}

impl ToolResult {
    fn error(message: &str) -> Self {
        Self {
            output: json!({ "error": message }),
            is_error: true,
        }
    }
}
