//! Things to be used in turn, again and again.

/// At least one thing.
#[derive(Debug)]
pub(super) struct Ring<T> {
    first: T,
    rest: Vec<T>,
}

impl<T> Ring<T> {
    /// `None` of nothing.
    pub(super) fn new(things: impl IntoIterator<Item = T>) -> Option<Self> {
        let mut things = things.into_iter();
        Some(Self { first: things.next()?, rest: things.collect() })
    }

    /// The `turn`-th thing, counted from 0: after the last comes the first.
    pub(super) fn at(&self, turn: u64) -> &T {
        let place = usize::try_from(turn % self.len()).unwrap_or_default();
        place.checked_sub(1).and_then(|place| self.rest.get(place)).unwrap_or(&self.first)
    }

    pub(super) fn len(&self) -> u64 {
        self.rest.len() as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_last_comes_the_first() {
        let ring = Ring::new(["a", "b", "c"]).unwrap();
        let taken: Vec<_> = (0..7).map(|turn| *ring.at(turn)).collect();
        assert_eq!(taken, ["a", "b", "c", "a", "b", "c", "a"]);
        assert_eq!(ring.len(), 3);
        assert!(Ring::<u8>::new([]).is_none());
    }
}
