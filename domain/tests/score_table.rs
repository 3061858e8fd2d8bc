//! The score table, run natively; `domain/examples/score_table.rs` runs it in WebAssembly.

#[path = "score_table/mod.rs"]
mod score_table;

#[test]
fn every_row_holds() {
    let rows = score_table::rows();
    assert!(rows.len() > 30, "the table has lost its rows");
    let broken: Vec<String> = rows.iter().filter_map(|row| row.check().err()).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
