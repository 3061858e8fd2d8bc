//! What only a browser has: the address bar, the clipboard, the viewport. Nothing happens on the server.

/// Replaces the query in the address bar without a navigation; an empty one removes it.
pub fn replace_query(query: &str) {
    #[cfg(feature = "hydrate")]
    {
        let window = leptos::prelude::window();
        let (Ok(path), Ok(history)) = (window.location().pathname(), window.history()) else {
            return;
        };
        let address = if query.is_empty() { path } else { format!("{path}?{query}") };
        // A refused replacement leaves the old address, which still opens.
        let _ = history.replace_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(&address));
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = query;
}

/// The address of this site with `path_and_query`.
pub fn absolute(path_and_query: &str) -> String {
    #[cfg(feature = "hydrate")]
    let origin = leptos::prelude::window().location().origin().unwrap_or_default();
    #[cfg(not(feature = "hydrate"))]
    let origin = String::new();
    format!("{origin}{path_and_query}")
}

/// Puts `text` on the clipboard; `false` where the browser refuses, as it does outside secure pages.
pub async fn copy(text: String) -> bool {
    #[cfg(feature = "hydrate")]
    {
        if !leptos::prelude::window().is_secure_context() {
            return false;
        }
        let clipboard = leptos::prelude::window().navigator().clipboard();
        wasm_bindgen_futures::JsFuture::from(clipboard.write_text(&text)).await.is_ok()
    }
    #[cfg(not(feature = "hydrate"))]
    {
        drop(text);
        false
    }
}

