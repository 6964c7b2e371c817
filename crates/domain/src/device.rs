//! From which kind of browser a session was opened, in words that its person recognises. Only these words are kept: neither
//! version nor anything else by which a browser could be told from others of its kind, and no text of the sender's.

/// The most that is looked at of what a browser says of itself.
const BYTES_MAX: usize = 512;

/// Families of browsers, by what stands in their `User-Agent`; the first that fits counts, because most also name those
/// that they descend from.
const BROWSERS: [(&str, &str); 7] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
];

const SYSTEMS: [(&str, &str); 7] = [
    ("iPhone", "an iPhone"),
    ("iPad", "an iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "a Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];

/// For example `Firefox on Linux`; whatever else was sent is `A program or an unknown browser`.
pub fn family(user_agent: &str) -> String {
    let mut end = user_agent.len().min(BYTES_MAX);
    while !user_agent.is_char_boundary(end) {
        end -= 1;
    }
    let said = user_agent.get(..end).unwrap_or_default();
    let first = |list: &[(&str, &'static str)]| {
        list.iter().find(|(sign, _)| said.contains(sign)).map(|(_, name)| *name)
    };
    let safari = || (said.contains("Safari/") && said.contains("Version/")).then_some("Safari");
    match (first(&BROWSERS).or_else(safari), first(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, _) => "A program or an unknown browser".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_without_anything_else() {
        for (said, family_of) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 \
                 Safari/537.36 Edg/150.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 \
                 Safari/605.1.15",
                "Safari on a Mac",
            ),
            (
                "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 \
                 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            ("curl/8.5.0", "A program or an unknown browser"),
            ("<script>alert(1)</script>", "A program or an unknown browser"),
            ("", "A program or an unknown browser"),
        ] {
            assert_eq!(family(said), family_of, "{said}");
        }
        assert_eq!(family(&"é".repeat(10_000)), "A program or an unknown browser");
    }
}
