//! What this browser has still to hand in, and what was refused, kept so that neither a reload nor a dead
//! network loses it.
//!
//! Every submission has a name of its own in the storage: two windows of one person never overwrite
//! each other's, and sending one twice does no harm. Members are kept apart: one browser may have several
//! of a project.

use domain::annotation::{Act, MemberId};
use serde::{Deserialize, Serialize};

use crate::api::ApiError;
use crate::api::annotation::{MOST_SUBMISSIONS, Submission};
use crate::storage;

const WAITING: &str = "polylogue.annotation.outbox.";
const REFUSED: &str = "polylogue.annotation.refused.";

/// What the server didn't accept: it stays until the person has seen and discarded it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// What was done.
    pub submission: Submission,
    /// Why it was refused.
    pub error: ApiError,
}

/// Whose things are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The project.
    pub project: String,
    /// The member that the browser is there.
    pub member: MemberId,
}

/// What is to be handed in, oldest first.
pub fn load(owner: &Owner) -> Vec<Submission> {
    let names = storage::names(&format!("{WAITING}{}.", owner.project));
    let own = names.iter().filter(|name| is_own(name, WAITING, owner));
    own.filter_map(|name| serde_json::from_str(&storage::read(name)?).ok()).collect()
}

/// The greatest number of what is kept; 0 where nothing is.
pub fn last_number(owner: &Owner) -> u64 {
    let names = storage::names(&format!("{WAITING}{}.", owner.project));
    names.iter().filter_map(|name| number_in(name)).max().unwrap_or(0)
}

/// The number in a name: the last part but one.
fn number_in(name: &str) -> Option<u64> {
    name.rsplit('.').nth(1)?.parse().ok()
}

/// Keeps one; `number` is greater than that of every one before it. Returns whether the browser did.
pub fn keep(owner: &Owner, number: u64, submission: &Submission) -> bool {
    let text = serde_json::to_string(submission).unwrap_or_default();
    // Names sort as numbers do.
    let (project, member, id) = (&owner.project, &owner.member, &submission.id);
    storage::write(&format!("{WAITING}{project}.{member}.{number:020}.{id}"), &text)
}

/// Forgets one that the server has answered for.
pub fn forget(owner: &Owner, submission: &Submission) {
    let end = format!(".{}", submission.id);
    for name in storage::names(&format!("{WAITING}{}.", owner.project)) {
        if name.ends_with(&end) {
            storage::forget(&name);
        }
    }
}

/// Largest batch in bytes of JSON: half of what the server takes in one request.
const MOST_BYTES: usize = 256 * 1024;

/// How much is handed in at once. The server takes or leaves a request as a whole where it can't read it, so
/// one act that it can't take must not hold up the others: the batch is halved until that act is alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batches {
    most: usize,
}

impl Default for Batches {
    fn default() -> Self {
        Self { most: MOST_SUBMISSIONS }
    }
}

impl Batches {
    /// The next batch of what waits: at least one act, if there is any.
    pub fn next(self, waiting: &[Submission]) -> Vec<Submission> {
        let mut bytes = 0;
        let fits = |(place, submission): &(usize, &Submission)| {
            bytes += serde_json::to_vec(submission).map_or(0, |text| text.len() + 1);
            *place == 0 || bytes <= MOST_BYTES
        };
        let some = waiting.iter().take(self.most).enumerate().take_while(fits);
        some.map(|(_, submission)| submission.clone()).collect()
    }

    /// Notes that a batch of `size` arrived: the next may be larger again.
    pub fn went(&mut self, size: usize) {
        self.most = self.most.max(2 * size).min(MOST_SUBMISSIONS);
    }

    /// Notes that a batch of `size` was refused whole. Returns whether a smaller one is to be tried; if
    /// not, the act that it holds is what can't be taken.
    pub fn was_refused(&mut self, size: usize) -> bool {
        self.most = (size / 2).max(1);
        size > 1
    }
}

/// What was refused.
pub fn load_refused(owner: &Owner) -> Vec<Refused> {
    let names = storage::names(&format!("{REFUSED}{}.{}.", owner.project, owner.member));
    names.iter().filter_map(|name| serde_json::from_str(&storage::read(name)?).ok()).collect()
}

/// Keeps what was refused. Returns whether the storage has taken it.
pub fn keep_refused(owner: &Owner, refused: &Refused) -> bool {
    let text = serde_json::to_string(refused).unwrap_or_default();
    storage::write(&refused_name(owner, &refused.submission), &text)
}

/// Forgets what the person has discarded.
pub fn forget_refused(owner: &Owner, refused: &Refused) {
    storage::forget(&refused_name(owner, &refused.submission));
}

fn refused_name(Owner { project, member }: &Owner, submission: &Submission) -> String {
    format!("{REFUSED}{project}.{member}.{}", submission.id)
}

