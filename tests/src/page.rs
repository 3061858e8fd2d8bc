//! One page: to act (`click`, `fill`, `press`), to see (`text`, `texts`, `eval`) and to wait.
//!
//! Elements are named by their `data-testid`; a selector may follow after a space. The pages list
//! their hooks in `app/src/pages/`.

use std::fs;

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, Locator};
use serde_json::{Value, json};

use crate::browser::PATIENCE;
use crate::setting;

/// A tab with the server it looks at.
#[derive(Debug, Clone)]
pub struct Page {
    client: Client,
    address: String,
}

/// Turns a hook into a selector: `a b` is the element with hook `b` inside that with hook `a`.
fn selector(hook: &str) -> String {
    let part = |word: &str| match word.starts_with(['[', '.', '#', ':']) {
        true => word.to_owned(),
        false => match word.find(['[', ':']) {
            Some(at) => format!("[data-testid=\"{}\"]{}", &word[..at], &word[at..]),
            None => format!("[data-testid=\"{word}\"]"),
        },
    };
    hook.split_whitespace().map(part).collect::<Vec<_>>().join(" ")
}

impl Page {
    /// A page of the browser behind `client`.
    pub fn new(client: Client, address: String) -> Self {
        Self { client, address }
    }

    /// Opens a path of the server and waits until the page is alive.
    pub async fn open(&self, path: &str) {
        let address = format!("{}{path}", self.address);
        self.client.goto(&address).await.unwrap_or_else(|e| panic!("cannot open `{address}`: {e}"));
        self.until_alive().await;
    }

    /// Loads the page anew, as the reload key does.
    pub async fn reload(&self) {
        self.client.refresh().await.expect("a page can be reloaded");
        self.until_alive().await;
    }

    /// Waits until the client runs: before, the page is only HTML.
    pub async fn until_alive(&self) {
        self.until("the page is alive", "document.documentElement.dataset.ready === 'true'").await;
    }

    /// Path and query of the address bar.
    pub async fn path(&self) -> String {
        self.string("location.pathname + location.search").await
    }

    /// Clicks the element, which must be there and visible.
    pub async fn click(&self, hook: &str) {
        self.until_there(hook).await;
        let found = self.client.find(Locator::Css(&selector(hook))).await;
        let element = found.unwrap_or_else(|e| panic!("there is no `{hook}`: {e}"));
        element.click().await.unwrap_or_else(|e| panic!("cannot click `{hook}`: {e}"));
    }

    /// Types into the element.
    pub async fn fill(&self, hook: &str, text: &str) {
        self.until_there(hook).await;
        let found = self.client.find(Locator::Css(&selector(hook))).await;
        let element = found.unwrap_or_else(|e| panic!("there is no `{hook}`: {e}"));
        element.send_keys(text).await.unwrap_or_else(|e| panic!("cannot fill `{hook}`: {e}"));
    }

    /// Chooses the option with this value.
    pub async fn choose(&self, hook: &str, value: &str) {
        self.until_there(hook).await;
        let found = self.client.find(Locator::Css(&selector(hook))).await;
        let element = found.unwrap_or_else(|e| panic!("there is no `{hook}`: {e}"));
        let chosen = element.select_by_value(value).await;
        chosen.unwrap_or_else(|e| panic!("cannot choose `{value}` in `{hook}`: {e}"));
    }

    /// Presses keys one after the other, wherever the focus is.
    pub async fn press(&self, keys: &[Key]) {
        for key in keys {
            let value = char::from(*key);
            let actions = KeyActions::new("keyboard".to_owned())
                .then(KeyAction::Down { value })
                .then(KeyAction::Up { value });
            self.client.perform_actions(actions).await.expect("keys can be pressed");
        }
    }

    /// Types text wherever the focus is.
    pub async fn type_text(&self, text: &str) {
        let mut actions = KeyActions::new("keyboard".to_owned());
        for value in text.chars() {
            actions = actions.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        }
        self.client.perform_actions(actions).await.expect("text can be typed");
    }

    /// The visible text of the first such element.
    pub async fn text(&self, hook: &str) -> String {
        let all = self.texts(hook).await;
        all.into_iter().next().unwrap_or_else(|| panic!("there is no `{hook}`"))
    }

    /// The visible texts of all such elements, in the order of the page.
    pub async fn texts(&self, hook: &str) -> Vec<String> {
        self.strings(&format!("{}.map(e => e.innerText)", all(hook))).await
    }

    /// The values of a `data-` attribute of all such elements.
    pub async fn data(&self, hook: &str, name: &str) -> Vec<String> {
        self.strings(&format!("{}.map(e => e.dataset.{name})", all(hook))).await
    }

    /// Waits until there is such an element.
    pub async fn until_there(&self, hook: &str) {
        self.until(&format!("`{hook}` is there"), &format!("{}.length > 0", all(hook))).await;
    }

    /// Waits until the expression is true, looking once per frame.
    ///
    /// # Panics
    /// When it doesn't become true in time.
    pub async fn until(&self, what: &str, expression: &str) {
        let script = format!(
            "const [limit, done] = arguments;
             const start = performance.now();
             const look = () => {{
               if ({expression}) done(true);
               else if (performance.now() - start > limit) done(false);
               else requestAnimationFrame(look);
             }};
             look();"
        );
        let limit = json!(PATIENCE.as_millis() as u64);
        let came = self.client.execute_async(&script, vec![limit]).await;
        let came = came.unwrap_or_else(|e| panic!("while waiting until {what}: {e}"));
        assert!(came == json!(true), "waited {} s in vain until {what}", PATIENCE.as_secs());
    }

