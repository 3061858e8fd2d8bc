//! The pages of Polylogue: rendered on the server (`ssr`), alive in the browser (`hydrate`).
//!
//! **Invariant:** no SQL and no candle; the server is reached only through [`backend`] and [`api`].
//!
//! - [`api`]: the wire types; [`backend`]: who carries them;
//! - [`shell`](mod@shell): the document and the routes; [`pages`]: one module per page, with the hooks
//!   that browser tests hold on to; [`components`]: what pages are made of; [`charts`]: SVG;
//! - [`link`], [`color`]: plain helpers; [`browser`], [`storage`]: what only a browser has.

// Views are types nested as deep as the page.
#![recursion_limit = "256"]

pub mod api;
pub mod backend;

pub mod charts;
pub mod components;
pub mod pages;
pub mod shell;

pub mod browser;
pub mod color;
pub mod link;
pub mod picture;
pub mod storage;

pub use shell::{App, shell};

/// Makes the page that the server rendered come alive.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(|| {
        backend::http::provide();
        leptos::view! { <App/> }
    });
    // By the next frame, what waited for data that came with the page is alive too.
    leptos::prelude::request_animation_frame(browser::mark_alive);
}
