//! Tables that become cards on a phone: every cell carries its column's name.

use maud::{Markup, html};

/// One cell. The first of a row leads it.
#[derive(Debug)]
pub struct Cell {
    label: &'static str,
    class: &'static str,
    content: Markup,
}

/// What the row is about; usually a link.
pub fn lead(content: Markup) -> Cell {
    Cell { label: "", class: "lead", content }
}
pub fn cell(label: &'static str, content: Markup) -> Cell {
    Cell { label, class: "", content }
}
pub fn number(label: &'static str, content: impl std::fmt::Display) -> Cell {
    Cell { label, class: "num", content: html! { (content.to_string()) } }
}

/// A table. `caption` is for readers that cannot see its place; rows may carry an id to jump to.
pub fn table(caption: &str, head: &[&str], rows: Vec<(Option<String>, Vec<Cell>)>) -> Markup {
    let numeric: Vec<bool> =
        rows.first().map(|(_, cells)| cells.iter().map(|c| c.class == "num").collect()).unwrap_or_default();
    html! {
        table.table {
            caption.visually-hidden { (caption) }
            thead {
                tr {
                    @for (index, name) in head.iter().enumerate() {
                        th scope="col" class=[numeric.get(index).copied().unwrap_or(false).then_some("num")] { (name) }
                    }
                }
            }
            tbody {
                @for (id, cells) in rows {
                    tr id=[id] {
                        @for cell in cells {
                            td class=[(!cell.class.is_empty()).then_some(cell.class)]
                                data-label=[(!cell.label.is_empty()).then_some(cell.label)] { (cell.content) }
                        }
                    }
                }
            }
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
