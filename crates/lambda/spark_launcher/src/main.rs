//! The function `spark_launcher` on AWS Lambda.

#[tokio::main]
async fn main() -> Result<(), caudal_app::lambda::Error> {
    caudal_app::lambda::spark_launcher().await
}
