//! OWASP API2: broken authentication. Keys that are guessed, expired, revoked or leaked.

use std::fs;

use serde_json::Value;

use crate::access::{call, guarded, key};
use crate::support::{Place, binary};

fn keys(place: &Place, arguments: &[&str]) -> String {
    let run = binary().arg("keys").args(arguments).arg("--storage").arg(place.bucket()).output();
    let run = run.expect("the binary runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).expect("text")
}

fn id_of(key: &str) -> &str {
    key.split('_').nth(1).expect("an id")
}

/// Every byte that lies below the bucket.
fn everything(folder: &std::path::Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => all.extend(everything(&path)),
            false => all.extend(fs::read(&path).expect("a file")),
        }
    }
    all
}

#[test]
fn a_key_is_shown_once_and_only_its_hash_is_kept() {
    let place = Place::new();
    let made = key(&place, "alice", &["--label", "the laboratory", "--scope", "read"]);
    assert_eq!((made.len(), made.starts_with("caudal_")), (88, true), "{made}");
    let secret = made.rsplit('_').next().expect("a secret").as_bytes();
    let kept = everything(&place.bucket());
    assert!(!kept.windows(secret.len()).any(|w| w == secret), "the secret lies in the bucket");
    let listed: Value = serde_json::from_str(&keys(&place, &["list", "--format", "json"])).expect("JSON");
    assert_eq!(listed[0]["id"], id_of(&made));
    assert_eq!((&listed[0]["owner"], &listed[0]["label"]), (&"alice".into(), &"the laboratory".into()));
    assert_eq!((&listed[0]["state"], &listed[0]["scopes"][0]), (&"valid".into(), &"read".into()));
    assert!(listed[0].get("digest").is_none());
    let table = keys(&place, &["list"]);
    assert!(table.contains(id_of(&made)) && !table.contains(std::str::from_utf8(secret).expect("text")));
    assert_ne!(made, key(&place, "alice", &[]), "no two are alike");
}

#[test]
fn a_key_that_is_revoked_is_refused_within_seconds_and_for_good() {
    let place = Place::new();
    let (ended, other) = (key(&place, "alice", &[]), key(&place, "alice", &[]));
    let server = guarded(&place);
    assert_eq!(call(&server, &ended, "GET", "/jobs", None).status, 200);
    keys(&place, &["revoke", id_of(&ended)]);
    let mut tries = 0;
    while call(&server, &ended, "GET", "/jobs", None).status == 200 {
        tries += 1;
        assert!(tries < 200, "it is still accepted");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    call(&server, &ended, "GET", "/jobs", None).problem(401, "unauthenticated");
    assert_eq!(call(&server, &other, "GET", "/jobs", None).status, 200);
    let again = guarded(&place);
    call(&again, &ended, "GET", "/jobs", None).problem(401, "unauthenticated");
}

#[test]
fn a_key_that_has_expired_is_refused_and_says_no_more_than_one_that_never_was() {
    let place = Place::new();
    key(&place, "alice", &[]);
    let expired = key(&place, "alice", &[]);
    let path = place.bucket().join(format!("access/keys/{}.json", id_of(&expired)));
    let mut stored: Value = serde_json::from_slice(&fs::read(&path).expect("a key")).expect("JSON");
    stored["expires_at"] = "2020-01-01T00:00:00Z".into();
    fs::write(&path, stored.to_string()).expect("written");
    let server = guarded(&place);
    let told = |key: &str| {
        let answer = call(&server, key, "GET", "/jobs", None);
        answer.problem(401, "unauthenticated");
        assert!(answer.header("www-authenticate").contains("invalid_token"));
        answer.text()
    };
    let unknown = format!("caudal_{}_{}", "0".repeat(16), "0".repeat(64));
    let guessed = format!("caudal_{}_{}", id_of(&expired), "0".repeat(64));
    assert_eq!(told(&expired), told(&unknown));
    assert_eq!(told(&expired), told(&guessed));
    let listed: Value = serde_json::from_str(&keys(&place, &["list", "--format", "json"])).expect("JSON");
    let states: Vec<_> = listed.as_array().expect("keys").iter().map(|key| key["state"].clone()).collect();
    assert!(states.contains(&"expired".into()) && states.contains(&"valid".into()), "{listed}");
}

#[test]
fn what_only_looks_like_a_credential_is_refused() {
    let place = Place::new();
    let real = key(&place, "alice", &[]);
    let server = guarded(&place);
    let path = "caudal_../../../jobs_".to_owned() + &"0".repeat(64);
    for header in
        ["", "Bearer", "Bearer ", "Basic YWxpY2U6eA==", "Bearer caudal_", &format!("Bearer {path}"), &real]
    {
        let answer = server.request("GET", "/jobs", &[("authorization", header)], None);
        answer.problem(401, "unauthenticated");
    }
    let bearer = format!("Bearer {real}");
    let twice = [("authorization", bearer.as_str()), ("x-api-key", real.as_str())];
    server.request("GET", "/jobs", &twice, None).problem(401, "unauthenticated");
    assert_eq!(server.request("GET", "/jobs", &[("x-api-key", &real)], None).status, 200);
    server.get(&format!("/jobs?api_key={real}")).problem(401, "unauthenticated");
}

#[test]
fn keys_that_cannot_be_are_not_made() {
    let place = Place::new();
    let fails = |arguments: &[&str], said: &str| {
        let run =
            binary().args(["keys", "create"]).args(arguments).arg("--storage").arg(place.bucket()).output();
        let run = run.expect("the binary runs");
        let stderr = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
        assert!(run.stdout.is_empty());
    };
    fails(&["--owner", ""], "an owner is a name");
    fails(&["--owner", &"a".repeat(81)], "an owner is a name");
    fails(&["--owner", "a", "--scope", "write"], "submit, read or admin");
    fails(&["--owner", "a", "--expires", "0d"], "a time such as");
    fails(&["--owner", "a", "--expires", "soon"], "a time such as");
    fails(&["--owner", "a", "--expires", "999999999999999w"], "");
    let run = binary().args(["keys", "revoke", "nobody"]).arg("--storage").arg(place.bucket()).output();
    assert_eq!(run.expect("the binary runs").status.code(), Some(66));
}
