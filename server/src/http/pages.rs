//! The rendered pages and the client's files.

use std::sync::Arc;

use app::backend::SharedBackend;
use axum::Router;
use axum::extract::FromRef;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use leptos::prelude::{LeptosOptions, provide_context};
use leptos_axum::{
    LeptosRoutes, file_and_error_handler_with_context, generate_route_list, site_pkg_dir_service,
};

use super::backend::LocalBackend;
use crate::state::AppState;

/// Pages by the app's own routes, the client under `/pkg`, other files at the top, and a rendered
/// "not found" for everything else.
pub fn router(state: &AppState) -> Router<AppState> {
    let options = LeptosOptions::from_ref(state);
    let shared = SharedBackend(Arc::new(LocalBackend(state.clone())));
    let provide = move || provide_context(shared.clone());
    let shell = move |options: LeptosOptions| app::shell(options);
    let page_shell = {
        let options = options.clone();
        move || shell(options.clone())
    };
    let client = Router::new()
        .nest_service("/pkg", site_pkg_dir_service_in(&options))
        .layer(map_response(ask_again));
    Router::new()
        .leptos_routes_with_context(
            state,
            generate_route_list(app::App),
            provide.clone(),
            page_shell,
        )
        .merge(client)
        .fallback(file_and_error_handler_with_context::<AppState, _>(provide, shell))
}

/// The service looks below the site's root, so nesting must not strip the folder's name twice.
fn site_pkg_dir_service_in(options: &LeptosOptions) -> tower_http::services::ServeDir {
    let mut below = options.clone();
    below.site_root = format!("{}/{}", options.site_root, options.site_pkg_dir).into();
    site_pkg_dir_service(&below)
}

/// File names don't change between builds: a browser may keep a file, but asks whether it is still
/// the newest before it uses it.
async fn ask_again(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