/// Shows `text` in the text or number field in which `event` happened, also where the page believes that it
/// stands there already.
pub fn show_in_field(event: &leptos::ev::Event, text: &str) {
    #[cfg(feature = "hydrate")]
    {
        use wasm_bindgen::JsCast;
        let field = event.target().and_then(|t| t.dyn_into::<web_sys::HtmlInputElement>().ok());
        if let Some(field) = field {
            field.set_value(text);
        }
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = (event, text);
}

/// Moves the keyboard to the element with this `id`.
pub fn focus(id: &str) {
    #[cfg(feature = "hydrate")]
    {
        use wasm_bindgen::JsCast;
        let element = leptos::prelude::document().get_element_by_id(id);
        if let Some(element) = element.and_then(|e| e.dyn_into::<web_sys::HtmlElement>().ok()) {
            let _ = element.focus();
        }
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = id;
}

/// Brings the element with this `id` into view.
pub fn reveal(id: &str) {
    #[cfg(feature = "hydrate")]
    if let Some(element) = leptos::prelude::document().get_element_by_id(id) {
        element.scroll_into_view();
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = id;
}

/// As [`focus`], once the view has been redrawn.
pub fn focus_later(id: &str) {
    let id = id.to_owned();
    leptos::prelude::request_animation_frame(move || focus(&id));
}

/// Files that a person chose, as the browser holds them: their bytes never pass through this program.
#[derive(Clone)]
pub struct Files {
    #[cfg(feature = "hydrate")]
    form: send_wrapper::SendWrapper<web_sys::FormData>,
}

#[cfg(feature = "hydrate")]
impl Files {
    /// The files as the body of a request.
    pub fn into_form(self) -> web_sys::FormData {
        self.form.take()
    }
}

/// The files chosen in the file input with this `id`; `None` where none is.
pub fn chosen_files(id: &str) -> Option<Files> {
    #[cfg(feature = "hydrate")]
    {
        use wasm_bindgen::JsCast;
        let element = leptos::prelude::document().get_element_by_id(id)?;
        let files = element.dyn_into::<web_sys::HtmlInputElement>().ok()?.files()?;
        let form = web_sys::FormData::new().ok()?;
        for file in (0..files.length()).filter_map(|index| files.item(index)) {
            form.append_with_blob_and_filename("file", &file, &file.name()).ok()?;
        }
        (files.length() > 0).then(|| Files { form: send_wrapper::SendWrapper::new(form) })
    }
    #[cfg(not(feature = "hydrate"))]
    {
        let _ = id;
        None
    }
}

/// Says in the document (`data-ready` of the root element) that the page hears what a person does.
pub fn mark_alive() {
    #[cfg(feature = "hydrate")]
    if let Some(root) = leptos::prelude::document().document_element() {
        // A browser refuses only attributes with broken names.
        let _ = root.set_attribute("data-ready", "true");
    }
}

/// 128 random bits in hexadecimal; empty on the server, where nobody needs them.
pub fn random_text() -> String {
    #[cfg(feature = "hydrate")]
    let mut bytes = [0u8; 16];
    #[cfg(feature = "hydrate")]
    if let Ok(crypto) = leptos::prelude::window().crypto() {
        // A browser refuses only arrays of more than 65,536 bytes.
        let _ = crypto.get_random_values_with_u8_array(&mut bytes);
    }
    #[cfg(not(feature = "hydrate"))]
    let bytes: [u8; 0] = [];
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Milliseconds since the page was opened; 0 on the server.
pub fn milliseconds() -> f64 {
    #[cfg(feature = "hydrate")]
    return leptos::prelude::window().performance().map_or(0.0, |clock| clock.now());
    #[cfg(not(feature = "hydrate"))]
    0.0
}

/// Milliseconds since 1970 (UTC) by the browser's clock, for showing how long ago something was.
pub fn wall_clock() -> i64 {
    #[cfg(feature = "hydrate")]
    return js_sys::Date::now() as i64;
    #[cfg(not(feature = "hydrate"))]
    0
}

/// Resolves after a while.
pub async fn pause(duration: std::time::Duration) {
    let (sender, receiver) = futures::channel::oneshot::channel::<()>();
    leptos::prelude::set_timeout(move || drop(sender), duration);
    // Ends by the sender's drop; that is the signal.
    let _ = receiver.await;
}

/// Whether the page can be seen: it isn't another tab's turn.
pub fn is_visible() -> bool {
    #[cfg(feature = "hydrate")]
    return !leptos::prelude::document().hidden();
    #[cfg(not(feature = "hydrate"))]
    false
}

/// Offers `content` to the person as a file.
pub fn save_file(name: &str, content: &[u8]) {
    #[cfg(feature = "hydrate")]
    {
        let parts = js_sys::Array::of1(&js_sys::Uint8Array::from(content));
        let Ok(blob) = web_sys::Blob::new_with_u8_array_sequence(&parts) else { return };
        let Ok(address) = web_sys::Url::create_object_url_with_blob(&blob) else { return };
        download(name, &address);
        // The download has its own hold on the data by now.
        let _ = web_sys::Url::revoke_object_url(&address);
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = (name, content);
}

/// Offers what is at `address` as a file.
#[cfg(feature = "hydrate")]
fn download(name: &str, address: &str) {
    use wasm_bindgen::JsCast;
    let link = leptos::prelude::document().create_element("a").ok();
    if let Some(link) = link.and_then(|link| link.dyn_into::<web_sys::HtmlAnchorElement>().ok()) {
        link.set_href(address);
        link.set_download(name);
        link.click();
    }
}

/// Kinds of picture files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureFile {
    /// Lines and letters, at any size.
    Svg,
    /// Points, twice as many as the screen has.
    Png,
}

/// Offers the figure with this `id` as a picture, as it looks now; `false` where the browser can't.
pub async fn save_figure(id: &str, kind: PictureFile) -> bool {
    #[cfg(feature = "hydrate")]
    {
        let figure = leptos::prelude::document().get_element_by_id(id);
        let Some(picture) = figure.and_then(|figure| crate::picture::picture(&figure)) else {
            return false;
        };
        match kind {
            PictureFile::Svg => {
                save_file(&format!("{id}.svg"), picture.svg().as_bytes());
                true
            }
            PictureFile::Png => match png(&picture).await {
                Some(address) => {
                    download(&format!("{id}.png"), &address);
                    true
                }
                None => false,
            },
        }
    }
    #[cfg(not(feature = "hydrate"))]
    {
        let _ = (id, kind);
        false
    }
}

/// The picture as an address that holds a PNG file.
#[cfg(feature = "hydrate")]
async fn png(picture: &crate::picture::Picture) -> Option<String> {
    use wasm_bindgen::JsCast;
    const DENSITY: f64 = 2.0;
    let image = web_sys::HtmlImageElement::new().ok()?;
    image.set_src(&format!("data:image/svg+xml,{}", crate::link::escape(&picture.svg())));
    wasm_bindgen_futures::JsFuture::from(image.decode()).await.ok()?;
    let crate::picture::Place { width, height, .. } = picture.bounds();
    let canvas = leptos::prelude::document().create_element("canvas").ok()?;
    let canvas = canvas.dyn_into::<web_sys::HtmlCanvasElement>().ok()?;
    canvas.set_width((DENSITY * width) as u32);
    canvas.set_height((DENSITY * height) as u32);
    let context = canvas.get_context("2d").ok()??;
    let context = context.dyn_into::<web_sys::CanvasRenderingContext2d>().ok()?;
    context.scale(DENSITY, DENSITY).ok()?;
    context.draw_image_with_html_image_element(&image, 0.0, 0.0).ok()?;
    canvas.to_data_url().ok()
}

/// The text of the file that a person chose in an `input type=file`.
pub async fn chosen_file(event: leptos::ev::Event) -> Option<(String, String)> {
    #[cfg(feature = "hydrate")]
    {
        use wasm_bindgen::JsCast;
        let input = event.target()?.dyn_into::<web_sys::HtmlInputElement>().ok()?;
        let file = input.files()?.get(0)?;
        let text = wasm_bindgen_futures::JsFuture::from(file.text()).await.ok()?;
        Some((file.name(), text.as_string()?))
    }
    #[cfg(not(feature = "hydrate"))]
    {
        drop(event);
        None
    }
}
