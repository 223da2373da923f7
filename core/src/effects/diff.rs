//! What differs between two sets of effects.

use crate::effects::{ChangeKind, EffectKind, Effects, tables::Kept};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A change of one effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What it is.
    pub kind: EffectKind,
    /// Which one; never a secret. The second webhook of the method `paid` is `paid#2`.
    pub id: String,
    /// What becomes of it.
    pub change: ChangeKind,
}

/// What changes between two sets of effects: what is created and updated in the order of `new`,
/// then what is removed, kind by kind. A webhook with a new secret, and a job with a new schedule,
/// is an update of the one it replaces.
pub fn diff(old: &Effects, new: &Effects) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(&old.roles, &new.roles, &mut changes);
    compare(&old.cron_jobs, &new.cron_jobs, &mut changes);
    compare(&old.webhooks, &new.webhooks, &mut changes);
    compare(&old.email_routes, &new.email_routes, &mut changes);
    compare(&old.bot_commands, &new.bot_commands, &mut changes);
    changes
}

fn compare<T: Kept>(old: &[T], new: &[T], changes: &mut Vec<Change>) {
    let mut change = |id: &str, change| {
        changes.push(Change {
            kind: T::KIND,
            id: id.to_owned(),
            change,
        })
    };
    let keys: BTreeSet<_> = new.iter().map(Kept::key).collect();
    // Those whose key is gone. A new one with the id of such a one takes its place.
    let mut gone: Vec<_> = named(old)
        .into_iter()
        .filter(|(_, entry)| !keys.contains(&entry.key()))
        .collect();
    for (name, entry) in named(new) {
        match old.iter().find(|before| before.key() == entry.key()) {
            Some(before) if before == entry => {}
            Some(_) => change(&name, ChangeKind::Update),
            None => match gone
                .iter()
                .position(|(_, before)| before.id() == entry.id())
            {
                Some(i) => {
                    gone.remove(i);
                    change(&name, ChangeKind::Update);
                }
                None => change(&name, ChangeKind::Create),
            },
        }
    }
    gone.iter()
        .for_each(|(name, _)| change(name, ChangeKind::Remove));
}

/// Entries with ids that tell them apart: the second `paid` is `paid#2`.
pub(super) fn named<T: Kept>(entries: &[T]) -> Vec<(String, &T)> {
    let mut counts = BTreeMap::new();
    entries
        .iter()
        .map(|entry| {
            let id = entry.id();
            let count = counts
                .entry(id.clone())
                .and_modify(|count| *count += 1)
                .or_insert(1);
            (
                if *count == 1 {
                    id
                } else {
                    format!("{id}#{count}")
                },
                entry,
            )
        })
        .collect()
}

/// The changes in a line: `2 roles to create, 1 webhook to update`.
pub(crate) fn summary(changes: &[Change]) -> String {
    let mut counts: Vec<((EffectKind, ChangeKind), usize)> = Vec::new();
    for change in changes {
        let key = (change.kind, change.change);
        match counts.iter_mut().find(|(k, _)| *k == key) {
            Some((_, n)) => *n += 1,
            None => counts.push((key, 1)),
        }
    }
    let words = counts.iter().map(|((kind, change), n)| {
        let plural = if *n == 1 { "" } else { "s" };
        format!(
            "{n} {}{plural} to {change}",
            kind.as_str().replace('_', " ")
        )
    });
    words.collect::<Vec<_>>().join(", ")
}

/// What a rollback from `old` to `new`, an earlier set, lets in again: roles, webhook secrets and
/// senders that had been revoked or rotated since. One sentence each, which names a webhook by its
/// method.
pub fn warnings(old: &Effects, new: &Effects) -> Vec<String> {
    let mut warnings = Vec::new();
    for role in new
        .roles
        .iter()
        .filter(|role| old.roles.iter().all(|now| now.id != role.id))
    {
        warnings.push(format!(
            "the role {:?} is back, which had been revoked",
            role.id
        ));
    }
    for (name, webhook) in named(&new.webhooks) {
        if old.webhooks.iter().all(|now| now.secret != webhook.secret) {
            let since = match old.webhooks.iter().any(|now| now.method == webhook.method) {
                true => "rotated",
                false => "revoked",
            };
            warnings.push(format!(
                "the webhook {name:?} answers again to a secret that had been {since}"
            ));
        }
    }
    for route in &new.email_routes {
        let method = &route.method;
        match old.email_routes.iter().find(|now| now.method == *method) {
            None => warnings.push(format!(
                "the email route {method:?} is back, which had been removed"
            )),
            Some(now) if now.approved_senders.is_empty() => {}
            Some(_) if route.approved_senders.is_empty() => {
                warnings.push(format!(
                    "the email route {method:?} takes mail from anybody again"
                ));
            }
            Some(now) => {
                for sender in &route.approved_senders {
                    if !now
                        .approved_senders
                        .iter()
                        .any(|approved| approved.eq_ignore_ascii_case(sender))
                    {
                        warnings.push(format!(
                            "the email route {method:?} takes mail from {sender} again"
                        ));
                    }
                }
            }
        }
    }
    warnings
}
