//! Crockford base32 in lower case, read in either case. The aliases of the scheme (`o` for `0`, `i` and `l` for `1`)
//! are refused: each value has one spelling but for its case, so that a changed character is a changed value.

const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Appends the lowest `5 × digits` bits of `value`, the highest first.
pub fn push(text: &mut String, value: u128, digits: u32) {
    for place in (0..digits).rev() {
        let digit = (value >> (place * 5)) & 31;
        text.push(char::from(DIGITS[usize::try_from(digit).expect("five bits fit")]));
    }
}

/// Reads up to 25 digits; `None` where a byte is not one of them.
pub fn read(digits: &[u8]) -> Option<u128> {
    debug_assert!(digits.len() <= 25, "25 digits are 125 bits");
    digits.iter().try_fold(0_u128, |value, byte| Some((value << 5) | u128::from(digit(*byte)?)))
}

/// The value of one digit.
pub fn digit(byte: u8) -> Option<u8> {
    let lower = byte.to_ascii_lowercase();
    DIGITS.iter().position(|d| *d == lower).and_then(|at| u8::try_from(at).ok())
}
