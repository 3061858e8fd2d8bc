//! Comments that are being written: each stays with its item until it is said, whatever is on the screen.

use domain::annotation::event::check_comment;
use domain::annotation::{Act, AnnotationError, Event, ItemId};
use leptos::prelude::*;

use super::desk::Desk;
use crate::api::ApiError;

/// A comment that is being written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// What it says so far.
    pub text: String,
    /// The comment that it answers.
    pub answers: Option<Event>,
}

impl Desk {
    /// Says what is written about an item, if anything is. What can't be said stays as it is.
    ///
    /// # Errors
    /// [`AnnotationError::Comment`].
    pub fn say(self, item: &ItemId) -> Result<(), AnnotationError> {
        let draft = self.drafts.with_untracked(|drafts| drafts.get(item).cloned());
        let Some(Draft { text, answers }) = draft else { return Ok(()) };
        let text = text.trim().to_owned();
        if text.is_empty() {
            return Ok(());
        }
        check_comment(&text)?;
        let answers = answers.map(|event| event.submission);
        self.act(item, Act::Commented { text, answers });
        self.drafts.update(|drafts| drop(drafts.remove(item)));
        Ok(())
    }

    /// Says what is written about an item that goes out of sight. What can't be said stays with the item,
    /// which can be opened again, and the person is told.
    pub(super) fn say_or_tell(self, item: &ItemId) {
        if let Err(error) = self.say(item) {
            self.refuse(ApiError {
                code: error.code().to_owned(),
                message: format!("your comment on `{item}` isn’t sent and stays with it: {error}"),
                hint: None,
                status: None,
            });
        }
    }
}
