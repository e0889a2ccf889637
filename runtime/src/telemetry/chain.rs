//! An error with everything that caused it, in one line.

use std::{error::Error, fmt, iter};

/// Displays `error` and each of its sources: no error of ours repeats its source, so a log must walk them.
pub fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl fmt::Display + 'e {
    fmt::from_fn(move |f| {
        write!(f, "{error}")?;
        iter::successors(error.source(), |&source| source.source())
            .try_for_each(|source| write!(f, ": {source}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the key")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("the file is shared")]
    struct Inner(#[from] fmt::Error);

    #[test]
    fn an_error_is_shown_with_all_its_causes() {
        let error = Outer(Inner(fmt::Error));

        let shown = chain(&error).to_string();

        assert_eq!(shown, format!("cannot read the key: the file is shared: {}", fmt::Error));
    }
}
