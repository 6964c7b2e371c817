//! Signatures of passkeys are checked with real keys, and each of the things that a signature must say.
#![expect(clippy::unwrap_used, reason = "tests")]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use data_encoding::BASE64URL_NOPAD;
use domain::digest::Digest;
use domain::passkey::{Assertion, Curve, PublicKey};
use engine::signing::SignatureVerifier;
use serde_json::json;

/// An authenticator: its public key, and how it signs.
type Authenticator = (PublicKey, Box<dyn Fn(&[u8]) -> Vec<u8>>);

fn encode(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

fn es256() -> Authenticator {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let point = pair.public_key().as_ref().to_vec();
    let (x, y) = point.get(1..).unwrap().split_at(32);
    let key = PublicKey::Ec { crv: Curve::P256, x: encode(x), y: encode(y) };
    (key, Box::new(move |message| pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()))
}

fn rs256() -> Authenticator {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    // RSAPublicKey in DER: a sequence of two integers, the first of 257 bytes with its leading zero.
    let n = encode(pair.public_key().as_ref().get(9..265).unwrap());
    let key = PublicKey::Rsa { n, e: encode(&[1, 0, 1]) };
    let sign = move |message: &[u8]| {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    };
    (key, Box::new(sign))
}

/// What an authenticator is told and says.
#[derive(Clone)]
struct Said {
    kind: &'static str,
    challenge: Digest,
    origin: &'static str,
    host: &'static [u8],
    flags: u8,
}

fn assertion((key, sign): &Authenticator, said: &Said) -> Assertion {
    let client = json!({ "type": said.kind, "challenge": encode(&said.challenge.0), "origin": said.origin });
    let client = client.to_string();
    let data = [&Digest::of(said.host).0[..], &[said.flags, 0, 0, 0, 9]].concat();
    let signature = sign(&[data.as_slice(), &Digest::of(client.as_bytes()).0].concat());
    Assertion {
        key: key.clone(),
        authenticator_data: encode(&data),
        client_data_json: encode(client.as_bytes()),
        signature: encode(&signature),
    }
}

#[test]
fn a_signature_counts_for_what_it_says_and_for_nothing_else() {
    let challenge = Digest::of(b"an approval");
    let good = Said {
        kind: "webauthn.get",
        challenge,
        origin: "https://a.example:8443",
        host: b"a.example",
        flags: 5,
    };
    for authenticator in [es256(), rs256()] {
        let signed = assertion(&authenticator, &good);
        assert_eq!(signed.check(&challenge, &SignatureVerifier), Ok(()));
        assert!(signed.check(&Digest::of(b"another approval"), &SignatureVerifier).is_err());
        for wrong in [
            Said { kind: "webauthn.create", ..good.clone() },
            Said { host: b"b.example", ..good.clone() },
            Said { origin: "https://b.example", ..good.clone() },
            Said { flags: 1, ..good.clone() },
            Said { flags: 4, ..good.clone() },
        ] {
            assert!(assertion(&authenticator, &wrong).check(&challenge, &SignatureVerifier).is_err());
        }
        let other = assertion(&es256(), &good);
        let borrowed = Assertion { signature: other.signature, ..signed.clone() };
        assert_eq!(borrowed.check(&challenge, &SignatureVerifier), Err("is wrong"));
        for broken in ["", "AA", "!"] {
            let broken = Assertion { authenticator_data: broken.into(), ..signed.clone() };
            assert_eq!(broken.check(&challenge, &SignatureVerifier), Err("cannot be read"));
        }
    }
}

#[test]
fn a_key_is_called_by_its_thumbprint_as_rfc_7638_says() {
    let (key, _) = es256();
    let PublicKey::Ec { x, y, .. } = &key else { unreachable!("an elliptic curve") };
    let members = format!("{{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"{x}\",\"y\":\"{y}\"}}");
    assert_eq!(key.thumbprint().unwrap(), Digest::of(members.as_bytes()));
}
