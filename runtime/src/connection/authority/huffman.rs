//! HPACK's Huffman code (RFC 7541 §5.2), as far as finding one character in it takes: where codes end.

/// The characters of one string, octet by octet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Codes {
    /// The bits so far of the code that is not complete, and how many they are.
    bits: u32,
    length: u8,
}

/// What comes after an octet.
pub(super) enum Next<'a> {
    /// This, of the same string.
    Octet(&'a mut u8),
    /// More of the same string, which is not read yet.
    Unread,
    /// The end of the string, or what cannot be reached from here.
    Nothing,
}

impl Codes {
    /// Makes each `%` that ends in this octet, or with the first bit of the next, a `-`; says whether there was
    /// one. `None`, and nothing is done, when that bit decides and is not read yet.
    pub(super) fn mend(&mut self, octet: &mut u8, next: Next<'_>) -> Option<bool> {
        let (mut codes, mut mended) = (*self, *octet);
        for bit in (0..8).rev() {
            // Of a code that ends with the first bit, the one before lies in an octet that is gone.
            if codes.push(*octet >> bit & 1) == Some(PERCENT) && bit < 7 {
                mended ^= LAST_TWO_BITS << bit;
            }
        }
        match next {
            Next::Unread if codes == NEARLY_PERCENT => return None,
            Next::Octet(next) if codes == NEARLY_PERCENT && *next & FIRST_BIT != 0 => {
                *next ^= FIRST_BIT;
                mended ^= 1;
                codes.bits ^= 1;
            }
            _ => {}
        }
        let changed = *octet != mended;
        (*self, *octet) = (codes, mended);
        Some(changed)
    }

    /// The code that this bit completes.
    fn push(&mut self, bit: u8) -> Option<Self> {
        let code = Self { bits: self.bits << 1 | u32::from(bit), length: self.length + 1 };
        // The longest code has as many bits as there are ends, and below the last of them every code is.
        let complete = ENDS.get(usize::from(code.length)).is_none_or(|end| code.bits < *end);
        *self = if complete { Self::default() } else { code };
        complete.then_some(code)
    }
}

/// `-` is 010110 (RFC 7541 appendix B): it differs in the last two bits.
const PERCENT: Codes = Codes { bits: 0b01_0101, length: 6 };
const LAST_TWO_BITS: u8 = 0b11;
/// With one more bit it is `%`, or a space.
const NEARLY_PERCENT: Codes = Codes { bits: 0b0_1010, length: 5 };
const FIRST_BIT: u8 = 0x80;

/// How many codes have 0, 1, 2 ... 30 bits (RFC 7541 appendix B).
const CODES: [u32; 31] =
    [0, 0, 0, 0, 0, 10, 26, 32, 6, 0, 5, 3, 2, 6, 2, 3, 0, 0, 0, 3, 8, 13, 26, 29, 12, 4, 15, 19, 29, 0, 4];

/// The first bits of each length that are no code. The code is canonical: of each length its codes follow one
/// another, and after the last of them stand the beginnings of longer ones.
#[allow(clippy::indexing_slicing, reason = "the compiler does it")]
const ENDS: [u32; 31] = {
    let mut ends = [0; 31];
    let mut length = 1;
    while length < ends.len() {
        ends[length] = (ends[length - 1] << 1) + CODES[length];
        length += 1;
    }
    ends
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_complete_at_its_greatest_length() {
        assert_eq!(ENDS[30], 1 << 30, "or a string could make a code longer than that");
        assert_eq!(CODES.iter().sum::<u32>(), 257, "every octet, and the end of a string");
    }
}
