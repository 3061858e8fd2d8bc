//! Rows by columns in colour and number; arrow keys read it cell by cell.

use domain::culture::CultureCode;
use leptos::ev::KeyboardEvent;
use leptos::prelude::*;

use crate::color;

/// Width and height of a cell and width of the row heads, in SVG units.
const CELL: (usize, usize) = (52, 28);
const HEAD_WIDTH: usize = 64;

/// How far the longest column name reaches up, and the last one to the right: names are tilted, and
/// a letter is about 6.5 units wide.
fn reach(columns: &[String]) -> (usize, usize) {
    let longest = columns.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    let last = columns.last().map_or(0, |name| name.chars().count());
    (longest * 9 / 2 + 24, last * 5)
}

/// One culture's row.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatRow {
    /// Whose row.
    pub culture: CultureCode,
    /// A value per column, where there is one; shares, shown x 100.
    pub values: Vec<Option<f64>>,
}

/// The map; a pick (click or Enter) hands back row and column.
#[component]
pub fn HeatMap(
    /// Names what the map shows, for screen readers.
    #[prop(into)]
    label: Signal<String>,
    /// Column names.
    #[prop(into)]
    columns: Signal<Vec<String>>,
    /// Rows in order.
    #[prop(into)]
    rows: Signal<Vec<HeatRow>>,
    /// Values of the lightest and the darkest cell; by default the smallest and the largest.
    #[prop(optional, into)]
    scale: Signal<Option<(f64, f64)>>,
    /// What to do with a picked cell.
    #[prop(into)]
    on_pick: Callback<(usize, usize)>,
) -> impl IntoView {
    let active = RwSignal::new((0usize, 0usize));
    let reach = Memo::new(move |_| columns.with(|columns| reach(columns)));
    let width = move || HEAD_WIDTH + columns.with(Vec::len) * CELL.0 + reach.get().1;
    let height = move || reach.get().0 + rows.with(Vec::len) * CELL.1;
    let size = move || (rows.with(Vec::len), columns.with(Vec::len));
    let keys = move |event: KeyboardEvent| {
        if event.key() == "Enter" {
            on_pick.run(active.get_untracked());
        } else if let Some(next) = step(&event.key(), active.get_untracked(), untrack(size)) {
            event.prevent_default();
            active.set(next);
        }
    };
    view! {
        <div class="scroll">
            <svg class="heat-map" tabindex="0" role="application" aria-label=label
                aria-roledescription="heat map, move with the arrow keys"
                viewBox=move || format!("0 0 {} {}", width(), height())
                style=move || format!("width:{}px", width()) on:keydown=keys>
                {move || columns.with(|columns| column_heads(columns, reach.get().0))}
                {move || rows.with(|rows| {
                    let (low, high) = scale.get().unwrap_or_else(|| range(rows));
                    let top = reach.get().0;
                    rows.iter().enumerate().map(|(index, row)| {
                        let at = (index, top + index * CELL.1);
                        row_view(at, row, (low, high), active, on_pick)
                    }).collect_view()
                })}
            </svg>
        </div>
        <p class="meta" role="status" data-testid="heat-reading">
            {move || rows.with(|rows| columns.with(|columns| reading(rows, columns, active.get())))}
        </p>
    }
    .into_any()
}

/// The cell that a key leads to.
fn step(
    key: &str,
    (row, column): (usize, usize),
    (rows, columns): (usize, usize),
) -> Option<(usize, usize)> {
    let (last_row, last_column) = (rows.checked_sub(1)?, columns.checked_sub(1)?);
    Some(match key {
        "ArrowUp" => (row.saturating_sub(1), column),
        "ArrowDown" => ((row + 1).min(last_row), column),
        "ArrowLeft" => (row, column.saturating_sub(1)),
        "ArrowRight" => (row, (column + 1).min(last_column)),
        "Home" => (row, 0),
        "End" => (row, last_column),
        _ => return None,
    })
}

