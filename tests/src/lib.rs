//! What journeys need: the real server on a free port, a real browser, and a page to act on.
//!
//! - [`journey`]: runs one story from a fresh server and a fresh browser ([`journey_of`]: several), and
//!   keeps a picture and the console of a page on which it failed;
//! - [`server`]: the `polylogue` program with a data folder of its own;
//! - [`browser`]: Chromium and its driver; [`page`]: to act, to find and to see;
//! - [`setting`]: where the programs lie, as `cargo xtask test` says.
//!
//! The stories are in `tests/tests/journey/`. **Invariant:** nothing here or there sleeps or uses a fixed
//! port; waiting happens inside the page, frame by frame, up to a limit.
#![expect(clippy::expect_used, reason = "a harness fails the test that uses it by panicking")]

pub mod browser;
pub mod page;
pub mod server;
pub mod setting;

mod child;

use std::future::Future;
use std::panic::resume_unwind;

pub use browser::Browser;
pub use page::{Page, all};
pub use server::Server;

/// Runs a story named `name` with a server and a browser of its own.
///
/// The page is one of the size of a laptop; the browser is closed however the story ends. The
/// console must stay clean: what the browser logged as an error fails the journey at its end.
///
/// # Panics
/// When the story does, or when the console is not clean.
pub async fn journey<F, R>(name: &str, story: F)
where
    F: FnOnce(Page) -> R,
    R: Future<Output = ()> + Send + 'static,
{
    journey_of(name, 1, |mut pages| story(pages.remove(0))).await;
}

/// Runs a story of `people`, each at a browser of their own, with one server for all.
///
/// # Panics
/// As [`journey`].
pub async fn journey_of<F, R>(name: &str, people: usize, story: F)
where
    F: FnOnce(Vec<Page>) -> R,
    R: Future<Output = ()> + Send + 'static,
{
    let server = Server::start(name).await;
    let (mut browsers, mut pages, mut console) = (Vec::new(), Vec::new(), Vec::new());
    for person in 0..people {
        let browser = Browser::start(&person_name(name, person)).await;
        pages.push(Page::new(browser.client.clone(), server.address.clone()));
        browsers.push(browser);
    }
    let told = tokio::spawn(story(pages.clone())).await;
    for (person, page) in pages.iter().enumerate() {
        let said = page.console().await;
        if told.is_err() || !said.is_empty() {
            page.keep(&person_name(name, person), &said).await;
        }
        console.extend(said);
    }
    for browser in browsers {
        browser.close().await;
    }
    drop(server);
    if let Err(panic) = told.map_err(tokio::task::JoinError::into_panic) {
        resume_unwind(panic);
    }
    assert!(console.is_empty(), "the console must stay clean:\n{}", console.join("\n"));
}

/// What the logs and pictures of one person of a story are called.
fn person_name(journey: &str, person: usize) -> String {
    if person == 0 { journey.to_owned() } else { format!("{journey}-{}", person + 1) }
}
