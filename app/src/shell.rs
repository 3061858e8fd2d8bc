//! The document around every page, the header with its navigation, and the routes.

use leptos::prelude::*;
use leptos_meta::{HashedStylesheet, MetaTags, Title, provide_meta_context};
use leptos_router::components::{A, Route, Router, Routes};
use leptos_router::{ParamSegment, SsrMode, StaticSegment};

use crate::api::{ApiError, World};
use crate::backend::use_backend;
use crate::components::talk::conversation::Conversation;
use crate::pages::{
    AnnotatePage, JoinPage, NotFound, ProjectPage, StudioPage, SurveyPage, TalkPage,
};

/// What is loaded; read once per visit and shared by all pages.
#[derive(Clone, Copy)]
pub struct WorldResource(pub Resource<Result<World, ApiError>>);

/// The whole document, as the server sends it.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <meta
                    name="description"
                    content="Talk with several culture voices side by side, and see how close each is to people."
                />
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <HashedStylesheet options=options.clone() id="style"/>
                <AutoReload options=options.clone()/>
                <HydrationScripts options/>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

/// All pages.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    let backend = StoredValue::new(use_backend());
    provide_context(WorldResource(Resource::new_blocking(
        || (),
        move |()| {
            let backend = backend.get_value();
            async move { backend?.world().await }
        },
    )));
    provide_context(Conversation::default());
    view! {
        <Title formatter=|title: String| {
            if title.is_empty() { "Polylogue".to_owned() } else { format!("{title} · Polylogue") }
        }/>
        <Router>
            <a class="skip" href="#content">"Skip to content"</a>
            <Header/>
            <main id="content" tabindex="-1">
                <Routes fallback=NotFound>
                    // Whole pages at once: what they wait for is in memory, and a first paint without
                    // voices would only flicker.
                    <Route path=StaticSegment("") view=TalkPage ssr=SsrMode::Async/>
                    <Route path=StaticSegment("survey") view=SurveyPage ssr=SsrMode::Async/>
                    <Route path=StaticSegment("studio") view=StudioPage ssr=SsrMode::Async/>
                    <Route path=StaticSegment("annotate") view=AnnotatePage ssr=SsrMode::Async/>
                    <Route path=(StaticSegment("annotate"), StaticSegment("join"), ParamSegment("token")) view=JoinPage/>
                    <Route path=(StaticSegment("annotate"), ParamSegment("project")) view=ProjectPage/>
                </Routes>
            </main>
        </Router>
    }
}

#[component]
fn Header() -> impl IntoView {
    view! {
        <header class="bar">
            <A href="/" attr:class="brand">"Polylogue"</A>
            <nav aria-label="Pages">
                <A href="/" exact=true>"Talk"</A>
                <A href="/survey">"Survey"</A>
                <A href="/studio">"Studio"</A>
                <A href="/annotate">"Annotate"</A>
            </nav>
        </header>
    }
}
