//! The frame around every chart: title, what it shows, what kind of reference, the numbers as a table.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::browser::{self, PictureFile};

/// The numbers of a chart as text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NumberTable {
    /// Column heads.
    pub columns: Vec<String>,
    /// One text per column; the first names the row.
    pub rows: Vec<Vec<String>>,
}

impl NumberTable {
    /// The table as CSV (RFC 4180). A column of its own says so where the reference is simulated.
    pub fn csv(&self, simulated: bool) -> String {
        let line = |cells: &Vec<String>, mark: &str| {
            let mark = simulated.then(|| mark.to_owned());
            let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).chain(mark).collect();
            format!("{}\r\n", cells.join(","))
        };
        let rows = self.rows.iter().map(|row| line(row, "simulated"));
        std::iter::once(line(&self.columns, "reference")).chain(rows).collect()
    }
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

/// A chart with its words.
#[component]
pub fn Figure(
    /// Identifies the figure in the page.
    id: &'static str,
    /// What it is.
    #[prop(into)]
    title: Signal<String>,
    /// What it shows and how to read it.
    #[prop(into)]
    description: Signal<String>,
    /// Whether the reference was not asked of anybody.
    simulated: bool,
    /// The same numbers.
    #[prop(into)]
    table: Signal<NumberTable>,
    /// The marks.
    children: Children,
) -> impl IntoView {
    let open = RwSignal::new(false);
    view! {
        <figure class="chart" id=id data-testid=id aria-labelledby=format!("{id}-title")
            aria-describedby=format!("{id}-text")>
            <figcaption>
                <h3 id=format!("{id}-title")>{title}</h3>
                {simulated.then(|| view! {
                    <span class="badge" data-testid="simulated">"simulated reference"</span>
                })}
                <p class="meta" id=format!("{id}-text")>{description}</p>
            </figcaption>
            {children()}
            <div class="figure-foot">
                <details class="note" on:toggle=move |_| open.update(|open| *open = !*open)>
                    <summary>"The numbers as a table"</summary>
                    <Show when=move || open.get()><TableView table/></Show>
                </details>
                <button type="button" class="quiet" data-testid="save-csv"
                    on:click=move |_| table.with_untracked(|table| {
                        browser::save_file(&format!("{id}.csv"), table.csv(simulated).as_bytes());
                    })>"Save as CSV"</button>
                <SavePicture id kind=PictureFile::Svg/>
                <SavePicture id kind=PictureFile::Png/>
            </div>
        </figure>
    }
    .into_any()
}

#[component]
fn SavePicture(id: &'static str, kind: PictureFile) -> impl IntoView {
    let (name, testid) = match kind {
        PictureFile::Svg => ("SVG", "save-svg"),
        PictureFile::Png => ("PNG", "save-png"),
    };
    let refused = RwSignal::new(false);
    let save = move |_| {
        spawn_local(async move {
            refused.set(!browser::save_figure(id, kind).await);
        })
    };
    view! {
        <button type="button" class="quiet" data-testid=testid on:click=save
            title=format!("Saves the chart as it looks now as {name}")>
            {move || if refused.get() { "the browser refuses" } else { name }}
        </button>
    }
}

#[component]
fn TableView(table: Signal<NumberTable>) -> impl IntoView {
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label="The numbers as a table">
            {move || table.with(table_view)}
        </div>
    }
    .into_any()
}

fn table_view(table: &NumberTable) -> impl IntoView + use<> {
    let heads: Vec<_> =
        table.columns.iter().map(|head| view! { <th scope="col">{head.clone()}</th> }).collect();
    let row = |row: &Vec<String>| {
        let name = row.first().cloned().unwrap_or_default();
        let cells: Vec<_> = row.iter().skip(1).map(|c| view! { <td>{c.clone()}</td> }).collect();
        view! { <tr><th scope="row">{name}</th>{cells}</tr> }
    };
    let rows: Vec<_> = table.rows.iter().map(row).collect();
    view! { <table class="numbers"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table> }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_quotes_what_must_be() {
        let table = NumberTable {
            columns: vec!["a".to_owned(), "b,c".to_owned()],
            rows: vec![vec!["say \"x\"".to_owned(), "1".to_owned()]],
        };
        assert_eq!(table.csv(false), "a,\"b,c\"\r\n\"say \"\"x\"\"\",1\r\n");
        let marked = "a,\"b,c\",reference\r\n\"say \"\"x\"\"\",1,simulated\r\n";
        assert_eq!(table.csv(true), marked);
    }
}