    /// Waits until the page has asked the server for nothing during half a second.
    pub async fn until_quiet(&self) {
        let count = "performance.getEntriesByType('resource').length";
        let quiet = format!(
            "(() => {{
               const now = performance.now(), seen = {count}, q = window.quietSince;
               if (!q || q.seen !== seen) {{ window.quietSince = {{ seen, at: now }}; return false; }}
               return now - q.at > 500;
             }})()"
        );
        self.until("the page is quiet", &quiet).await;
    }

    /// How many requests the page has made since it was loaded.
    pub async fn requests(&self) -> u64 {
        let count = self.eval("performance.getEntriesByType('resource').length").await;
        count.as_u64().expect("a count")
    }

    /// The value of an expression in the page.
    pub async fn eval(&self, expression: &str) -> Value {
        let script = format!("return {expression};");
        let value = self.client.execute(&script, vec![]).await;
        value.unwrap_or_else(|e| panic!("cannot evaluate `{expression}`: {e}"))
    }

    /// The value of an expression that is a string.
    pub async fn string(&self, expression: &str) -> String {
        let value = self.eval(expression).await;
        value.as_str().unwrap_or_else(|| panic!("`{expression}` is {value}")).to_owned()
    }

    /// The values of an expression that is a list of strings.
    ///
    /// # Panics
    /// When it is none.
    pub async fn strings(&self, expression: &str) -> Vec<String> {
        let value = self.eval(expression).await;
        let values = value.as_array().unwrap_or_else(|| panic!("`{expression}` is {value}"));
        values.iter().map(|value| value.as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Gives the page another size, in CSS pixels, and light or dark colours.
    pub async fn look_through(&self, width: u32, height: u32, dark: bool) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false
        });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
    }

    /// Takes the network away from the page, or gives it back.
    pub async fn cut_off(&self, offline: bool) {
        self.network(offline, None).await;
    }

    /// Lets so many bytes a second arrive at the page; `None` for as many as come.
    pub async fn slow_down(&self, bytes_per_second: Option<u32>) {
        self.network(false, bytes_per_second).await;
    }

    async fn network(&self, offline: bool, bytes_per_second: Option<u32>) {
        self.devtools("Network.enable", json!({})).await;
        let download = bytes_per_second.map_or(-1, i64::from);
        let conditions = json!({
            "offline": offline, "latency": 0, "downloadThroughput": download, "uploadThroughput": -1
        });
        self.devtools("Network.emulateNetworkConditions", conditions).await;
    }

    /// What stands out to the right of the page, as selectors; empty is good.
    pub async fn overflowing(&self) -> Vec<String> {
        let fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";
        let who = "[...document.querySelectorAll('body *')]
            .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
            .map(e => e.tagName + ' ' + (e.dataset.testid || e.className))";
        self.strings(&format!("{fits} ? [] : {who}")).await
    }

    /// Errors and warnings that the browser has logged since the last call.
    pub async fn console(&self) -> Vec<String> {
        let log =
            self.client.issue_cmd(Vendor { path: "se/log", body: json!({ "type": "browser" }) });
        let Ok(Value::Array(entries)) = log.await else { return Vec::new() };
        let bad = |entry: &&Value| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING"));
        entries.iter().filter(bad).map(|entry| entry["message"].to_string()).collect()
    }

    /// A picture of what is visible, as PNG.
    pub async fn picture(&self) -> Vec<u8> {
        self.client.screenshot().await.expect("a picture can be taken")
    }

    /// Keeps what a person wants to see of a page on which a journey failed.
    pub async fn keep(&self, journey: &str, console: &[String]) {
        let folder = setting::results();
        // Best effort: the failure itself is reported by the caller.
        if let Ok(picture) = self.client.screenshot().await {
            let _ = fs::write(folder.join(format!("{journey}.png")), picture);
        }
        if let Ok(source) = self.client.source().await {
            let _ = fs::write(folder.join(format!("{journey}.html")), source);
        }
        let _ = fs::write(folder.join(format!("{journey}.console")), console.join("\n"));
        eprintln!("picture, source and console are in {}", folder.display());
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        let answer = self.client.issue_cmd(Vendor { path: "goog/cdp/execute", body }).await;
        answer.unwrap_or_else(|e: CmdError| panic!("`{command}` failed: {e}"))
    }
}

/// A JavaScript array of all elements with the hook.
pub fn all(hook: &str) -> String {
    format!("[...document.querySelectorAll('{}')]", selector(hook))
}

/// A command of Chromium's driver beyond the standard.
#[derive(Debug)]
struct Vendor {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::selector;

    #[test]
    fn hooks_become_selectors() {
        for (hook, expect) in [
            ("send", "[data-testid=\"send\"]"),
            ("runs run[data-run]", "[data-testid=\"runs\"] [data-testid=\"run\"][data-run]"),
            ("results .badge", "[data-testid=\"results\"] .badge"),
        ] {
            assert_eq!(selector(hook), expect);
        }
    }
}
