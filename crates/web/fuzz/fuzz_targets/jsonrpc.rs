//! Any bytes to the JSON-RPC entry: never a panic, and what goes back is one well-formed error.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(answer) = web::judge_bytes(bytes) else { return };
    let answer: serde_json::Value = serde_json::from_slice(&answer).expect("the answer is JSON");
    assert_eq!(answer["jsonrpc"], "2.0");
    assert!(answer["error"]["code"].is_i64());
    assert!(answer.get("id").is_none_or(|id| id.is_string() || id.is_number()));
});
