//! The signature algorithms of tokens (RFC 7518 §3.1, RFC 8037), all of them with a public key.

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, VerificationAlgorithm,
};

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

/// What checks a signature.
pub(super) enum Check {
    /// With a modulus of 2048 to 8192 bits.
    Rsa(&'static RsaParameters),
    /// With a point of the curve, or a key of 32 bytes.
    Bytes(&'static dyn VerificationAlgorithm),
}

impl Algorithm {
    pub const ALL: [Algorithm; 9] = [
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ];

    /// As `alg` has it.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Rs256 => "RS256",
            Algorithm::Rs384 => "RS384",
            Algorithm::Rs512 => "RS512",
            Algorithm::Ps256 => "PS256",
            Algorithm::Ps384 => "PS384",
            Algorithm::Ps512 => "PS512",
            Algorithm::Es256 => "ES256",
            Algorithm::Es384 => "ES384",
            Algorithm::EdDsa => "EdDSA",
        }
    }

    /// The type of key, and the curve, that it takes.
    pub(super) fn key_type(self) -> (&'static str, Option<&'static str>) {
        match self {
            Algorithm::Es256 => ("EC", Some("P-256")),
            Algorithm::Es384 => ("EC", Some("P-384")),
            Algorithm::EdDsa => ("OKP", Some("Ed25519")),
            _ => ("RSA", None),
        }
    }

    pub(super) fn check(self) -> Check {
        match self {
            Algorithm::Rs256 => Check::Rsa(&RSA_PKCS1_2048_8192_SHA256),
            Algorithm::Rs384 => Check::Rsa(&RSA_PKCS1_2048_8192_SHA384),
            Algorithm::Rs512 => Check::Rsa(&RSA_PKCS1_2048_8192_SHA512),
            Algorithm::Ps256 => Check::Rsa(&RSA_PSS_2048_8192_SHA256),
            Algorithm::Ps384 => Check::Rsa(&RSA_PSS_2048_8192_SHA384),
            Algorithm::Ps512 => Check::Rsa(&RSA_PSS_2048_8192_SHA512),
            Algorithm::Es256 => Check::Bytes(&ECDSA_P256_SHA256_FIXED),
            Algorithm::Es384 => Check::Bytes(&ECDSA_P384_SHA384_FIXED),
            Algorithm::EdDsa => Check::Bytes(&ED25519),
        }
    }
}

impl std::str::FromStr for Algorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == text).ok_or_else(|| {
            let names = Algorithm::ALL.map(Algorithm::name).join(", ");
            format!("expected one of {names}, found \"{text}\"")
        })
    }
}
