//! Leaves of the log as they lie in a file. Most of a leaf is names of members, which are the same in each, and ids and digests,
//! spelled with two characters for each byte. Compact, it takes about half of the room or less, and every commit has that much
//! less to write. Nothing is lost: [`unpack`] gives the text back to the byte, which its hash is over.
//!
//! A text lies as it is, but for these bytes, which occur in no JSON that is written without white space (RFC 8259, section 7):
//!
//! | byte | and after it | stands for |
//! |---|---|---|
//! | `ID` | 16 bytes | the 26 characters of an id after its prefix |
//! | `HEX` | a count, and as many bytes | twice as many hexadecimal digits in lower case |
//! | `WORD` | a byte | one of the `WORDS`, by its place |
//! | `ITSELF` | a byte | that byte, which is one of these four |

use std::sync::LazyLock;

use data_encoding::HEXLOWER;

use crate::id;

const ID: u8 = 0x01;
const HEX: u8 = 0x02;
const WORD: u8 = 0x03;
const ITSELF: u8 = 0x04;

/// Fewer digits are not worth the two bytes.
const HEX_CHARS_MIN: usize = 8;
const HEX_CHARS_MAX: usize = 2 * u8::MAX as usize;

/// What leaves say again and again; each begins with a quotation mark, and none with another one. Files are full of places in
/// this list: it may grow at its end, and nothing in it may change.
const WORDS: [&str; 51] = [
    r#""actionDigest":""#,
    r#"","actionId":"act_"#,
    r#""actionId":"act_"#,
    r#"","actor":{"#,
    r#""actor":{"#,
    r#""agentId":"agt_"#,
    r#"","providerId":"idp_"#,
    r#""providerId":"idp_"#,
    r#"","sessionId":"ses_"#,
    r#""sessionId":"ses_"#,
    r#"","tokenId":"tok_"#,
    r#""tokenId":"tok_"#,
    r#"","userId":"usr_"#,
    r#""userId":"usr_"#,
    r#""},"approval":{"#,
    r#""autoApproveAfterSeconds":"#,
    r#""minimumApprovers":"#,
    r#""minimumOthers":"#,
    r#""minimumSigned":"#,
    r#""requesterId":"usr_"#,
    r#"","waived":""#,
    r#""},"approvalId":"apr_"#,
    r#""},"at":""#,
    r#"","at":""#,
    r#"","bodyHash":""#,
    r#"","channel":"api"#,
    r#"","channel":"mcp"#,
    r#"","channel":"helix"#,
    r#"","code":""#,
    r#"","created":[{"id":""#,
    r#"","kind":"approved","organizationId":"org_"#,
    r#"","kind":"executed","organizationId":"org_"#,
    r#"","kind":"proposed","organizationId":"org_"#,
    r#"","kind":"read","organizationId":"org_"#,
    r#"","kind":"denied","organizationId":"org_"#,
    r#""kind":"approved","organizationId":"org_"#,
    r#""kind":"executed","organizationId":"org_"#,
    r#""kind":"proposed","organizationId":"org_"#,
    r#"","organizationId":"org_"#,
    r#""}],"references":[{"id":""#,
    r#"","references":[{"id":""#,
    r#""},{"id":""#,
    r#"","type":""#,
    r#""}],"requestId":"req_"#,
    r#"","requestId":"req_"#,
    r#"","returned":"#,
    r#""sequence":"#,
    r#""tool":"loopiq_"#,
    r#"","traceId":""#,
    r#"","updated":[{"id":""#,
    r#""version":1"#,
];

/// Bytes by which a word is looked for.
const KEY_BYTES: usize = 8;

/// The words by their first bytes, each with its place in the list.
static BY_KEY: LazyLock<Vec<(u64, &[u8], u8)>> = LazyLock::new(|| {
    let places = WORDS.iter().map(|word| word.as_bytes()).zip(0..);
    let mut by_key: Vec<_> = places.map(|(word, place)| (key(word).unwrap_or(0), word, place)).collect();
    by_key.sort_unstable();
    by_key
});

fn key(text: &[u8]) -> Option<u64> {
    text.first_chunk::<KEY_BYTES>().copied().map(u64::from_be_bytes)
}

/// The word that a text begins with.
fn word(text: &[u8]) -> Option<(&'static [u8], u8)> {
    let key = key(text)?;
    let first = BY_KEY.partition_point(|(of, ..)| *of < key);
    let alike = BY_KEY.iter().skip(first).take_while(|(of, ..)| *of == key);
    let mut fit = alike.filter(|(_, word, _)| text.starts_with(word));
    fit.next().map(|(_, word, place)| (*word, *place))
}

/// Packs the id that a text begins with, and says how long it was.
fn id(text: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let body = text.first_chunk()?;
    let bytes = id::bytes(body)?;
    out.push(ID);
    out.extend(bytes);
    Some(body.len())
}

/// Packs the digits that a text begins with, and says how many they were.
fn digits(text: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let digit = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let count = text.iter().take(HEX_CHARS_MAX).take_while(digit).count();
    let (digits, _) = text.split_at_checked(count - count % 2).filter(|_| count >= HEX_CHARS_MIN)?;
    out.extend([HEX, u8::try_from(digits.len() / 2).ok()?]);
    out.extend(HEXLOWER.decode(digits).ok()?);
    Some(digits.len())
}

/// A text in little room. Texts that follow each other may be packed each by itself.
pub fn pack(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let (mut end, mut behind) = (byte, after);
        match byte {
            b'"' => match word(rest) {
                Some((word, place)) => {
                    out.extend([WORD, place]);
                    end = word.last().copied().unwrap_or(byte);
                    behind = rest.strip_prefix(word).unwrap_or_default();
                }
                None => out.push(byte),
            },
            ID | HEX | WORD | ITSELF => out.extend([ITSELF, byte]),
            _ => out.push(byte),
        }
        // Digests are whole texts, and ids follow what says of what they are.
        let length = match end {
            b'_' => id(behind, &mut out),
            b'"' => digits(behind, &mut out),
            _ => None,
        };
        rest = behind.split_at_checked(length.unwrap_or(0)).map_or(&[], |(_, behind)| behind);
    }
    out
}

/// The text that was packed; nothing where these bytes are not a packed text.
pub fn unpack(packed: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(3 * packed.len());
    let mut rest = packed;
    loop {
        let plain = rest.iter().position(|byte| matches!(*byte, ID | HEX | WORD | ITSELF));
        let (text, marked) = rest.split_at_checked(plain.unwrap_or(rest.len()))?;
        out.extend_from_slice(text);
        let Some((mark, after)) = marked.split_first() else { break };
        rest = match *mark {
            ID => {
                let (bytes, after) = after.split_first_chunk()?;
                out.extend(id::body(bytes));
                after
            }
            HEX => {
                let (count, after) = after.split_first()?;
                let (bytes, after) = after.split_at_checked(usize::from(*count))?;
                out.extend_from_slice(HEXLOWER.encode(bytes).as_bytes());
                after
            }
            WORD => {
                let (place, after) = after.split_first()?;
                out.extend_from_slice(WORDS.get(usize::from(*place))?.as_bytes());
                after
            }
            _ => {
                let (byte, after) = after.split_first()?;
                out.push(*byte);
                after
            }
        };
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_begins_with_another_one() {
        for word in WORDS {
            let begun = WORDS.iter().filter(|other| word.starts_with(**other)).count();
            assert!(word.starts_with('"') && word.len() >= KEY_BYTES && begun == 1, "{word}");
        }
    }
}