fn range(rows: &[HeatRow]) -> (f64, f64) {
    let values = rows.iter().flat_map(|row| row.values.iter().flatten().copied());
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
}

fn reading(rows: &[HeatRow], columns: &[String], (row, column): (usize, usize)) -> String {
    let (Some(row), Some(name)) = (rows.get(row), columns.get(column)) else {
        return String::new();
    };
    match row.values.get(column).copied().flatten() {
        Some(value) => format!("{}, {name}: {:.1}", row.culture, value * 100.0),
        None => format!("{}, {name}: nothing to score", row.culture),
    }
}

fn column_heads(columns: &[String], height: usize) -> impl IntoView + use<> {
    let head = |(index, name): (usize, &String)| {
        let x = HEAD_WIDTH + index * CELL.0 + CELL.0 / 2;
        let turn = format!("translate({x} {}) rotate(-40)", height - 8);
        view! { <text class="head" transform=turn>{name.clone()}</text> }
    };
    columns.iter().enumerate().map(head).collect_view()
}

fn row_view(
    (index, y): (usize, usize),
    row: &HeatRow,
    (low, high): (f64, f64),
    active: RwSignal<(usize, usize)>,
    on_pick: Callback<(usize, usize)>,
) -> impl IntoView + use<> {
    let cells: Vec<_> = row
        .values
        .iter()
        .enumerate()
        .map(|(column, value)| {
            let share =
                value.map_or(0.0, |v| if high > low { (v - low) / (high - low) } else { 0.5 });
            let share = share.clamp(0.0, 1.0);
            let shown = value.map_or_else(|| "–".to_owned(), |v| format!("{:.0}", v * 100.0));
            let here = (index, column);
            let class = move || if active.get() == here { "cell active" } else { "cell" };
            view! {
                <g class=class data-testid="heat-cell" style=format!("--heat:{:.0}%", share * 100.0)
                    transform=format!("translate({} {y})", HEAD_WIDTH + column * CELL.0)
                    on:pointerenter=move |_| active.set(here)
                    on:click=move |_| { active.set(here); on_pick.run(here); }>
                    <rect x="1" y="1" width=CELL.0 - 2 height=CELL.1 - 2 rx="3"/>
                    <text x=CELL.0 / 2 y=CELL.1 / 2 + 4>{shown}</text>
                </g>
            }
        })
        .collect();
    view! {
        <g style=color::style(Some(row.culture))>
            <rect class="mark" x="0" y=y + 8 width="12" height="12" rx="3"/>
            <text class="code" x="20" y=y + CELL.1 / 2 + 4>{row.culture.to_string()}</text>
            {cells}
        </g>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_stay_on_the_map() {
        for (key, from, expect) in [
            ("ArrowUp", (0, 1), Some((0, 1))),
            ("ArrowDown", (1, 1), Some((1, 1))),
            ("ArrowDown", (0, 1), Some((1, 1))),
            ("ArrowRight", (0, 2), Some((0, 2))),
            ("ArrowLeft", (0, 2), Some((0, 1))),
            ("End", (1, 0), Some((1, 2))),
            ("Home", (1, 2), Some((1, 0))),
            ("Tab", (1, 2), None),
        ] {
            assert_eq!(step(key, from, (2, 3)), expect, "{key}");
        }
        assert_eq!(step("End", (0, 0), (0, 0)), None);
    }

    #[test]
    fn a_missing_value_says_so() {
        let row = HeatRow { culture: "THA".parse().unwrap(), values: vec![Some(0.5), None] };
        let columns = ["Work".to_owned(), "Trust".to_owned()];
        assert_eq!(reading(std::slice::from_ref(&row), &columns, (0, 0)), "THA, Work: 50.0");
        assert_eq!(reading(&[row], &columns, (0, 1)), "THA, Trust: nothing to score");
    }
}
