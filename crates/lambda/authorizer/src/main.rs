//! The bootstrap of the function that API Gateway asks who may call.

#[tokio::main]
async fn main() -> Result<(), caudal_app::lambda::Error> {
    caudal_app::lambda::authorizer().await
}
