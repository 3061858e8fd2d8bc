//! The way of replies from the thread that computes to the one that asked.
//!
//! What hasn't been read is kept as one text per row, so it takes no more memory than the text
//! itself. A reader that has stopped reading loses the row once [`MAX_UNREAD`] bytes wait; so a
//! forgotten connection costs that much per row and nothing more.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::{Stream, StreamExt};

use super::error::EngineError;
use super::request::RowEvent;

/// Bytes of a row's text that may wait to be read.
pub const MAX_UNREAD: usize = 64 * 1024;

/// One request's events, per row.
#[derive(Debug)]
struct Mailbox {
    /// Text that waits to be read.
    texts: Vec<String>,
    /// How rows ended, where that waits to be read.
    ends: Vec<Option<RowEvent>>,
    /// Rows with something to read, each once.
    ready: VecDeque<usize>,
    /// Rows that may still write.
    writers: usize,
    /// Whether somebody may still read.
    reader: bool,
    waker: Option<Waker>,
}

type Shared = Arc<Mutex<Mailbox>>;

/// A mailbox for a request of so many rows: the ends to write to, and the end to read from.
pub fn open(rows: usize) -> (Vec<RowSender>, GenerationStream) {
    let mailbox: Shared = Arc::new(Mutex::new(Mailbox {
        texts: vec![String::new(); rows],
        ends: vec![None; rows],
        ready: VecDeque::with_capacity(rows),
        writers: rows,
        reader: true,
        waker: None,
    }));
    let sender = |row| RowSender { mailbox: Arc::clone(&mailbox), row };
    ((0..rows).map(sender).collect(), GenerationStream { mailbox })
}

fn lock(mailbox: &Shared) -> MutexGuard<'_, Mailbox> {
    mailbox.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mailbox {
    fn mark_ready(&mut self, row: usize) {
        if self.texts[row].is_empty() && self.ends[row].is_none() {
            self.ready.push_back(row);
        }
    }

    fn take(&mut self) -> Option<RowEvent> {
        let row = self.ready.pop_front()?;
        if self.texts[row].is_empty() {
            return self.ends[row].take();
        }
        if self.ends[row].is_some() {
            self.ready.push_front(row);
        }
        Some(RowEvent::Text { row, text: std::mem::take(&mut self.texts[row]) })
    }
}

/// Where one row's events are written. The stream ends when all of a request's are dropped.
#[derive(Debug)]
pub struct RowSender {
    mailbox: Shared,
    row: usize,
}

impl RowSender {
    /// Index into the request's rows.
    pub fn row(&self) -> usize {
        self.row
    }

    /// Whether nobody wants the row any more.
    pub fn is_closed(&self) -> bool {
        !lock(&self.mailbox).reader
    }

    /// Adds text, which may be empty.
    ///
    /// # Errors
    /// [`EngineError::Unread`] if too much waits already.
    pub fn text(&self, text: &str) -> Result<(), EngineError> {
        let mut mailbox = lock(&self.mailbox);
        if text.is_empty() || !mailbox.reader {
            return Ok(());
        }
        if mailbox.texts[self.row].len() + text.len() > MAX_UNREAD {
            return Err(EngineError::Unread { limit: MAX_UNREAD });
        }
        mailbox.mark_ready(self.row);
        mailbox.texts[self.row].push_str(text);
        wake(mailbox);
        Ok(())
    }

    /// Says how the row ended: [`RowEvent::Done`] or [`RowEvent::Failed`].
    pub fn end(self, event: RowEvent) {
        let mut mailbox = lock(&self.mailbox);
        if mailbox.reader {
            mailbox.mark_ready(self.row);
            mailbox.ends[self.row] = Some(event);
            wake(mailbox);
        }
    }
}

impl Drop for RowSender {
    fn drop(&mut self) {
        let mut mailbox = lock(&self.mailbox);
        mailbox.writers -= 1;
        wake(mailbox);
    }
}

