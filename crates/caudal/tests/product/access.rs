//! OWASP API1, API3, API5: whose things are whose, and who may do what (broken object, property and function level
//! authorisation).

use serde_json::Value;

use crate::support::{Answer, Place, Server, binary};

/// A server that asks everybody who they are.
pub fn guarded(place: &Place) -> Server {
    let folder = place.dir.path().to_str().expect("a UTF-8 path");
    let unlimited = [("CAUDAL__LIMITS__REQUESTS_PER_SECOND", "0".into())];
    Server::start_with(&place.bucket(), &["--allow", folder, "--authenticate"], &unlimited)
}

/// Makes a key.
pub fn key(place: &Place, owner: &str, arguments: &[&str]) -> String {
    let mut command = binary();
    command.args(["keys", "create", "--owner", owner]).args(arguments).arg("--storage").arg(place.bucket());
    let made = command.output().expect("the binary runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).expect("text").trim().to_owned()
}

pub fn call(server: &Server, key: &str, method: &str, path: &str, body: Option<&str>) -> Answer {
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    server.request(method, path, &headers, body.map(str::as_bytes))
}

fn submit(server: &Server, key: &str) -> String {
    let answer = call(server, key, "POST", "/process", Some(r#"{"data": [1, 2, 3]}"#));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["job_id"].as_str().expect("an id").to_owned()
}

/// Every operation that the document has, as method and path.
fn operations(server: &Server) -> Vec<(String, String)> {
    let document = server.get("/openapi.json").json();
    let paths = document["paths"].as_object().expect("paths").clone();
    let methods = |(path, methods): (String, Value)| {
        let methods = methods.as_object().expect("methods").clone();
        methods.into_iter().map(move |(method, _)| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
    };
    paths.into_iter().flat_map(methods).collect()
}

/// What anybody may read without a key.
const PUBLIC: [&str; 5] = ["/health/live", "/health/ready", "/openapi.json", "/docs", "/docs/errors/{code}"];

#[test]
fn without_a_key_every_operation_but_the_public_ones_is_refused() {
    let place = Place::new();
    key(&place, "alice", &[]);
    let server = guarded(&place);
    let operations = operations(&server);
    assert!(operations.len() >= 9, "{operations:?}");
    for (method, path) in operations.into_iter().filter(|(_, path)| !PUBLIC.contains(&path.as_str())) {
        let path = path.replace("{id}", "01990000-0000-7000-8000-000000000000").replace("{number}", "1");
        let answer = server.request(&method, &path, &[], (method == "POST").then_some(b"{}"));
        answer.problem(401, "unauthenticated");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"caudal\"", "{method} {path}");
    }
    server.get("/nowhere").problem(401, "unauthenticated");
    for path in ["/health/live", "/health/ready", "/openapi.json", "/docs/errors/internal"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
}

#[test]
fn another_owners_job_is_not_found_on_any_path() {
    let place = Place::new();
    let (alice, bob) = (key(&place, "alice", &[]), key(&place, "bob", &["--scope", "admin"]));
    let server = guarded(&place);
    let job = submit(&server, &alice);
    let own = key(&place, "alice", &["--scope", "read"]);
    for (method, path) in operations(&server) {
        if !path.contains("{id}") || !path.starts_with("/jobs") {
            continue;
        }
        let path = path.replace("{id}", &job);
        let theirs = call(&server, &bob, &method, &path, None);
        let nobodys =
            call(&server, &bob, &method, &path.replace(&job, "01990000-0000-7000-8000-000000000000"), None);
        theirs.problem(404, "not-found");
        assert_eq!(theirs.status, nobodys.status, "{method} {path}");
        let told = |answer: &Answer| answer.text().replace(&job, "JOB");
        assert_eq!(
            told(&theirs),
            told(&nobodys).replace("01990000-0000-7000-8000-000000000000", "JOB"),
            "whether a job is somebody else's or nobody's cannot be told apart"
        );
        if method == "GET" {
            assert_eq!(call(&server, &own, &method, &path, None).status, 200, "{method} {path}");
        }
    }
    let listed = |key: &str| call(&server, key, "GET", "/jobs", None).json()["jobs"].as_array().map(Vec::len);
    assert_eq!((listed(&alice), listed(&own), listed(&bob)), (Some(1), Some(1), Some(0)));
    assert_eq!(call(&server, &alice, "GET", &format!("/jobs/{job}"), None).status, 200, "it is still there");
}

#[test]
fn an_owner_cannot_be_chosen_by_the_request() {
    let place = Place::new();
    let (alice, bob) = (key(&place, "alice", &[]), key(&place, "bob", &[]));
    let server = guarded(&place);
    let answer = call(&server, &bob, "POST", "/process", Some(r#"{"data": [1], "owner": "alice"}"#));
    answer.problem(422, "invalid-request");
    call(&server, &bob, "GET", "/jobs?owner=alice", None).problem(400, "malformed-request");
    let bearer = format!("Bearer {bob}");
    let headers = [("authorization", bearer.as_str()), ("x-owner", "alice"), ("x-forwarded-user", "alice")];
    let answer = server.request("POST", "/process", &headers, Some(br#"{"data": [1, 2]}"#));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(call(&server, &alice, "GET", "/jobs", None).json()["jobs"], Value::Array(vec![]));
}

#[test]
fn a_key_does_what_its_scopes_say_and_nothing_else() {
    let place = Place::new();
    let submits = key(&place, "alice", &["--scope", "submit"]);
    let reads = key(&place, "alice", &["--scope", "read"]);
    let server = guarded(&place);
    let job = submit(&server, &submits);
    let answer = call(&server, &submits, "GET", &format!("/jobs/{job}"), None);
    let problem = answer.problem(403, "forbidden");
    assert!(problem["detail"].as_str().expect("a sentence").contains("read"), "{problem}");
    assert!(answer.header("www-authenticate").contains("insufficient_scope"));
    call(&server, &reads, "POST", "/process", Some(r#"{"data": [1]}"#)).problem(403, "forbidden");
    call(&server, &reads, "DELETE", &format!("/jobs/{job}"), None).problem(403, "forbidden");
    call(&server, &reads, "GET", "/metrics", None).problem(403, "forbidden");
    assert_eq!(call(&server, &reads, "GET", &format!("/jobs/{job}/result"), None).status, 200);
}

#[test]
fn on_this_machine_nobody_needs_a_key_and_a_wrong_one_is_still_wrong() {
    let place = Place::new();
    let alice = key(&place, "alice", &[]);
    let server = place.server();
    let mine = server.post("/process", r#"{"data": [1, 2]}"#);
    assert_eq!(mine.status, 200);
    let hers = submit(&server, &alice);
    server.get(&format!("/jobs/{hers}")).problem(404, "not-found");
    assert_eq!(call(&server, &alice, "GET", &format!("/jobs/{hers}"), None).status, 200);
    let wrong = format!("{}0", &alice[..alice.len() - 1]);
    let wrong = if wrong == alice { format!("{}1", &alice[..alice.len() - 1]) } else { wrong };
    call(&server, &wrong, "GET", "/jobs", None).problem(401, "unauthenticated");
    let proxied = server.request("GET", "/jobs", &[("authorization", "Basic YTpi")], None);
    assert_eq!(proxied.status, 200, "what is meant for a proxy is no key");
}

#[test]
fn another_owners_upload_is_not_found_whatever_is_tried() {
    let place = Place::new();
    let (alice, bob) = (key(&place, "alice", &[]), key(&place, "bob", &["--scope", "admin"]));
    let server = guarded(&place);
    let begun =
        call(&server, &alice, "POST", "/uploads", Some(r#"{"size": 6, "parts": 1, "format": "csv"}"#));
    assert_eq!(begun.status, 201, "{}", begun.text());
    let path = begun.header("location").to_owned();
    for (method, end, body) in [
        ("GET", "", None),
        ("PUT", "/parts/1", Some("x\n1\n2\n")),
        ("POST", "/complete", None),
        ("DELETE", "", None),
    ] {
        call(&server, &bob, method, &format!("{path}{end}"), body).problem(404, "not-found");
    }
    let still = call(&server, &alice, "GET", &path, None);
    assert_eq!((still.status, &still.json()["parts"][0]["received"]), (200, &Value::Bool(false)));
    assert_eq!(call(&server, &alice, "PUT", &format!("{path}/parts/1"), Some("x\n1\n2\n")).status, 200);
    assert_eq!(call(&server, &alice, "POST", &format!("{path}/complete"), None).status, 200);
    let request =
        format!("{{\"source\": {{\"uri\": \"{}\"}}}}", begun.json()["uri"].as_str().expect("a URI"));
    let stolen = call(&server, &bob, "POST", "/process", Some(&request));
    assert!((400..500).contains(&stolen.status), "{}", stolen.text());
    assert_eq!(call(&server, &alice, "POST", "/process", Some(&request)).status, 200);
}

#[test]
fn the_same_idempotency_key_of_two_owners_is_two_jobs() {
    let place = Place::new();
    let (alice, bob) = (key(&place, "alice", &[]), key(&place, "bob", &[]));
    let server = guarded(&place);
    let ask = |key: &str| {
        let bearer = format!("Bearer {key}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", "the-same-for-both"),
        ];
        let answer = server.request("POST", "/process", &headers, Some(br#"{"data": [1, 2, 3]}"#));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["job_id"].as_str().expect("an id").to_owned()
    };
    let (hers, his) = (ask(&alice), ask(&bob));
    assert_ne!(hers, his);
    assert_eq!(ask(&alice), hers, "of one owner it is one job");
}
