//! Fixed-width base 62, and the CRC32 that ends a token: the form in which secret scanners know the tokens of other
//! vendors too. The alphabet is digits, capitals, small letters.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The number that `bytes` are, most significant first, in exactly `width` characters; what does not fit is cut off on
/// the left. 32 bytes fit in 43 characters, 4 bytes in 6.
pub fn encode(bytes: &[u8], width: usize) -> String {
    let mut number = bytes.to_vec();
    let mut characters: Vec<char> = Vec::with_capacity(width);
    for _ in 0..width {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = (remainder << 8) | u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            remainder = value % 62;
        }
        let digit = ALPHABET.get(remainder as usize).copied().unwrap_or(b'0');
        characters.push(char::from(digit));
    }
    characters.iter().rev().collect()
}

/// Whether a text consists of the alphabet.
pub fn is_base62(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// CRC-32 as zip and Ethernet have it (reflected, polynomial 0x04C11DB7).
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xEDB8_8320 } else { c >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::{crc32, encode, is_base62};

    #[test]
    fn numbers_have_one_spelling() {
        assert_eq!(encode(&[0; 4], 6), "000000");
        assert_eq!(encode(&[0, 0, 0, 61], 6), "00000z");
        assert_eq!(encode(&[0, 0, 0, 62], 6), "000010");
        assert_eq!(encode(&u32::MAX.to_be_bytes(), 6), "4gfFC3");
        let greatest = encode(&[0xFF; 32], 43);
        assert_eq!(greatest.len(), 43);
        assert!(is_base62(&greatest));
        assert_ne!(greatest, encode(&[0xFE; 32], 43));
    }

    #[test]
    fn crc_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