/// Wakes the reader after the lock is free.
fn wake(mut mailbox: MutexGuard<'_, Mailbox>) {
    let waker = mailbox.waker.take();
    drop(mailbox);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The replies of one request as they arrive. It ends after every row's `Done` or `Failed`;
/// dropping it frees the rows at the next step. A reader that is slower than the model gets longer
/// texts, none of them lost.
#[derive(Debug)]
pub struct GenerationStream {
    mailbox: Shared,
}

impl Stream for GenerationStream {
    type Item = RowEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<RowEvent>> {
        let mut mailbox = lock(&self.mailbox);
        match mailbox.take() {
            Some(event) => Poll::Ready(Some(event)),
            None if mailbox.writers == 0 => Poll::Ready(None),
            None => {
                mailbox.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for GenerationStream {
    fn drop(&mut self) {
        let mut mailbox = lock(&self.mailbox);
        mailbox.reader = false;
        mailbox.ready.clear();
        mailbox.texts.fill(String::new());
        mailbox.ends.fill(None);
    }
}

impl GenerationStream {
    /// Collects the whole text of every row.
    ///
    /// # Errors
    /// The first row's failure, or [`EngineError::Stopped`] if the engine ended before a row did.
    pub async fn texts(mut self, rows: usize) -> Result<Vec<String>, EngineError> {
        let mut texts = vec![String::new(); rows];
        let mut done = 0;
        while let Some(event) = self.next().await {
            match event {
                RowEvent::Text { row, text } => texts[row].push_str(&text),
                RowEvent::Done { .. } => done += 1,
                RowEvent::Failed { error, .. } => return Err(error),
            }
        }
        if done == rows { Ok(texts) } else { Err(EngineError::Stopped) }
    }
}

#[cfg(test)]
impl GenerationStream {
    /// Bytes of text that wait to be read.
    pub fn unread(&self) -> usize {
        lock(&self.mailbox).texts.iter().map(String::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use domain::sampling::Finish;

    use super::*;

    fn done(row: usize) -> RowEvent {
        RowEvent::Done { row, tokens: 1, seconds: 0.0, finish: Finish::Stop, adapter: None }
    }

    fn text(row: usize, text: &str) -> RowEvent {
        RowEvent::Text { row, text: text.to_owned() }
    }

    #[tokio::test]
    async fn text_that_waits_is_joined_and_comes_before_the_end() {
        let (senders, stream) = open(2);
        for (row, part) in [(1, "a"), (0, "x"), (1, "b"), (1, "")] {
            senders[row].text(part).unwrap();
        }
        for (row, sender) in senders.into_iter().enumerate() {
            sender.end(done(row));
        }
        let events: Vec<RowEvent> = stream.collect().await;
        assert_eq!(events, [text(1, "ab"), done(1), text(0, "x"), done(0)]);
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken_by_text_and_by_the_end() {
        let (mut senders, mut stream) = open(1);
        let reader = tokio::spawn(async move { (stream.next().await, stream.next().await) });
        tokio::task::yield_now().await;
        senders[0].text("a").unwrap();
        tokio::task::yield_now().await;
        // Dropped without an end, as when the thread that computes has died.
        drop(senders.pop());
        assert_eq!(reader.await.unwrap(), (Some(text(0, "a")), None));
    }

    #[test]
    fn a_reader_that_stopped_costs_a_bounded_text() {
        let (senders, stream) = open(1);
        let part = "x".repeat(1000);
        let written = (0..1000).take_while(|_| senders[0].text(&part).is_ok()).count();
        assert_eq!(written, MAX_UNREAD / 1000);
        assert!(stream.unread() <= MAX_UNREAD);
        assert_eq!(senders[0].text(&part).unwrap_err().code(), "unread");
    }

    #[test]
    fn a_reader_that_left_closes_the_row_and_keeps_nothing() {
        let (mut senders, stream) = open(1);
        senders[0].text("a").unwrap();
        assert!(!senders[0].is_closed());
        drop(stream);
        let sender = senders.pop().unwrap();
        assert!(sender.is_closed());
        (0..1000).for_each(|_| sender.text(&"x".repeat(1000)).unwrap());
        assert!(lock(&sender.mailbox).texts[0].is_empty());
        sender.end(done(0));
    }
}
