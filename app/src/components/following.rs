//! Following a run that the address names, in the browser: one at a time, until it ends or another is
//! named. What is known of it is its page's own.

use std::sync::Arc;
use std::time::Duration;

use futures::Future;
use futures::channel::oneshot;
use futures::future::{AbortHandle, Abortable};
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api::ApiError;
use crate::backend::{Backend, Live, use_backend, use_live};

/// Pause before a broken progress stream is taken up again.
pub const PAUSE: Duration = Duration::from_secs(1);

/// Follows what `id` names by `watch`, and anew when it changes; before, `reset` clears what is known
/// of the last one. What ends `watch` early goes to `error`.
pub fn follow<F>(
    id: impl Fn() -> Option<String> + Send + Sync + 'static,
    reset: impl Fn() + Send + Sync + 'static,
    error: RwSignal<Option<ApiError>>,
    watch: impl Fn(String, Arc<dyn Backend>, Arc<dyn Live>) -> F + Send + Sync + 'static,
) where
    F: Future<Output = Result<(), ApiError>> + 'static,
{
    let backend = StoredValue::new(use_backend());
    let live = StoredValue::new(use_live());
    Effect::new(move |before: Option<Option<AbortHandle>>| {
        if let Some(before) = before.flatten() {
            before.abort();
        }
        reset();
        error.set(None);
        let id = id()?;
        let (Ok(backend), Some(live)) = (backend.get_value(), live.get_value()) else {
            return None;
        };
        let (handle, registration) = AbortHandle::new_pair();
        let following = Abortable::new(watch(id, backend, live), registration);
        spawn_local(async move {
            if let Ok(Err(told)) = following.await {
                error.set(Some(told));
            }
        });
        let stop = handle.clone();
        on_cleanup(move || stop.abort());
        Some(handle)
    });
}

/// Waits in the browser.
pub async fn pause(time: Duration) {
    let (sender, receiver) = oneshot::channel::<()>();
    set_timeout(move || drop(sender), time);
    // Ends by the sender's drop; that is the signal.
    let _ = receiver.await;
}
