//! What every launcher must do, against a stand-in for `spark-submit` that speaks the job's protocol.

mod place;

use caudal_core::ErrorKind;
use caudal_spark::{Launcher, Phase};
use place::{Place, ended, submission};

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_started_once_however_often_it_is_asked_for() {
    let Some(place) = Place::new("empty") else { return };
    let launcher = place.submit();
    for _ in 0..3 {
        launcher.start(&submission("a", 1)).await.expect("it starts");
    }
    assert_eq!(ended(&launcher, "a-1").await, Phase::Succeeded);
    launcher.start(&submission("a", 1)).await.expect("it has run");
    assert_eq!(ended(&launcher, "a-1").await, Phase::Succeeded);
    assert_eq!(place.starts().len(), 1);
    launcher.start(&submission("a", 2)).await.expect("another attempt is another application");
    assert_eq!(ended(&launcher, "a-2").await, Phase::Succeeded);
    assert_eq!(place.starts().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_application_tells_its_progress_and_is_cancelled_with_all_its_processes() {
    let Some(place) = Place::new("hang") else { return };
    let launcher = place.submit();
    launcher.start(&submission("a", 1)).await.expect("it starts");
    let progress = loop {
        let status = launcher.status("a-1").await.expect("it is known");
        assert_eq!(status.phase, Phase::Running);
        if let Some(progress) = status.progress {
            break progress;
        }
        place::moment().await;
    };
    assert_eq!((progress.step.as_str(), progress.done, progress.total), ("rdd: moments", 1, 4));
    let pids = place.starts().remove(0);
    assert_eq!(pids.len(), 2, "a process and its child");
    assert!(pids.iter().all(|pid| place::lives(*pid)));
    launcher.cancel("a-1").await.expect("it is cancelled");
    assert!(matches!(ended(&launcher, "a-1").await, Phase::Failed(_)));
    place::all_gone(&pids).await;
    launcher.cancel("a-1").await.expect("what has ended may be cancelled");
    launcher.forget("a-1").await;
    assert!(!place.work("a-1").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_of_a_failure_is_kept_with_its_log() {
    let Some(place) = Place::new("fault") else { return };
    let launcher = place.submit();
    launcher.start(&submission("a", 1)).await.expect("it starts");
    let Phase::Failed(failure) = ended(&launcher, "a-1").await else { panic!("it fails") };
    assert_eq!(failure.code, Some(3));
    let error = failure.fault.expect("it says why").error(None);
    assert_eq!(error.kind, ErrorKind::InvalidData);
    assert_eq!(error.detail, "row 3, column x: expected a number, found \"abc\"");
    let Some(place) = Place::new("memory") else { return };
    let launcher = place.submit();
    launcher.start(&submission("a", 1)).await.expect("it starts");
    assert!(matches!(ended(&launcher, "a-1").await, Phase::Failed(_)));
    let log = String::from_utf8(launcher.log("a-1").await).expect("text");
    assert!(log.contains("OutOfMemoryError"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_started_is_not_found() {
    let Some(place) = Place::new("empty") else { return };
    let error = place.submit().status("nothing-1").await.expect_err("nothing is there");
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(place.submit().cancel("nothing-1").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_told_with_its_cure() {
    let Some(place) = Place::new("empty") else { return };
    let told = |launcher: caudal_spark::Submit| async move {
        let error = launcher.survey(None).await.expect_err("something is missing");
        assert_eq!(error.kind, ErrorKind::UnavailableEngine);
        (error.detail, error.hint.expect("a cure"))
    };
    let (detail, hint) = told(place.without_spark()).await;
    assert_eq!(detail, "Apache Spark is not on this machine");
    assert!(hint.contains("caudal spark install"));
    assert!(told(place.without_java()).await.0.contains("Spark needs it"));
    let launcher = place.with_master("spark://127.0.0.1:1");
    let mut lost = submission("a", 1);
    lost.sizing.master = "spark://127.0.0.1:1".into();
    let error = launcher.start(&lost).await.expect_err("no master listens there");
    assert_eq!(error.detail, "the Spark master spark://127.0.0.1:1 does not answer");
    assert!(place.starts().is_empty());
    assert!(told(place.with_java("21.0.1")).await.0.contains("Spark 3.4.4 runs on Java 8 or 11 or 17"));
}
