//! Lists that are read page by page.

use notifier::{DeliveryState, EndpointId};

use crate::stage::Stage;

/// What a batch claims has the same time.
#[tokio::test]
async fn pages_have_each_delivery_once_though_many_were_begun_at_the_same_time() {
    let stage = Stage::new().await;
    stage
        .database
        .execute(
            "INSERT INTO cdc.delivery (event_id, endpoint_id, state, at_most_once, code, created_at)
             SELECT 'e' || n / 2, 'a' || n % 2, 'failed', false, 'webhook-gone',
                    now() - make_interval(secs => n / 2 % 2)
               FROM generate_series(0, 29) AS n",
        )
        .await;
    let mut deliveries = stage.deliveries();
    let a1 = EndpointId::new("a1").unwrap();
    for (endpoint, count) in [(None, 30), (Some(&a1), 15)] {
        let failed = DeliveryState::Failed;
        let all = deliveries
            .in_trouble(failed, endpoint, None, 100)
            .await
            .unwrap();
        assert_eq!(all.len(), count);
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = deliveries
                .in_trouble(failed, endpoint, after.as_ref(), 7)
                .await
                .unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.place());
            paged.extend(page);
        }
        assert_eq!(paged, all);
    }
}

#[tokio::test]
async fn pages_have_each_endpoint_once_though_the_last_of_a_page_is_gone() {
    let stage = Stage::new().await;
    for endpoint in ["c", "a", "e", "b", "d"] {
        stage.endpoint(endpoint).await;
    }
    let mut endpoints = stage.endpoints();
    let all = endpoints.list().await.unwrap();
    assert_eq!(endpoints.page(None, Some(5)).await.unwrap(), all);
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = endpoints.page(after.as_ref(), Some(2)).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        let gone = format!("DELETE FROM cdc.endpoint WHERE id = '{}'", last.id);
        stage.database.execute(&gone).await;
        paged.extend(page);
    }
    assert_eq!(paged, all);
}
