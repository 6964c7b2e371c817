//! Writes a ledger as comma-separated lines.

use std::io::{self, Write};

use crate::Ledger;

/// Writes one line an entry, with a heading.
///
/// # Errors
/// When writing fails.
pub fn csv(ledger: &Ledger, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "from,to,cents,digest")?;
    for entry in ledger.entries() {
        writeln!(out, "{},{},{},{}", entry.from, entry.to, entry.cents, entry.digest)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_and_one_line_an_entry() {
        let mut ledger = Ledger::default();
        ledger.post("cash", "rent", 5).unwrap();
        let mut out = Vec::new();
        csv(&ledger, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 2);
    }
}
