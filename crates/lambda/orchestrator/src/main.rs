//! The function `orchestrator` on AWS Lambda.

#[tokio::main]
async fn main() -> Result<(), caudal_app::lambda::Error> {
    caudal_app::lambda::orchestrator().await
}
