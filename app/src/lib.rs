//! The pages of Polylogue: rendered on the server (`ssr`), alive in the browser (`hydrate`).
//!
//! **Invariant:** no SQL and no candle; the server is reached only through [`backend`] and [`api`].

pub mod api;
