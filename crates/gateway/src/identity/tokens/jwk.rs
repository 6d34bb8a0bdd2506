//! The keys of an issuer, as a JSON Web Key Set has them (RFC 7517).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;

use super::algorithm::{Algorithm, Check};

/// More keys than an issuer has.
const MOST_KEYS: usize = 256;

/// A key that can check signatures.
#[derive(Clone, Debug)]
pub struct Key {
    kid: Option<String>,
    kty: String,
    crv: Option<String>,
    /// The one algorithm that it is for, where it says so.
    alg: Option<String>,
    material: Material,
}

#[derive(Clone, Debug)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Bytes(Vec<u8>),
}

#[derive(Deserialize)]
struct Written {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys of a set that can check signatures; others, and those that cannot be read, are left out, as the RFC asks.
///
/// # Errors
/// Says what is wrong where the text is no key set.
pub fn read(text: &str) -> Result<Vec<Key>, String> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let set: Set = serde_json::from_str(text).map_err(|e| format!("it is no JSON Web Key Set: {e}"))?;
    if set.keys.len() > MOST_KEYS {
        return Err(format!("it has {} keys; at most {MOST_KEYS} are read", set.keys.len()));
    }
    let written = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Written>(key).ok());
    Ok(written.filter_map(Key::read).collect())
}

impl Key {
    fn read(written: Written) -> Option<Key> {
        let for_signatures = written.usage.as_deref().is_none_or(|usage| usage == "sig")
            && written.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        let decoded = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        let material = match written.kty.as_str() {
            "RSA" => Material::Rsa { n: number(decoded(&written.n)?), e: number(decoded(&written.e)?) },
            // An uncompressed point: 4, x, y.
            "EC" => {
                let point = [vec![4], decoded(&written.x)?, decoded(&written.y)?];
                Material::Bytes(point.concat())
            }
            "OKP" => Material::Bytes(decoded(&written.x)?),
            _ => return None,
        };
        let Written { kid, kty, crv, alg, .. } = written;
        for_signatures.then_some(Key { kid, kty, crv, alg, material })
    }

    /// Whether the key is for an algorithm, and has the name that a token gives it.
    pub fn is_for(&self, algorithm: Algorithm, kid: Option<&str>) -> bool {
        let (kty, crv) = algorithm.key_type();
        self.kty == kty
            && crv.is_none_or(|crv| self.crv.as_deref() == Some(crv))
            && self.alg.as_deref().is_none_or(|alg| alg == algorithm.name())
            && kid.is_none_or(|kid| self.kid.as_deref() == Some(kid))
    }

    pub fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        match (&self.material, algorithm.check()) {
            (Material::Rsa { n, e }, Check::Rsa(parameters)) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, signed, signature).is_ok()
            }
            (Material::Bytes(key), Check::Bytes(algorithm)) => {
                UnparsedPublicKey::new(algorithm, key).verify(signed, signature).is_ok()
            }
            _ => false,
        }
    }
}

/// Without the zeros that some writers put before a number.
fn number(mut bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.split_off(zeros)
}