/// Whether a name in the storage is the member's. Earlier versions named no member: there was one.
fn is_own(name: &str, prefix: &str, owner: &Owner) -> bool {
    let rest = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix(&owner.project));
    let parts: Vec<&str> = rest.unwrap_or_default().split('.').collect();
    match parts[..] {
        ["", member, _, _] => member == owner.member.as_str(),
        ["", _, _] => true,
        _ => false,
    }
}

/// What is left to say of an act that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing is lost by it: the reason is told.
    Reason,
    /// It takes back what was refused as well: nothing is to be told.
    Nothing,
    /// Something was said that isn't stored anywhere: it is kept.
    Content,
}

/// What is left to say of `submission`, after all that was `refused` before.
pub fn left_of(submission: &Submission, refused: &[Refused]) -> Left {
    let known = |refused: &Refused| Some(&refused.submission.id) == submission.replaces.as_ref();
    match submission.act {
        Act::Undone | Act::Reopened if refused.iter().any(known) => Left::Nothing,
        Act::Undone | Act::Reopened => Left::Reason,
        _ => Left::Content,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::annotation::Judgement;

    fn owner() -> Owner {
        Owner { project: "p1".to_owned(), member: "ann".into() }
    }

    #[test]
    fn members_of_one_browser_are_kept_apart() {
        for (name, own) in [
            ("outbox.p1.ann.00000000000000000001.s", true),
            ("outbox.p1.bob.00000000000000000001.s", false),
            ("outbox.p1.00000000000000000001.s", true),
            ("outbox.p10.ann.00000000000000000001.s", false),
            ("outbox.p1", false),
        ] {
            assert_eq!(is_own(name, "outbox.", &owner()), own, "{name}");
        }
    }

    #[test]
    fn numbers_are_found_in_names() {
        for (name, number) in [
            ("polylogue.annotation.outbox.p1.ann.00000000000000000012.s", Some(12)),
            ("polylogue.annotation.outbox.p1.00000000000000000003.s", Some(3)),
            ("polylogue.annotation.outbox.p1.ann.s", None),
            ("s", None),
        ] {
            assert_eq!(number_in(name), number, "{name}");
        }
    }

    fn commented(number: usize, text: &str) -> Submission {
        Submission {
            id: format!("s{number}").as_str().into(),
            item: "i".into(),
            replaces: None,
            act: Act::Commented { text: text.to_owned(), answers: None },
        }
    }

    #[test]
    fn batches_are_cut_by_number_and_by_bytes() {
        let long = "ก".repeat(4096);
        for (count, text, size) in
            [(0, "", 0), (3, "hm", 3), (300, "hm", MOST_SUBMISSIONS), (43, long.as_str(), 21)]
        {
            let waiting: Vec<_> = (0..count).map(|number| commented(number, text)).collect();
            let batch = Batches::default().next(&waiting);
            assert_eq!(batch.len(), size, "{count} of {} bytes", text.len());
            assert!(serde_json::to_vec(&batch).unwrap().len() < 512 * 1024);
        }
        // What is larger than a batch goes alone.
        let huge = [commented(0, &"x".repeat(2 * MOST_BYTES)), commented(1, "hm")];
        assert_eq!(Batches::default().next(&huge).len(), 1);
    }

    #[test]
    fn one_act_that_cannot_be_taken_holds_up_no_other() {
        let mut waiting: Vec<_> = (0..200).map(|number| commented(number, "hm")).collect();
        let bad = |submission: &Submission| submission.id.as_str() == "s77";
        let (mut batches, mut requests, mut settled) = (Batches::default(), 0, Vec::new());
        while !waiting.is_empty() {
            let batch = batches.next(&waiting);
            requests += 1;
            if batch.iter().any(bad) {
                if batches.was_refused(batch.len()) {
                    continue;
                }
                assert!(batch.iter().all(bad), "only that one is given up");
            } else {
                batches.went(batch.len());
                settled.extend(batch.iter().map(|submission| submission.id.clone()));
            }
            waiting.drain(..batch.len());
        }
        assert_eq!(settled.len(), 199);
        assert!(requests < 40, "{requests} requests");
    }

    #[test]
    fn what_says_something_is_kept_and_a_withdrawal_of_it_is_silent() {
        let submission = |id: &str, replaces: Option<&str>, act| Submission {
            id: id.into(),
            item: "i".into(),
            replaces: replaces.map(Into::into),
            act,
        };
        let judged = submission("a", None, Act::Judged(Judgement::of("right".into())));
        let comment = Act::Commented { text: "Hm".to_owned(), answers: None };
        assert_eq!(left_of(&judged, &[]), Left::Content);
        assert_eq!(left_of(&submission("c", None, comment), &[]), Left::Content);
        let undone = submission("b", Some("a"), Act::Undone);
        assert_eq!(left_of(&undone, &[]), Left::Reason);
        let error =
            ApiError { code: "x".to_owned(), message: "no".to_owned(), hint: None, status: None };
        assert_eq!(left_of(&undone, &[Refused { submission: judged, error }]), Left::Nothing);
    }
}
