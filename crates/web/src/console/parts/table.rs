//! Tables that become cards on a phone: every cell carries its column's name.

use maud::{Markup, html};

/// One cell. The first of a row leads it.
#[derive(Debug)]
pub struct Cell {
    /// Name of the column; `None` for the cell that leads the row.
    label: Option<&'static str>,
    content: Markup,
}

/// What the row is about; usually a link.
pub fn lead(content: Markup) -> Cell {
    Cell { label: None, content }
}
pub fn cell(label: &'static str, content: Markup) -> Cell {
    Cell { label: Some(label), content }
}

/// A table. `caption` is for readers that cannot see its place; rows may carry an id to jump to.
pub fn table(caption: &str, head: &[&str], rows: Vec<(Option<String>, Vec<Cell>)>) -> Markup {
    html! {
        div.table-frame {
            table.table {
                caption.visually-hidden { (caption) }
                thead { tr { @for name in head { th scope="col" { (name) } } } }
                tbody {
                    @for (id, cells) in rows {
                        tr id=[id] { @for cell in cells { (data(cell)) } }
                    }
                }
            }
        }
    }
}

fn data(cell: Cell) -> Markup {
    match cell.label {
        None => html! { td.lead { (cell.content) } },
        // An empty cell stays truly empty, so that cards leave its line out.
        Some(label) => {
            html! { td data-label=(label) { @if !cell.content.0.is_empty() { div { (cell.content) } } } }
        }
    }
}

/// Where a list goes on. `next` is the address of the following page.
pub fn pager(shown: usize, total: u32, first: bool, next: Option<String>) -> Markup {
    html! {
        @if next.is_some() || !first {
            nav.pager aria-label="Pages" {
                span.muted { (shown) " of " (total) @if !first { " (continued)" } }
                @if let Some(next) = next { a.button href=(next) rel="next" { "Next page" } }
            }
        }
    }
}
