//! The text of an API key: how one is made, read and compared with what is stored of it.
//!
//! A key is `caudal_{id}_{secret}`: 64 bits that name it, and 256 random bits that nobody can guess. Stored is the
//! SHA-256 of the whole text. A slow hash such as Argon2 makes guessing dear where people choose passwords; of 256
//! random bits nobody guesses one, however quick the hash is, and a quick one is not paid for by every request.

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

/// What every key begins with, so that scanners for leaked secrets know it.
pub const PREFIX: &str = "caudal_";

const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;

/// A key as its holder shows it. Never written into a log or an answer.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(String);

impl std::fmt::Debug for KeyText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyText({})", self.id())
    }
}

impl KeyText {
    /// A new key.
    ///
    /// # Errors
    /// Where the system has no randomness.
    pub fn generate() -> Result<KeyText, ring::error::Unspecified> {
        let mut random = [0; ID_BYTES + SECRET_BYTES];
        SystemRandom::new().fill(&mut random)?;
        let (id, secret) = random.split_at(ID_BYTES);
        Ok(KeyText(format!("{PREFIX}{}_{}", hexadecimal(id), hexadecimal(secret))))
    }

    /// `None` where a text has not the form of a key.
    pub fn read(text: &str) -> Option<KeyText> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let whole = is_hexadecimal(id, ID_BYTES) && is_hexadecimal(secret, SECRET_BYTES);
        whole.then(|| KeyText(text.to_owned()))
    }

    /// The part of it that is no secret.
    pub fn id(&self) -> &str {
        &self.0[PREFIX.len()..PREFIX.len() + 2 * ID_BYTES]
    }

    /// What is stored of it.
    pub fn digest(&self) -> String {
        hexadecimal(digest(&SHA256, self.0.as_bytes()).as_ref())
    }

    /// Whether this is the key of which `stored` is kept.
    pub fn is(&self, stored: &str) -> bool {
        self.digest().as_bytes().ct_eq(stored.as_bytes()).into()
    }

    /// The whole of it, for the one to whom it is given.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_hexadecimal(text: &str, bytes: usize) -> bool {
    text.len() == 2 * bytes && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_and_known_by_its_digest_alone() {
        let key = KeyText::generate().expect("randomness");
        let read = KeyText::read(key.reveal()).expect("a key");
        assert_eq!(read, key);
        assert!(read.is(&key.digest()));
        assert!(!read.is(&KeyText::generate().expect("randomness").digest()));
        assert!(!key.digest().contains(&key.reveal()[PREFIX.len() + 17..]));
    }

    #[test]
    fn what_has_not_the_form_of_a_key_is_none() {
        let key = KeyText::generate().expect("randomness");
        let whole = key.reveal();
        for wrong in [
            "",
            "caudal_",
            "caudal_a_b",
            &whole[1..],
            &whole[..whole.len() - 1],
            &format!("{whole}0"),
            &whole.to_uppercase(),
            &whole.replacen('_', "/", 2),
        ] {
            assert!(KeyText::read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_key_is_not_shown_whole_in_a_log() {
        let key = KeyText::generate().expect("randomness");
        assert_eq!(format!("{key:?}"), format!("KeyText({})", key.id()));
    }
}
