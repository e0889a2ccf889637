//! The few colours there are.

use std::fmt::{self, Display};

use anstyle::{AnsiColor, Style};

/// It is as it should be.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// It is not.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// A heading, or what the eye should find.
pub(crate) const BOLD: Style = Style::new().bold();
/// What is there for who looks closely.
pub(crate) const DIM: Style = Style::new().dimmed();

/// `text` in that style.
pub(crate) fn styled(style: Style, text: impl Display) -> impl Display {
    fmt::from_fn(move |f| write!(f, "{style}{text}{style:#}"))
}
