//! Requests with idempotency keys: one job each, whatever comes at once or goes wrong.

use caudal_core::ErrorKind;
use caudal_core::claims::{Claim, Claims};
use caudal_orchestration::{Once, Orchestrator, Submission, SubmissionBody};

use crate::ports::{Bucket, Turn, options};
use crate::{ended, submission};

fn once(key: &str, fingerprint: &str) -> Once {
    Once { key: key.into(), fingerprint: fingerprint.into() }
}

fn unusable() -> Submission {
    Submission { owner: "local".into(), body: SubmissionBody::Json(b"{}".as_slice().into()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_requests_with_one_key_are_one_job() {
    let bucket = Bucket::new();
    let orchestrator = Orchestrator::start(bucket.ports(), options()).await.unwrap();
    let requests = (0..200).map(|_| {
        let orchestrator = orchestrator.clone();
        tokio::spawn(async move {
            let taken = orchestrator.submit_once(submission(), &once("k", "f")).await.unwrap();
            (taken.job.job_id, taken.repeated)
        })
    });
    let mut taken = Vec::new();
    for request in requests.collect::<Vec<_>>() {
        taken.push(request.await.unwrap());
    }
    assert!(taken.iter().all(|(job, _)| *job == taken[0].0));
    assert_eq!(taken.iter().filter(|(_, repeated)| !repeated).count(), 1);
    assert_eq!(bucket.jobs(), 1);
}

#[tokio::test]
async fn a_repeated_request_finds_its_job_long_after_it_has_ended() {
    let bucket = Bucket::new();
    let orchestrator = Orchestrator::start(bucket.ports(), options()).await.unwrap();
    let mut first = orchestrator.submit_once(submission(), &once("k", "f")).await.unwrap();
    let state = ended(&mut first.job).await;
    let mut again = orchestrator.submit_once(submission(), &once("k", "f")).await.unwrap();
    assert!(again.repeated && again.job.job_id == first.job.job_id);
    assert_eq!(ended(&mut again.job).await, state);
}

#[tokio::test]
async fn a_key_belongs_to_one_request_of_one_owner() {
    let bucket = Bucket::new();
    let orchestrator = Orchestrator::start(bucket.ports(), options()).await.unwrap();
    let mine = orchestrator.submit_once(submission(), &once("k", "f")).await.unwrap();
    let other = orchestrator.submit_once(submission(), &once("k", "g")).await.err().expect("another request");
    assert_eq!(other.kind, ErrorKind::Conflict);
    let somebodys = Submission { owner: "somebody".into(), ..submission() };
    let theirs = orchestrator.submit_once(somebodys, &once("k", "f")).await.unwrap();
    assert!(!theirs.repeated && theirs.job.job_id != mine.job.job_id);
}

#[tokio::test]
async fn a_refused_request_gives_its_key_back() {
    let bucket = Bucket::new();
    let orchestrator = Orchestrator::start(bucket.ports(), options()).await.unwrap();
    for _ in 0..2 {
        let refused = orchestrator.submit_once(unusable(), &once("k", "f")).await.err().expect("no data");
        assert_eq!(refused.kind, ErrorKind::InvalidRequest);
    }
    let corrected = orchestrator.submit_once(submission(), &once("k", "g")).await.unwrap();
    assert!(!corrected.repeated);
}

#[tokio::test]
async fn a_request_that_finds_no_place_may_come_again_with_its_key() {
    let bucket = Bucket::new();
    let mut options = options();
    options.admitted_jobs = 1;
    let orchestrator = Orchestrator::start(bucket.ports(), options).await.unwrap();
    bucket.turn(Turn::WaitForCancel, 1);
    let mut first = orchestrator.submit(submission()).await.unwrap();
    let refused = orchestrator.submit_once(submission(), &once("k", "f")).await.err().expect("no place");
    assert_eq!(refused.kind, ErrorKind::Overloaded);
    orchestrator.cancel("local", first.job_id).await.unwrap();
    ended(&mut first).await;
    assert!(!orchestrator.submit_once(submission(), &once("k", "f")).await.unwrap().repeated);
}

#[tokio::test]
async fn what_a_killed_process_claimed_and_did_not_take_in_is_taken_in_as_the_same_job() {
    let bucket = Bucket::new();
    let ports = bucket.ports();
    let (id, at) = (ports.ids.job_id(), ports.clock.now() - std::time::Duration::from_secs(60));
    let left = Claim { job_id: id, fingerprint: "f".into(), claimed_at: at, expires_at: at };
    bucket.claim("local", "k", &left).await.unwrap();
    let orchestrator = Orchestrator::start(ports, options()).await.unwrap();
    let mut taken = orchestrator.submit_once(submission(), &once("k", "f")).await.unwrap();
    assert!(taken.job.job_id == id && !taken.repeated);
    ended(&mut taken.job).await;
    assert!(orchestrator.submit_once(submission(), &once("k", "f")).await.unwrap().repeated);
}
