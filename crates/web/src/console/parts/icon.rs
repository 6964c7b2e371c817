//! The icons, drawn inline so that they take the text's colour. Decorative: words always stand beside them.

use maud::PreEscaped;

/// Markup of one icon.
pub type Icon = PreEscaped<&'static str>;

macro_rules! icons {
    ($($name:ident = $file:literal;)*) => {$(
        pub const $name: Icon = PreEscaped(include_str!(concat!("../../assets/icons/", $file, ".svg")));
    )*};
}

icons! {
    ALERT = "alert";
    ASSISTANT = "assistant";
    CHECK = "check";
    CHEVRON = "chevron";
    CLOCK = "clock";
    COPY = "copy";
    CROSS = "cross";
    EDIT = "edit";
    HOME = "home";
    INBOX = "inbox";
    INFO = "info";
    LEAVE = "leave";
    LOCK = "lock";
    MARK = "mark";
    MINUS = "minus";
    ORGANIZATION = "org";
    PLUS = "plus";
    PROGRESS = "progress";
    RELEASE = "release";
    SEARCH = "search";
    USER = "user";
    WORK = "work";
}
