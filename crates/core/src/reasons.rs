//! Why a service refused, by what it says: reason and cure for the user. One table for all who call Amazon's services.

/// What an answer says, the reason, and the cure.
pub type Reason = (&'static str, &'static str, &'static str);

/// What Amazon's services say, and stores that speak their protocols.
pub const OF_AWS: &[Reason] = &[
    ("Signature expired", WRONG_CLOCK, SET_CLOCK),
    ("Signature not yet current", WRONG_CLOCK, SET_CLOCK),
    ("RequestTimeTooSkewed", WRONG_CLOCK, SET_CLOCK),
    ("RequestExpired", WRONG_CLOCK, SET_CLOCK),
    ("ExpiredToken", "the credentials have expired", "get new ones"),
    ("NoCredentials", NO_CREDENTIALS, GIVE_CREDENTIALS),
    // Where an instance's role is asked for, if there is one.
    ("169.254.169.254", NO_CREDENTIALS, GIVE_CREDENTIALS),
    ("UnrecognizedClient", NO_SUCH_KEY, CHECK_KEY),
    ("InvalidClientTokenId", NO_SUCH_KEY, CHECK_KEY),
    ("InvalidAccessKeyId", NO_SUCH_KEY, CHECK_KEY),
    ("InvalidSignature", WRONG_SECRET, CHECK_SECRET),
    ("SignatureDoesNotMatch", WRONG_SECRET, CHECK_SECRET),
    // Before what a denial of a key's use says beside it.
    ("KMS", NO_ENCRYPTION, ALLOW_ENCRYPTION),
    ("kms:", NO_ENCRYPTION, ALLOW_ENCRYPTION),
    ("AccessDenied", DENIED, ALLOW),
    ("UnauthorizedOperation", DENIED, ALLOW),
];

const WRONG_CLOCK: &str = "the clock of this machine is wrong";
const SET_CLOCK: &str = "set it; AWS accepts five minutes either way, S3 fifteen";
const NO_CREDENTIALS: &str = "no credentials were found";
const GIVE_CREDENTIALS: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a role";
const NO_SUCH_KEY: &str = "nobody has this access key";
const CHECK_KEY: &str = "check AWS_ACCESS_KEY_ID";
const WRONG_SECRET: &str = "the secret key is a wrong one";
const CHECK_SECRET: &str = "check AWS_SECRET_ACCESS_KEY";
const NO_ENCRYPTION: &str = "an encryption key cannot be used";
const ALLOW_ENCRYPTION: &str = "allow its use to this role: kms:GenerateDataKey, kms:Decrypt";
const DENIED: &str = "access denied";
const ALLOW: &str = "check the policies of the role and of what it asks for; where AWS says what it may not do, the log has it";

/// The first reason of these tables, in their order, whose words are in what was said.
pub fn find(said: &str, tables: &[&[Reason]]) -> Option<Reason> {
    tables.iter().copied().flatten().find(|(words, ..)| said.contains(words)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_key_is_told_before_the_denial_and_a_callers_own_table_before_all() {
        let said = "AccessDenied: not authorized to perform kms:Decrypt";
        assert_eq!(find(said, &[OF_AWS]).map(|(_, reason, _)| reason), Some(NO_ENCRYPTION));
        let own: &[Reason] = &[("not authorized", "own", "cure")];
        assert_eq!(find(said, &[own, OF_AWS]), Some(("not authorized", "own", "cure")));
        assert_eq!(find("fine", &[own, OF_AWS]), None);
    }
}
