//! What this browser keeps between visits: text by name. Nothing is kept on the server, nor where the
//! browser refuses, as it may in private windows; then it lasts as long as the page.

/// The text kept as `name`.
pub fn read(name: &str) -> Option<String> {
    #[cfg(feature = "hydrate")]
    return storage()?.get_item(name).ok().flatten();
    #[cfg(not(feature = "hydrate"))]
    {
        let _ = name;
        None
    }
}

/// Keeps `text` as `name`. Returns whether it was kept.
pub fn write(name: &str, text: &str) -> bool {
    #[cfg(feature = "hydrate")]
    return storage().is_some_and(|storage| storage.set_item(name, text).is_ok());
    #[cfg(not(feature = "hydrate"))]
    {
        let _ = (name, text);
        false
    }
}

/// Forgets `name`.
pub fn forget(name: &str) {
    #[cfg(feature = "hydrate")]
    if let Some(storage) = storage() {
        let _ = storage.remove_item(name);
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = name;
}

/// All names that begin with `prefix`, in order.
pub fn names(prefix: &str) -> Vec<String> {
    #[cfg(feature = "hydrate")]
    {
        let Some(storage) = storage() else { return Vec::new() };
        let length = storage.length().unwrap_or(0);
        let all = (0..length).filter_map(|place| storage.key(place).ok().flatten());
        let mut names: Vec<String> = all.filter(|name| name.starts_with(prefix)).collect();
        names.sort_unstable();
        names
    }
    #[cfg(not(feature = "hydrate"))]
    {
        let _ = prefix;
        Vec::new()
    }
}

#[cfg(feature = "hydrate")]
fn storage() -> Option<web_sys::Storage> {
    leptos::prelude::window().local_storage().ok().flatten()
}
