//! What this browser has still to hand in, kept so that neither a reload nor a dead network loses it.
//!
//! Every submission has a name of its own in the storage: two windows of one person never overwrite
//! each other's, and sending one twice does no harm.

use crate::api::annotation::Submission;
use crate::storage;

const PREFIX: &str = "polylogue.annotation.outbox.";

/// What is to be handed in to `project`, oldest first.
pub fn load(project: &str) -> Vec<Submission> {
    let read = |name: &String| serde_json::from_str(&storage::read(name)?).ok();
    storage::names(&format!("{PREFIX}{project}.")).iter().filter_map(read).collect()
}

/// Keeps one; `number` is greater than that of every one before it.
pub fn keep(project: &str, number: u64, submission: &Submission) {
    let text = serde_json::to_string(submission).unwrap_or_default();
    storage::write(&name(project, number, submission), &text);
}

/// Forgets one that the server has answered for.
pub fn forget(project: &str, submission: &Submission) {
    let end = format!(".{}", submission.id);
    for name in storage::names(&format!("{PREFIX}{project}.")) {
        if name.ends_with(&end) {
            storage::forget(&name);
        }
    }
}

/// Names sort as numbers do.
fn name(project: &str, number: u64, submission: &Submission) -> String {
    format!("{PREFIX}{project}.{number:020}.{}", submission.id)
}
