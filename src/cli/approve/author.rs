//! Who gives a verdict, as the API server knows the user.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{Api, api::PostParams};

use crate::{api::text, cli::connection::Connection};

/// The most bytes of a name.
const MOST: usize = 200;

/// The user; `-` where the API server does not say.
pub(super) async fn of(connection: &Connection) -> String {
    let api = Api::<SelfSubjectReview>::all(connection.client.clone());
    let review = api.create(&PostParams::default(), &SelfSubjectReview::default()).await.ok();
    let user = review.and_then(|review| review.status?.user_info?.username).filter(|user| !user.is_empty());
    user.map_or_else(|| "-".into(), |user| text::clip(&user, MOST))
}
